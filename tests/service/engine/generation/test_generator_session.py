"""The states of a language model between two steps; the graphs add up what they read."""

from collections.abc import Mapping

import numpy as np

from service.arrays import Array
from service.engine.batch import TokenSequence
from service.engine.generation.generator_session import GeneratorSession
from tests.fakes import FakeSession

VOCAB_SIZE = 7


def add_prompt(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The next state is the sum of the tokens that are not padding."""
    is_token = np.arange(feeds["input_ids"].shape[1]) < feeds["lengths"][:, None]
    sums = (feeds["input_ids"] * is_token).sum(axis=1)
    return {"next_hidden": feeds["hidden"] + sums[None, :, None].astype(np.float32)}


def add_token(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Adds the last token to the state of each parent; the logits tell the state."""
    states = feeds["hidden"][:, feeds["parents"]] + feeds["token_ids"][None, :, None]
    logits = np.repeat(states[0, :, :1], VOCAB_SIZE, axis=1)
    return {"next_hidden": states.astype(np.float32), "logits": logits.astype(np.float32)}


def make_session(
    conditioner: FakeSession | None = None,
) -> tuple[GeneratorSession, FakeSession]:
    prefill = FakeSession(add_prompt)
    shapes = {"hidden": (1, 2)}
    session = GeneratorSession(prefill, FakeSession(add_token), conditioner, shapes, pad_id=50)
    return session, prefill


def prompt(*token_ids: int, features: tuple[float, ...] | None = None) -> TokenSequence:
    return TokenSequence(list(token_ids), 0.0, 60.0, features=features)


def test_all_of_a_prompt_but_its_last_token_is_read_beforehand() -> None:
    session, prefill = make_session()

    read = session.read([prompt(1, 2, 3), prompt(4, 5)])
    logits = session.step(np.array([3, 5]), np.array([0, 1]))

    assert read == [[1, 2, 3], [4, 5]]
    assert prefill.feeds[0]["input_ids"].tolist() == [[1, 2], [4, 50]]
    assert logits[:, 0].tolist() == [6.0, 9.0]
    assert session.prefill_seconds > 0.0


def test_prompts_of_one_token_need_no_reading() -> None:
    session, prefill = make_session()

    session.read([prompt(3), prompt(4)])

    assert prefill.feeds == []
    assert (session.num_rows, session.prefill_seconds) == (2, 0.0)


def test_new_texts_come_below_those_that_run() -> None:
    session, _ = make_session()
    session.read([prompt(1, 1), prompt(2, 2)])
    session.step(np.array([1, 2]), np.array([0, 1]))

    session.read([prompt(30, 3), prompt(7)])

    assert session.num_rows == 4
    # the first has ended; the others go on
    logits = session.step(np.array([0, 3, 7]), np.array([1, 2, 3]))
    assert logits[:, 0].tolist() == [4.0, 33.0, 7.0]
    assert session.num_rows == 3


def test_a_condition_is_where_a_text_begins() -> None:
    conditioner = FakeSession(lambda feeds: {"hidden": feeds["features"][None]})
    session, _ = make_session(conditioner)

    session.read([prompt(5, features=(100.0, 0.0)), prompt(1, 5, features=(200.0, 0.0))])

    logits = session.step(np.array([5, 5]), np.array([0, 1]))
    assert logits[:, 0].tolist() == [105.0, 206.0]


def test_cleared_texts_are_forgotten() -> None:
    session, _ = make_session()
    session.read([prompt(1)])
    session.clear()

    assert session.num_rows == 0
