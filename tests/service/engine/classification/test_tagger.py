"""The runner of text as it comes in, over a graph whose states can be followed by hand."""

from collections.abc import Mapping

import numpy as np
import pytest

from service.arrays import Array
from service.engine.batch import StreamState, TokenSequence
from service.engine.classification.tagger import StreamTaggerRunner, TaggerRunner
from service.engine.runner import run_sequences
from service.errors import InferenceFailed
from tests.fakes import NEVER, PAD_ID, FakeSession

SHAPE = (2, 3)


def label_whole(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Logits (B, T, 1): the ids themselves."""
    return {"logits": feeds["input_ids"][:, :, None].astype(np.float32)}


def add_step(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The state is the sum of a text's ids so far; so are the logits (R, 1)."""
    hidden = feeds["hidden"][:, feeds["parents"]] + feeds["token_ids"][None, :, None]
    return {"logits": hidden[0, :, :1], "next_hidden": hidden}


def make_runner(session: FakeSession, max_rows: int = 8) -> StreamTaggerRunner:
    whole = TaggerRunner(FakeSession(label_whole), PAD_ID, max_rows)
    return StreamTaggerRunner(whole, session, {"hidden": SHAPE}, max_rows)


def piece(stream: StreamState | None, *input_ids: int) -> TokenSequence:
    return TokenSequence(list(input_ids), 0.0, NEVER, stream=stream)


def test_each_token_of_a_whole_text_gets_its_scores() -> None:
    runner = TaggerRunner(FakeSession(label_whole), PAD_ID, 8)
    sequences = [piece(None, 4, 5, 6), piece(None, 7)]
    answers = dict(runner.step(sequences))
    assert [np.asarray(answers[each]).tolist() for each in sequences] == [
        [[4], [5], [6]],
        [[7]],
    ]


def test_text_goes_on_where_it_was() -> None:
    runner, stream = make_runner(FakeSession(add_step)), StreamState()
    (first,) = run_sequences(runner, [piece(stream, 1, 2)])
    (second,) = run_sequences(runner, [piece(stream, 10, 20)])
    assert np.ravel(first).tolist() == [1, 3]
    assert np.ravel(second).tolist() == [13, 33]
    assert stream.states["hidden"].shape == SHAPE
    assert runner.num_running == 0


def test_pieces_join_and_leave_between_tokens() -> None:
    session = FakeSession(add_step)
    runner = make_runner(session)
    streams = [StreamState({"hidden": np.full(SHAPE, 100.0 * n, np.float32)}) for n in range(3)]
    long, short, late = (
        piece(streams[0], 1, 1, 1, 1),
        piece(streams[1], 2, 2),
        piece(streams[2], 3, 3),
    )
    answers = {}
    for arrivals in ([long, short], [], [late], []):
        answers.update(runner.step(arrivals))
    found = [np.ravel(answers[each]).tolist() for each in (long, short, late)]
    assert found == [[1, 2, 3, 4], [102, 104], [203, 206]]
    assert [len(feeds["token_ids"]) for feeds in session.feeds] == [2, 2, 2, 2]


def test_whole_texts_and_pieces_share_a_step() -> None:
    runner = make_runner(FakeSession(add_step))
    whole, part = piece(None, 4, 5), piece(StreamState(), 6)
    answers = dict(runner.step([whole, part]))
    assert np.ravel(answers[whole]).tolist() == [4, 5]
    assert np.ravel(answers[part]).tolist() == [6]


def test_abandoned_piece_leaves_the_batch() -> None:
    runner = make_runner(FakeSession(add_step))
    part = piece(StreamState(), *range(100))
    runner.step([part])
    part.is_abandoned = True
    runner.step([])
    assert (runner.num_running, runner.free_rows) == (0, 8)


def test_failed_step_leaves_streams_as_they_were_and_the_next_one_works() -> None:
    def fail_on_nine(feeds: Mapping[str, Array]) -> dict[str, Array]:
        if 9 in feeds["token_ids"]:
            raise InferenceFailed("not this one")
        return add_step(feeds)

    runner, stream = make_runner(FakeSession(fail_on_nine)), StreamState()
    run_sequences(runner, [piece(stream, 1)])
    before = stream.states["hidden"].copy()
    with pytest.raises(InferenceFailed):
        run_sequences(runner, [piece(stream, 5, 9)])
    runner.reset()
    assert (stream.states["hidden"] == before).all()
    (answer,) = run_sequences(runner, [piece(stream, 2)])
    assert np.ravel(answer).tolist() == [3]
