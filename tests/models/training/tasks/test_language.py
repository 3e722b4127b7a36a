import json
import math
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from models.config import Cell, RunConfig, parse_config
from models.networks.language_model import LanguageModel
from models.train import main, prepare_run
from models.training.data.sources import Example
from models.training.data.texts import cut_streams, encode_conditions
from models.training.runs import read_run
from models.training.tasks.language import LanguageTask
from models.training.tasks.task import build_task
from service.repository.manifest import Condition
from service.text.tokenizer import Tokenizer

CPU = torch.device("cpu")
CELLS: list[Cell] = ["lstm", "gru", "rnn"]


def make_config(*, condition: dict[str, object] | None = None, **training: object) -> RunConfig:
    return parse_config(
        {
            "name": "tiny",
            "task": "language",
            "languages": ["en"],
            "condition": condition,
            "sources": [{"path": "text", "licence": "CC0-1.0", "commercial_use": True}],
            "model": {
                "vocab_size": 1,
                "embedding_size": 8,
                "hidden_size": 16,
                "dropout": 0.0,
                "word_dropout": 0.0,
            },
            "training": {"label_smoothing": 0.0} | training,
        }
    )


def write_splits(data: Path, text: str, ending: str = "txt") -> Path:
    (data / "text").mkdir()
    for split in ("train", "valid", "test"):
        (data / "text" / f"{split}.{ending}").write_text(text, encoding="utf-8")
    return data


def open_task(config: RunConfig, data: Path, folder: Path) -> tuple[LanguageTask, Tokenizer]:
    config, tokenizer = prepare_run(config, folder, data)
    task = build_task(config, tokenizer, data)
    assert isinstance(task, LanguageTask)
    return task, tokenizer


HELLO = """
name = "hello"
task = "language"
languages = ["en"]

[[sources]]
path = "text"
licence = "CC0-1.0"
commercial_use = true

[model]
cell = "{cell}"
vocab_size = 1  # characters alone
embedding_size = 8
hidden_size = 16
dropout = 0.0
word_dropout = 0.0

[training]
epochs = 100
patience = 100
learning_rate = 0.05
warmup_steps = 5
label_smoothing = 0.0
bptt_tokens = {bptt_tokens}
"""


