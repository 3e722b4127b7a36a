"""Answers over an encoded text: which memory each of them reads, and when it is forgotten."""

from collections.abc import Mapping

import numpy as np
import pytest

from service.arrays import Array
from service.engine.search.decoder_session import DecoderSession
from service.engine.search.writer_session import WriterSession
from tests.fakes import FakeSession
from tests.service.engine.search.test_decoder_session import PAD_ID, encode, source

START_ID, VOCAB_SIZE = 9, 20


def write(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The logits of a row tell the first token of the text that it answers."""
    hidden = feeds["hidden"][:, feeds["parents"]]
    read = np.zeros(len(feeds["token_ids"]), np.float32)
    for page, rows in enumerate(feeds["rows"]):
        read[rows] = feeds["keys"][page, 0, 0]
    logits = np.repeat(read[:, None], VOCAB_SIZE, axis=1)
    return {"next_hidden": hidden, "next_cell": hidden, "logits": logits}


@pytest.fixture
def decoder() -> DecoderSession:
    return DecoderSession(FakeSession(encode), FakeSession(write), PAD_ID)


@pytest.fixture
def session(decoder: DecoderSession) -> WriterSession:
    return WriterSession(decoder, START_ID)


def step(session: WriterSession, parents: list[int]) -> list[float]:
    """The first token of the text that each row answers."""
    return session.step(np.zeros(len(parents), np.int64), np.array(parents))[:, 0].tolist()


def test_an_answer_begins_with_the_start_token(session: WriterSession) -> None:
    assert session.read([source(1), source(2)]) == [[START_ID]] * 2
    assert session.num_rows == 2
    assert session.prefill_seconds > 0.0


def test_each_row_reads_the_text_that_it_answers(session: WriterSession) -> None:
    session.read([source(1), source(2), source(3)])

    assert step(session, [2, 0, 1]) == [3.0, 1.0, 2.0]
    assert step(session, [1, 2, 0]) == [1.0, 2.0, 3.0]


def test_a_text_is_forgotten_once_no_row_answers_it(
    session: WriterSession, decoder: DecoderSession
) -> None:
    session.read([source(1), source(2), source(3)])
    step(session, [0, 2])
    assert len(decoder.owners) == 2

    session.read([source(4)])

    assert session.num_rows == 3
    assert step(session, [0, 1, 2]) == [1.0, 3.0, 4.0]


def test_cleared_texts_are_forgotten(session: WriterSession, decoder: DecoderSession) -> None:
    session.read([source(1)])
    session.clear()

    assert (session.num_rows, len(decoder.owners)) == (0, 0)
