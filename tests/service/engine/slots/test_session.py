"""Buffers of slots and the runs over them; the graphs are Python functions over arrays.

The tests of the export run the real graphs, on a device that refuses what CUDA would.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from service.arrays import Array
from service.engine.batch import TokenSequence
from service.engine.runtime.binding import EAGER, DeviceArray
from service.engine.runtime.device_thread import CallersThread
from service.engine.slots.buckets import Bucket
from service.engine.slots.session import PADDING, Graphs, SlotSession, fill_shape
from service.errors import InferenceFailed
from tests.fakes import EOS_ID, PAD_ID

BUCKETS = [Bucket(2, 4), Bucket(4, 8)]
Declared = Mapping[str, tuple[Sequence[int | str | None], type]]
STATES: Declared = {"token_ids": (("R",), np.int64), "hidden": (("R",), np.float32)}
SOURCES: Declared = {
    "keys": (("R", "S"), np.float32),
    "values": (("R", "S"), np.float32),
    "padding": (("R", 1, "S"), np.float32),
}


@dataclass
class FakeArray:
    content: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.content.shape

    @property
    def address(self) -> int:
        return id(self.content)

    def read(self) -> Array:
        return self.content.copy()

    def write(self, array: Array) -> None:
        self.content[:] = array


class FakeMemory:
    def put(self, array: Array) -> FakeArray:
        return FakeArray(np.array(array))


Function = Callable[[Mapping[str, Array]], dict[str, Array]]


@dataclass
class FakeBinding:
    session: "FakeGraph"
    inputs: Mapping[str, DeviceArray]
    outputs: Mapping[str, DeviceArray]

    def run(self, graph_id: int = EAGER) -> None:
        self.session.graph_ids.append(graph_id)
        found = self.session.function({name: each.read() for name, each in self.inputs.items()})
        if graph_id != EAGER and self.session.replay_fault is not None:
            self.session.replay_fault(found)
        for name, array in self.outputs.items():
            array.write(found[name])


@dataclass
class FakeGraph:
    """A graph that is a Python function.

    Attributes:
        graph_ids: of its runs.
        replay_fault: spoils the outputs of runs that are recorded or replayed, or raises.
    """

    function: Function
    inputs: Declared = field(default_factory=dict)
    outputs: Declared = field(default_factory=dict)
    graph_ids: list[int] = field(default_factory=list)
    replay_fault: Callable[[dict[str, Array]], object] | None = None

    def bind(
        self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]
    ) -> FakeBinding:
        return FakeBinding(self, inputs, outputs)

    def run(self, inputs: Mapping[str, DeviceArray]) -> dict[str, DeviceArray]:
        found = self.function({name: each.read() for name, each in inputs.items()})
        return {name: FakeArray(array) for name, array in found.items()}


def encode(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Keys and values are the tokens, the first state is their sum."""
    ids = feeds["input_ids"].astype(np.float32)
    is_token = np.arange(ids.shape[1]) < feeds["lengths"][:, None]
    return {"keys": ids, "values": ids, "new_hidden": (ids * is_token).sum(axis=1)}


