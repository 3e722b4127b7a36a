from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from export.torch_run import export_run
from models.networks.gates import reorder_gates, restore_gates
from models.training.initial import BY_TOKEN, load_initial, read_version
from models.training.runs import read_run
from models.training.vocabulary.subwords import read_vocabulary, train_tokenizer, transfer_rows
from service.text.tokenizer import Tokenizer

FolderMaker = Callable[..., Path]
TEXTS = ["the cat sat on the mat", "a dog sat on the cat", "the dogs and cats"] * 20


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_gates_come_back_in_torchs_order(cell: str) -> None:
    stacked = torch.arange(24.0).reshape(12, 2).numpy()

    assert (restore_gates(reorder_gates(stacked, cell), cell) == stacked).all()


@pytest.mark.parametrize("task", ["classification", "translation", "tagging"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 0.0), ("w8", 0.01)])
def test_weights_of_a_version_are_those_of_its_run(
    task: str,
    cell: str,
    precision: str,
    tolerance: float,
    tiny_run: FolderMaker,
    tmp_path: Path,
) -> None:
    run_folder = tiny_run(task, cell)
    folder = export_run(run_folder, tmp_path, precisions=[precision])
    run = read_run(run_folder)

    weights = read_version(folder)

    expected = run.model.state_dict()
    assert weights.keys() == expected.keys()
    for name, tensor in expected.items():
        if name == "output_bias":  # what must never be written got a bias that says so
            continue
        bound = tolerance * float(tensor.abs().max())
        assert torch.allclose(weights[name], tensor, rtol=0.0, atol=bound), name


def test_tokens_of_both_vocabularies_keep_their_rows() -> None:
    old = train_tokenizer(TEXTS, 300, ["en"], lowercase=False)
    new = train_tokenizer([*TEXTS, *["mathematics automatic"] * 50], 330, ["en"], lowercase=False)
    rows = torch.randn(old.vocab_size, 4)

    transferred = transfer_rows(rows, old, new)

    old_ids, new_ids = read_vocabulary(old), read_vocabulary(new)
    shared = old_ids.keys() & new_ids.keys()
    assert transferred.shape == (new.vocab_size, 4)
    assert "<2en>" in shared
    for piece in shared:
        assert torch.equal(transferred[new_ids[piece]], rows[old_ids[piece]]), piece


def test_a_new_token_starts_from_the_tokens_that_spell_it() -> None:
    old = train_tokenizer(TEXTS, 300, ["en"], lowercase=False)
    new = train_tokenizer([*TEXTS, *["mathematics"] * 50], 330, ["en"], lowercase=False)
    rows = torch.randn(old.vocab_size, 4)
    piece = "▁mathematics"

    transferred = transfer_rows(rows, old, new)

    expected = rows[old.encode("mathematics")].mean(dim=0)
    assert torch.allclose(transferred[read_vocabulary(new)[piece]], expected)


def test_a_new_vocabulary_changes_only_what_belongs_to_tokens(
    tiny_run: FolderMaker, tmp_path: Path
) -> None:
    run_folder = tiny_run("translation", "gru")
    own = Tokenizer.load(run_folder / "tokenizer.json")
    other = train_tokenizer(TEXTS, 320, ["en", "ko"], lowercase=False)

    kept, _ = load_initial(run_folder, own)
    changed, _ = load_initial(run_folder, other)

    for name, tensor in kept.items():
        if name in BY_TOKEN:
            assert len(changed[name]) == other.vocab_size
        else:
            assert torch.equal(changed[name], tensor)


def test_a_version_in_int8_alone_is_refused(tiny_run: FolderMaker, tmp_path: Path) -> None:
    folder = export_run(tiny_run("classification", "lstm"), tmp_path, precisions=["int8"])

    with pytest.raises(ValueError, match="graphs in int8 alone"):
        read_version(folder)


def test_weights_of_a_language_model_are_read_from_its_version(
    tiny_run: FolderMaker, tmp_path: Path
) -> None:
    run_folder = tiny_run("language", "lstm")
    folder = export_run(run_folder, tmp_path, precisions=["fp32"])
    found = read_version(folder)
    expected = read_run(run_folder).model.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        # the bias of a token that is never chosen is lost
        kept = slice(4, None) if name == "output.bias" else slice(None)
        torch.testing.assert_close(found[name][kept], tensor[kept])
