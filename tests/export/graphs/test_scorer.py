"""The graph that scores whole translations agrees with torch, and adds no weights to a version."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from export.graphs.builder import save_graphs
from export.graphs.networks import MAX_SHARPNESS
from export.graphs.runs import build_graphs
from export.graphs.scorer import LOWEST, build_scorer
from export.parity.check import round_weights
from models.networks.seq2seq import Seq2Seq
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.repository.manifest import Precision, Role
from tests.export.conftest import RunMaker

LENGTHS = [9, 1, 4, 7, 2]
# Of a token's log-probability; int8 rounds what goes into each product.
TOLERANCES: dict[Precision, float] = {"fp32": 2e-5, "w8": 2e-5, "int8": 0.05}


def open_scorer(run_maker: RunMaker, cell: str, precision: Precision, folder: Path) -> OnnxSession:
    graphs = build_graphs(run_maker("translation", cell), precision)
    save_graphs({"scorer.onnx": graphs["scorer"]}, folder)
    return OnnxSession(folder / "scorer.onnx", Device("cpu"))


def expect(
    model: Seq2Seq, ids: torch.Tensor, lengths: torch.Tensor, target: torch.Tensor
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with torch.inference_mode():
        scores = model(ids, lengths, target[:, :-1]).log_softmax(dim=-1)
        result: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = (
            scores.gather(2, target[:, 1:, None])[:, :, 0].clamp(min=LOWEST).numpy()
        )
    return result


@pytest.mark.parametrize("precision", ["fp32", "w8", "int8"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_scores_are_those_of_torch(
    random_run: RunMaker, tmp_path: Path, cell: str, precision: Precision
) -> None:
    model = random_run("translation", cell).model
    assert isinstance(model, Seq2Seq)
    generator = torch.Generator().manual_seed(5)
    size = model.config.vocab_size
    ids = torch.randint(0, size, (len(LENGTHS), max(LENGTHS)), generator=generator)
    target = torch.randint(0, size, (len(LENGTHS), 8), generator=generator)
    lengths = torch.tensor(LENGTHS)
    reference = model if precision == "fp32" else round_weights(model, precision)
    assert isinstance(reference, Seq2Seq)

    session = open_scorer(random_run, cell, precision, tmp_path)
    feeds = {"input_ids": ids.numpy(), "lengths": lengths.numpy(), "target_ids": target.numpy()}
    scores = session.run(feeds)["scores"]

    expected = expect(reference, ids, lengths, target)
    np.testing.assert_allclose(scores, expected, atol=TOLERANCES[precision])


def test_padding_changes_no_score(random_run: RunMaker, tmp_path: Path) -> None:
    session = open_scorer(random_run, "lstm", "fp32", tmp_path)
    rng = np.random.default_rng(3)
    size = random_run("translation", "lstm").config.model.vocab_size
    ids, target = rng.integers(0, size, (3, 9)), rng.integers(0, size, (3, 6))
    lengths = np.array([9, 2, 5])

    together = session.run({"input_ids": ids, "lengths": lengths, "target_ids": target})["scores"]

    for row, length in enumerate(lengths.tolist()):
        alone = session.run(
            {
                "input_ids": ids[row : row + 1, :length],
                "lengths": lengths[row : row + 1],
                "target_ids": target[row : row + 1],
            }
        )["scores"]
        np.testing.assert_allclose(together[row], alone[0], atol=1e-5)


@pytest.mark.parametrize("precision", ["w8", "int8"])
def test_scorer_has_the_weights_of_encoder_and_decoder(
    random_run: RunMaker, tmp_path: Path, precision: Precision
) -> None:
    graphs = build_graphs(random_run("translation", "lstm"), precision)
    sizes = {}
    groups: list[list[Role]] = [["encoder", "decoder"], ["encoder", "decoder", "scorer"]]
    for roles in groups:
        folder = tmp_path / str(len(roles))
        folder.mkdir()
        copies = {f"{role}.onnx": copy.deepcopy(graphs[role]) for role in roles}
        save_graphs(copies, folder)
        sizes[len(roles)] = (folder / "weights.bin").stat().st_size

    assert sizes[3] - sizes[2] < 0.1 * sizes[2]


def test_refuses_an_attention_that_is_too_sharp(random_run: RunMaker) -> None:
    run = random_run("translation", "lstm")
    weights = {name: array.numpy() for name, array in run.model.state_dict().items()}
    weights["decoder.attention.sharpness"] = np.array(MAX_SHARPNESS + 1, np.float32)

    with pytest.raises(ValueError, match="sharpness"):
        build_scorer(weights, run.config.model, "fp32")
