"""That the service labels as torch does, whole and piece by piece, in every precision."""

from pathlib import Path

import numpy as np
import pytest

from service.engine.batch import StreamState, TokenSequence
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.manifest import Precision
from service.repository.model import LoadedModel, make_sequences, softmax
from tests.fakes import NEVER

TEXTS = ["나는학교에간다.", "오 늘은날씨가 좋다", "네", "Zwei 마리 개가 눈밭에서 논다!"]
# of a probability; int8 rounds what goes into a layer, on another scale in each graph
TOLERANCES: dict[Precision, float] = {"fp32": 2e-5, "w8": 2e-5, "int8": 0.05}


def read_in_pieces(model: LoadedModel, input_ids: list[int], sizes: list[int]) -> np.ndarray:
    """The scores of a text's tokens, read in pieces of these sizes and the rest."""
    lookahead = model.manifest.lookahead
    assert lookahead is not None
    steps = input_ids + [model.manifest.ids.pad_id] * lookahead
    stream, scores = StreamState(), []
    for size in [*sizes, len(steps)]:
        part, steps = steps[:size], steps[size:]
        if part:
            (result,) = run_sequences(
                model.runner, [TokenSequence(part, 0.0, NEVER, stream=stream)]
            )
            scores.append(np.asarray(result))
    return np.concatenate(scores)[lookahead:]


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("sizes", [[], [1, 1, 1, 1], [3, 2]])
def test_text_in_pieces_equals_the_whole_text(
    tiny_taggers: Path, precision: Precision, sizes: list[int]
) -> None:
    folder = tiny_taggers / "tiny-stream-tagging-lstm" / "1"
    model = load_model(folder, Device("cpu"), precision=precision)
    whole = run_sequences(model.runner, make_sequences(model, TEXTS))
    for expected, ids in zip(whole, model.encode(TEXTS), strict=True):
        found = read_in_pieces(model, ids, sizes)
        difference = np.abs(softmax(found) - softmax(np.asarray(expected))).max()
        assert difference <= TOLERANCES[precision]


@pytest.mark.parametrize("precision", ["fp32", "w8", "int8"])
def test_batch_mates_change_nothing_in_pieces(tiny_taggers: Path, precision: Precision) -> None:
    folder = tiny_taggers / "tiny-stream-tagging-lstm" / "1"
    model = load_model(folder, Device("cpu"), precision=precision)
    encoded = model.encode(TEXTS)

    def make_pieces() -> list[TokenSequence]:
        return [TokenSequence(ids, 0.0, NEVER, stream=StreamState()) for ids in encoded]

    alone = [run_sequences(model.runner, [each])[0] for each in make_pieces()]
    together = run_sequences(model.runner, make_pieces())
    for first, second in zip(alone, together, strict=True):
        np.testing.assert_allclose(np.asarray(first), np.asarray(second), atol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "w8", "int8"])
def test_batch_mates_change_nothing_in_whole_texts(
    tiny_taggers: Path, precision: Precision
) -> None:
    folder = tiny_taggers / "tiny-tagging-gru" / "1"
    model = load_model(folder, Device("cpu"), precision=precision)
    alone = [run_sequences(model.runner, make_sequences(model, [text]))[0] for text in TEXTS]
    together = run_sequences(model.runner, make_sequences(model, TEXTS))
    for first, second in zip(alone, together, strict=True):
        np.testing.assert_allclose(np.asarray(first), np.asarray(second), atol=1e-4)