def join(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Puts what was and what is new below each other, and takes `sources` of it."""
    width, added, new_added = (int(feeds[name][0]) for name in ("width", "added", "new_added"))
    chosen = feeds["sources"]

    def widen(name: str, axis: int, fill: float) -> Array:
        old, new = feeds[name], feeds[f"new_{name}"]
        old = np.take(old, np.arange(width), axis=axis)
        pads = [[(0, 0)] * axis + [(0, more)] for more in (added, new_added)]
        both = [
            np.pad(part, pad, constant_values=fill)
            for part, pad in zip((old, new), pads, strict=True)
        ]
        return np.concatenate(both)[chosen]

    return {
        "next_keys": widen("keys", 1, 0.0),
        "next_values": widen("values", 1, 0.0),
        "next_padding": widen("padding", 2, PADDING),
        "next_hidden": np.concatenate([feeds["hidden"], feeds["new_hidden"]])[chosen],
        "next_token_ids": np.concatenate([feeds["token_ids"], feeds["start_ids"]])[chosen],
    }


def step(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The next token is the sum of the last one and the state; padding counts no tokens."""
    num_tokens = (feeds["padding"] > PADDING / 2).sum(axis=(1, 2))
    tokens = feeds["token_ids"] + feeds["hidden"].astype(np.int64)
    return {
        "tokens": tokens[:, None],
        "scores": num_tokens[:, None].astype(np.float32),
        "next_token_ids": tokens,
        "next_hidden": feeds["hidden"],
    }


@pytest.fixture
def steps() -> FakeGraph:
    outputs = {"tokens": (("R", 1), np.int64), "scores": (("R", 1), np.float32)}
    states = {f"next_{name}": declared for name, declared in STATES.items()}
    return FakeGraph(step, {**SOURCES, **STATES}, {**outputs, **states})


@pytest.fixture
def session(steps: FakeGraph) -> SlotSession:
    joining = FakeGraph(join, {"new_padding": (("R", 1, "S"), np.float32)})
    graphs = Graphs(FakeGraph(encode), joining, {1: steps})
    return SlotSession(graphs, FakeMemory(), CallersThread(), BUCKETS, PAD_ID, EOS_ID)


def source(*token_ids: int) -> TokenSequence:
    return TokenSequence(list(token_ids), 0.0, 60.0, start_id=1000)


def advance(session: SlotSession, num_slots: int) -> tuple[list[int], list[float]]:
    """The next tokens of the first slots, and how many tokens each sees."""
    outputs = session.step(1)
    return outputs["tokens"][:num_slots, 0].tolist(), outputs["scores"][:num_slots, 0].tolist()


def test_a_sentence_begins_with_its_start_token_and_encoding(session: SlotSession) -> None:
    session.join(BUCKETS[0], [source(1, 2, 3), source(10)], np.array([2, 3]))

    assert advance(session, 2) == ([1006, 1010], [3.0, 1.0])
    assert advance(session, 2)[0] == [1012, 1020]


def test_sentences_move_to_a_wider_bucket_with_all_that_they_have(session: SlotSession) -> None:
    session.join(BUCKETS[0], [source(1, 2), source(3)], np.array([2, 3]))
    advance(session, 2)

    session.join(BUCKETS[1], [source(*[1] * 7)], np.array([1, 2, 0, 0]))

    assert session.bucket == BUCKETS[1]
    assert advance(session, 3) == ([1006, 1007, 1006], [1.0, 7.0, 2.0])


def test_sentences_move_back_without_arrivals(session: SlotSession) -> None:
    session.join(BUCKETS[1], [source(1), source(2), source(3)], np.array([2, 3, 4, 0]))
    session.join(BUCKETS[0], [], np.array([2, 1]))

    tokens, _ = advance(session, 2)
    assert tokens == [1003, 1002]


def test_a_join_in_the_same_bucket_does_not_read_what_it_writes(session: SlotSession) -> None:
    session.join(BUCKETS[0], [source(1), source(2)], np.array([2, 3]))
    session.join(BUCKETS[0], [], np.array([1, 0]))
    session.join(BUCKETS[0], [], np.array([1, 0]))

    assert advance(session, 2)[0] == [1001, 1002]


def test_captured_steps_are_replayed_a_graph_for_each_set_of_buffers(
    session: SlotSession, steps: FakeGraph
) -> None:
    session.capture()
    assert session.is_captured
    recorded = set(steps.graph_ids) - {EAGER}
    assert len(recorded) == len(BUCKETS) * 2 * 2
    steps.graph_ids.clear()

    session.join(BUCKETS[0], [source(1)], np.array([2, 0]))
    for _ in range(3):
        session.step(1)

    assert set(steps.graph_ids) <= recorded
    assert steps.graph_ids[0] == steps.graph_ids[2] != steps.graph_ids[1]


def differ(found: dict[str, Array]) -> None:
    found["tokens"] = found["tokens"] + 1


def refuse(found: dict[str, Array]) -> None:
    raise InferenceFailed("cannot be captured")


@pytest.mark.parametrize(("fault", "said"), [(differ, "a replay differs"), (refuse, "captured")])
def test_steps_that_cannot_be_captured_stay_plain(
    fault: Callable[[dict[str, Array]], None],
    said: str,
    session: SlotSession,
    steps: FakeGraph,
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps.replay_fault = fault
    session.capture()
    steps.graph_ids.clear()
    session.join(BUCKETS[0], [source(5)], np.array([2, 0]))

    assert advance(session, 1)[0] == [1005]
    assert (session.is_captured, steps.graph_ids) == (False, [EAGER])
    assert said in caplog.text


def test_shapes_are_filled_with_the_sizes_of_the_bucket() -> None:
    assert fill_shape(("R", 4, "S"), Bucket(16, 32)) == [16, 4, 32]
