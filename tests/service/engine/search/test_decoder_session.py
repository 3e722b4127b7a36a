"""What lies between two steps of a decoder; the graphs add up what they read."""

from collections.abc import Mapping

import numpy as np
import pytest

from service.arrays import Array
from service.engine.batch import TokenSequence
from service.engine.search.decoder_session import DecoderSession
from service.engine.search.paged_memory import PAGE_SIZE
from tests.fakes import FakeSession

PAD_ID = 0


def encode(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Keys and values are the tokens; the state is their sum, the cell its negative."""
    ids = feeds["input_ids"].astype(np.float32)  # (N, S)
    sums = ids.sum(axis=1)[None, :, None]  # (1, N, 1)
    return {"keys": ids[:, None, :], "values": ids[:, :, None], "hidden": sums, "cell": -sums}


def decode(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Adds the last token to the state of each parent; the score is the state."""
    hidden = feeds["hidden"][:, feeds["parents"]] + feeds["token_ids"][None, :, None]
    num_candidates = int(feeds.get("num_candidates", [1])[0])
    return {
        "next_hidden": hidden.astype(np.float32),
        "next_cell": -hidden.astype(np.float32),
        "scores": np.repeat(hidden[0], num_candidates, axis=1).astype(np.float32),
        "candidates": np.tile(np.arange(num_candidates), (hidden.shape[1], 1)),
        "attention": np.zeros((len(feeds["keys"]), 1, PAGE_SIZE), np.float32),
    }


@pytest.fixture
def decoder() -> FakeSession:
    return FakeSession(decode)


@pytest.fixture
def session(decoder: FakeSession) -> DecoderSession:
    return DecoderSession(FakeSession(encode), decoder, PAD_ID)


def source(*token_ids: int) -> TokenSequence:
    return TokenSequence(list(token_ids), 0.0, 60.0)


def step(session: DecoderSession, token_ids: list[int], parents: list[int]) -> list[float]:
    """The states after a step."""
    rows = np.zeros((len(session.owners), 1), np.int64)
    outputs = session.step(np.array(token_ids), np.array(parents), rows, num_candidates=1)
    return outputs.scores[:, 0].tolist()


def test_sentences_begin_with_the_state_of_their_encoding(session: DecoderSession) -> None:
    handles, first_row = session.encode([source(1, 2, 3), source(10)])

    assert (handles, first_row) == ([0, 1], 0)
    assert step(session, [100, 200], [0, 1]) == [106.0, 210.0]
    assert session.encode_seconds > 0.0


def test_new_sentences_have_rows_below_those_of_the_last_step(session: DecoderSession) -> None:
    session.encode([source(1), source(2)])
    step(session, [0, 0, 0], [0, 1, 1])  # three hypotheses

    _, first_row = session.encode([source(7)])

    assert first_row == 3
    assert step(session, [0, 0], [2, 3]) == [2.0, 7.0]


def test_pages_belong_to_their_sentence_until_it_is_released(session: DecoderSession) -> None:
    (long, short), _ = session.encode([source(*range(1, PAGE_SIZE + 2)), source(5)])
    assert list(session.find_pages(long)) == [0, 1]
    assert session.owners.tolist() == [long, long, short]

    session.release(long)

    assert session.owners.tolist() == [short]
    assert list(session.find_pages(short)) == [0]


def test_the_decoder_reads_the_memory_as_it_is_now(
    session: DecoderSession, decoder: FakeSession
) -> None:
    (first, _), _ = session.encode([source(3), source(5)])
    session.release(first)
    step(session, [0], [1])

    keys = decoder.feeds[-1]["keys"]
    assert (keys.shape, keys[0, 0, 0]) == ((1, 1, PAGE_SIZE), 5.0)


def test_a_step_gives_as_many_candidates_as_asked_for(session: DecoderSession) -> None:
    session.encode([source(1)])
    outputs = session.step(np.array([0]), np.array([0]), np.zeros((1, 1), np.int64), 4)

    assert outputs.candidates.shape == outputs.scores.shape == (1, 4)


def test_after_clearing_rows_and_handles_begin_anew(session: DecoderSession) -> None:
    session.encode([source(1), source(2)])
    session.clear()

    assert session.encode([source(3)]) == ([0], 0)
    assert step(session, [0], [0]) == [3.0]
