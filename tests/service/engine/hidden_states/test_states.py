"""The graph of a model's states: when it is opened, and what it is fed."""

from collections.abc import Mapping

import numpy as np

from service.arrays import Array
from service.engine.hidden_states.states import StatesSession
from tests.fakes import FakeSession


def hold_inputs(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The state after each token is the token and the first state; the graph reads one more."""
    ids = np.concatenate([feeds["input_ids"], [[99]]], axis=1)
    return {"0.hidden": (ids[:, :, None] + feeds["hidden"][0]).astype(np.float32)}


def test_the_graph_is_opened_once_and_only_when_it_is_asked() -> None:
    opened: list[FakeSession] = []

    def open_graph() -> FakeSession:
        opened.append(FakeSession(hold_inputs))
        return opened[-1]

    states = StatesSession(open_graph, {"hidden": np.zeros((1, 1, 2), np.float32)})
    assert opened == []
    states.read([1])
    states.read([2, 3])

    (session,) = opened
    assert [feeds["input_ids"].tolist() for feeds in session.feeds] == [[[1]], [[2, 3]]]


def test_there_is_a_state_per_token_of_the_text() -> None:
    first = {"hidden": np.array([[[0.0, 0.5]]], np.float32)}
    found = StatesSession(lambda: FakeSession(hold_inputs), first).read([4, 5, 6])

    assert found["0.hidden"].tolist() == [[4.0, 4.5], [5.0, 5.5], [6.0, 6.5]]


def test_a_condition_gives_the_first_state() -> None:
    conditioner = FakeSession(lambda feeds: {"hidden": feeds["features"][None]})
    states = StatesSession(lambda: FakeSession(hold_inputs), {}, conditioner)

    assert states.read([1], features=(0.25, 0.75))["0.hidden"].tolist() == [[1.25, 1.75]]
    assert conditioner.feeds[0]["features"].dtype == np.float32
