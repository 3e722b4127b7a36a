from dataclasses import replace

import numpy as np
import pytest

from service.engine.batch import (
    Generation,
    Hypothesis,
    SamplingOptions,
    SearchOptions,
    StreamState,
    TokenSequence,
)
from service.errors import ModelNotReady, Overloaded
from service.transport.messages import (
    ERRORS,
    Packed,
    decode,
    encode,
    pack_array,
    pack_error,
    pack_result,
    pack_sequence,
    unpack_array,
    unpack_error,
    unpack_result,
    unpack_sequence,
)
from tests.fakes import NEVER

PLAIN = TokenSequence([5, 70_000, 7], 1.25, NEVER)


def send(packed: Packed) -> Packed:
    """What arrives at the other end."""
    (message,) = decode(encode([packed]))
    return message


@pytest.mark.parametrize(
    "sequence",
    [
        PLAIN,
        replace(
            PLAIN, search=SearchOptions(4, 30, with_attention=True, source_start_id=7), start_id=3
        ),
        replace(PLAIN, sampling=SamplingOptions(9, 0.7, 5, 0.9, 1.1, 2**64 - 1, 2)),
        replace(PLAIN, sampling=SamplingOptions(), features=(0.5, -1.0)),
    ],
    ids=["plain", "search", "sampling", "features"],
)
def test_sequences_arrive_as_they_are(sequence: TokenSequence) -> None:
    found, *wanted = unpack_sequence(send(pack_sequence(sequence)))
    assert vars(found) == vars(sequence)
    assert wanted == [False, False]


def test_it_is_told_which_tokens_are_wanted() -> None:
    prefix = replace(PLAIN, on_tokens=lambda _: None)
    tokens = replace(PLAIN, on_token=lambda *_: False)
    assert unpack_sequence(send(pack_sequence(prefix)))[1:] == (True, False)
    assert unpack_sequence(send(pack_sequence(tokens)))[1:] == (False, True)


@pytest.mark.parametrize("states", [{}, {"hidden": np.ones((2, 3), np.float32)}])
def test_a_piece_of_a_stream_brings_its_states(states: dict[str, np.ndarray]) -> None:
    sent = replace(PLAIN, stream=StreamState(states))
    sequence, *_ = unpack_sequence(send(pack_sequence(sent)))
    assert sequence.stream is not None
    assert sequence.stream.states.keys() == states.keys()
    for name, state in states.items():
        np.testing.assert_array_equal(sequence.stream.states[name], state)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (0, 3)])
def test_arrays_keep_shape_and_bits(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).random((4, 3), np.float32)[: shape[0] if shape[1:] else 1]
    array = array[0] if len(shape) == 1 else array
    found = unpack_array(send(pack_array(array)))
    assert (found.shape, found.dtype) == (shape, np.float32)
    np.testing.assert_array_equal(found, array)


def test_an_array_that_is_a_view_arrives_whole() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    np.testing.assert_array_equal(unpack_array(send(pack_array(array))), array)


def test_texts_and_hypotheses_arrive_as_they_are() -> None:
    generation = Generation([4, 5], [-0.5, -0.25, -0.125], "eos")
    assert unpack_result(send(pack_result(generation))) == generation
    read_back = Hypothesis([4], -0.5, read_back=-0.25, num_unknown=2)
    hypotheses = [read_back, Hypothesis([], -1.0, "loop")]
    assert unpack_result(send(pack_result(list(hypotheses)))) == hypotheses


def test_attention_comes_with_its_hypothesis() -> None:
    attention = np.ones((2, 3), np.float32)
    found = unpack_result(send(pack_result([Hypothesis([4], -0.5, None, attention)])))
    assert isinstance(found, list)
    np.testing.assert_array_equal(np.asarray(found[0].attention), attention)


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors_keep_class_and_words(name: str) -> None:
    error = ERRORS[name]("words", 1.5, "wait") if name == "Overloaded" else ERRORS[name]("words")
    found = unpack_error(send(pack_error(error)))
    assert type(found) is ERRORS[name]
    assert str(found) == "words"
    assert vars(found) == vars(error)


def test_what_clients_are_told_to_wait_arrives() -> None:
    refusal = unpack_error(send(pack_error(Overloaded("full", 2.5, "tokens"))))
    assert isinstance(refusal, Overloaded)
    assert (refusal.retry_after_seconds, refusal.reason) == (2.5, "tokens")
    gone = unpack_error(send(pack_error(ModelNotReady("gone", 5.0))))
    assert isinstance(gone, ModelNotReady)
    assert gone.retry_after_seconds == 5.0