@pytest.mark.parametrize(("cell", "bptt_tokens"), [("lstm", 5), ("gru", 3), ("rnn", 5)])
def test_hello_is_learnt_and_said_again(cell: str, bptt_tokens: int, tmp_path: Path) -> None:
    data = write_splits(tmp_path, "hello")
    config = tmp_path / "hello.toml"
    config.write_text(HELLO.format(cell=cell, bptt_tokens=bptt_tokens), encoding="utf-8")
    out = tmp_path / "out"
    main(["--config", str(config), "--data", str(data), "--out", str(out), "--threads", "1"])

    run = read_run(out)
    assert isinstance(run.model, LanguageModel)
    bos_id = run.special_ids.bos_id
    assert bos_id is not None
    assert sorted(run.tokenizer.tokens(range(4, run.tokenizer.vocab_size))) == ["e", "h", "l", "o"]
    chosen = run.model.continue_greedily([bos_id], 5, run.forbidden_ids)
    assert run.tokenizer.decode(chosen) == "hello"
    prompt = run.tokenizer.encode("hel")
    assert run.tokenizer.decode(run.model.continue_greedily([bos_id, *prompt], 2)) == "lo"
    last = json.loads((out / "history.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    nats = last["text nats per character"]
    assert nats < 0.05
    assert last["text bits per character"] == pytest.approx(nats / math.log(2.0), abs=1e-3)


def test_streams_are_contiguous_and_keep_every_token() -> None:
    streams = cut_streams(np.arange(10, 20), max_streams=3, min_length=2, pad_id=0)
    assert streams.tolist() == [[10, 11, 12, 13], [14, 15, 16, 17], [18, 19, 0, 0]]


def test_short_text_gives_fewer_streams() -> None:
    assert cut_streams(np.arange(5), 32, 128, 0).shape == (1, 5)
    assert cut_streams(np.arange(7), 32, 3, 0).shape == (2, 4)


def test_stretches_of_an_epoch_give_every_token_once_and_in_order(tmp_path: Path) -> None:
    text = "".join(random.Random(1).choices("abcdef ", k=500))
    config = make_config(batch_tokens=40, bptt_tokens=10)
    task, tokenizer = open_task(config, write_splits(tmp_path, text), tmp_path / "run")
    batches = task.sample_batches(random.Random(2))

    assert all(len(batch) == 4 for batch in batches)
    assert all(len(example) <= 10 for batch in batches for example in batch)
    rows = [
        [token_id for batch in batches for token_id in batch[row].target_ids] for row in range(4)
    ]
    assert tokenizer.decode([token_id for row in rows for token_id in row]) == text
    assert all(example.input_ids[0] == task.bos_id for example in batches[0])
    num_new = 0
    for before, after in pairwise(batches):
        for left, right in zip(before, after, strict=True):
            is_new = right.input_ids[0] == task.bos_id
            assert is_new or right.input_ids[0] == left.target_ids[-1]
            num_new += is_new
            assert left.input_ids[1:] == left.target_ids[:-1]
    assert 0 < num_new < 20


def test_stretches_begin_at_other_places_in_another_epoch(tmp_path: Path) -> None:
    config = make_config(batch_tokens=40, bptt_tokens=10)
    task, _ = open_task(config, write_splits(tmp_path, "abcdefghij" * 50), tmp_path / "run")
    first, again, other = (task.sample_batches(random.Random(seed)) for seed in (1, 1, 3))
    assert first == again
    assert len(first[0][0]) != len(other[0][0])


@pytest.mark.parametrize("cell", CELLS)
def test_state_is_carried_from_stretch_to_stretch(cell: Cell, tmp_path: Path) -> None:
    config = make_config()
    config = replace(config, model=replace(config.model, cell=cell))
    task, tokenizer = open_task(config, write_splits(tmp_path, "hello there"), tmp_path / "run")
    torch.manual_seed(1)
    model = task.build_model().eval()
    assert isinstance(model, LanguageModel)
    ids = tokenizer.encode("hello there")
    inputs = [task.bos_id, *ids[:-1]]
    whole = task.loss(model, [Example(inputs, ids)], CPU)
    first = task.loss(model, [Example(inputs[:5], ids[:5])], CPU)
    second = task.loss(model, [Example(inputs[5:], ids[5:])], CPU)
    torch.testing.assert_close((5 * first + 6 * second) / 11, whole)


def test_gradient_ends_at_the_start_of_a_stretch(tmp_path: Path) -> None:
    task, tokenizer = open_task(
        make_config(), write_splits(tmp_path, "hello there"), tmp_path / "run"
    )
    model = task.build_model()
    ids = tokenizer.encode("hello there")
    task.loss(model, [Example([task.bos_id, *ids[:4]], ids[:5])], CPU)
    loss = task.loss(model, [Example(ids[4:-1], ids[5:])], CPU)
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = model.get_parameter("embedding.weight").grad
    assert gradient is not None
    assert not gradient[task.bos_id].any()
    assert gradient[ids[4]].any()


def test_row_that_begins_with_bos_starts_anew(tmp_path: Path) -> None:
    task, tokenizer = open_task(
        make_config(), write_splits(tmp_path, "hello there"), tmp_path / "run"
    )
    model = task.build_model().eval()
    ids = tokenizer.encode("hello")
    example = Example([task.bos_id, *ids[:-1]], ids)
    first, second = (task.loss(model, [example], CPU) for _ in range(2))
    assert torch.equal(first, second)


def test_validation_counts_every_character(tmp_path: Path) -> None:
    text = "hello there, general\n" * 40
    task, tokenizer = open_task(make_config(), write_splits(tmp_path, text), tmp_path / "run")
    model = task.build_model().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    # all tokens are equally likely, characters or not
    expected = math.log(tokenizer.vocab_size)
    figures = task.validate(model, CPU)
    assert figures["text nats per character"] == pytest.approx(expected, rel=1e-5)
    assert figures["score"] == -figures["text nats per character"]


def test_conditional_texts_run_from_bos_to_eos(tmp_path: Path) -> None:
    data = write_splits(tmp_path, "sad\toh no\nglad\tyes\n", "tsv")
    config = make_config(condition={"labels": ["sad", "glad"]}, batch_tokens=64)
    task, tokenizer = open_task(config, data, tmp_path / "run")
    (batch,) = task.sample_batches(random.Random(1))
    texts = {example.features: example for example in batch}
    assert set(texts) == {(1.0, 0.0), (0.0, 1.0)}
    sad = texts[1.0, 0.0]
    assert sad.input_ids == [task.bos_id, *tokenizer.encode("oh no")]
    assert sad.target_ids == [*tokenizer.encode("oh no"), tokenizer.token_id("<eos>")]


def test_a_text_can_be_made_to_tell_its_label(tmp_path: Path) -> None:
    data = write_splits(tmp_path, "sad\tab\nglad\tba\n", "tsv")
    condition = {"labels": ["sad", "glad"]}
    task, _ = open_task(make_config(condition=condition), data, tmp_path / "plain")
    telling = make_config(condition=condition, condition_weight=2.0)
    contrasted, _ = open_task(telling, data, tmp_path / "telling")
    torch.manual_seed(1)
    model = task.build_model()
    assert isinstance(model, LanguageModel)
    ((*texts,),) = task.sample_batches(random.Random(1))

    with torch.no_grad():
        plain = float(task.loss(model, texts, CPU))
        model.condition.weight.zero_()  # both labels are alike: telling them apart costs ln 2
        even = contrasted.loss(model, texts, CPU) - task.loss(model, texts, CPU)
    assert float(even) == pytest.approx(2.0 * math.log(2.0), rel=1e-4)

    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(40):
        optimizer.zero_grad()
        contrasted.loss(model, texts, CPU).backward()
        optimizer.step()
    with torch.no_grad():
        assert float(contrasted.loss(model, texts, CPU)) < plain


def test_short_texts_are_left_out_where_a_source_says_so(tmp_path: Path) -> None:
    data = write_splits(tmp_path, "sad\toh no\nglad\tyes\n", "tsv")
    config = make_config(condition={"labels": ["sad", "glad"]})
    source = replace(config.sources[0], min_characters=5)
    task, tokenizer = open_task(replace(config, sources=(source,)), data, tmp_path / "run")
    ((example,),) = task.sample_batches(random.Random(1))
    assert tokenizer.decode(example.target_ids[:-1]) == "oh no"


def test_features_are_numbers_with_spaces_between() -> None:
    condition = Condition(num_features=2)
    assert encode_conditions(["0.5 1", "-2 3e-1"], condition) == [(0.5, 1.0), (-2.0, 0.3)]
    with pytest.raises(ValueError, match="a row has 1 features, the condition 2"):
        encode_conditions(["0.5"], condition)


def test_unknown_label_is_named_with_its_file(tmp_path: Path) -> None:
    data = write_splits(tmp_path, "odd\toh no\n", "tsv")
    config = make_config(condition={"labels": ["sad", "glad"]})
    with pytest.raises(ValueError, match="text, train: the first column must be one of sad, glad"):
        open_task(config, data, tmp_path / "run")


@pytest.mark.parametrize("split", ["train", "valid"])
def test_missing_text_is_named(split: str, tmp_path: Path) -> None:
    data = write_splits(tmp_path, "hello")
    (data / "text" / f"{split}.txt").unlink()
    with pytest.raises(FileNotFoundError, match=f"does not hold {split}.txt"):
        open_task(make_config(), data, tmp_path / "run")


def test_empty_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is empty"):
        open_task(make_config(), write_splits(tmp_path, ""), tmp_path / "run")
