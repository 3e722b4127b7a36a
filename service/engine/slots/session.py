"""Slots of sentences on a device, and the graphs that fill and step them.

Everything stays in buffers of the device from a sentence's encoding to its end; the host gets the
tokens and their scores. Each bucket has buffers of its own whose addresses never change, so that
its steps can be replayed as CUDA graphs.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.arrays import Array, IntArray
from service.engine.batch import TokenSequence, pad_sequences
from service.engine.runtime.binding import (
    EAGER,
    HOST_INPUTS,
    Binding,
    BoundSession,
    DeviceArray,
    DeviceMemory,
    OnnxMemory,
)
from service.engine.runtime.device import Device
from service.engine.runtime.device_thread import DeviceThread
from service.engine.slots.buckets import Bucket
from service.errors import InferenceFailed

log = logging.getLogger(__name__)

# Added to the score of a position without a token; as in export.graphs.slots.
PADDING = -1e4
# What a sentence brings along, unlike what changes with each step.
SOURCES = ("keys", "values", "padding")
# Numbers of the slots, which belong to a bucket and not to what lies in it.
PLACES = "first_rows"
# Of a hypothesis that is not there yet, so that no continuation of it is chosen.
NEVER = -1e9
NEXT = "next_"
SEED = 3

Arrays = Mapping[str, DeviceArray]


@dataclass
class Graphs:
    """The graphs of a translator that decodes in slots.

    Attributes:
        encoder: of `export.graphs.networks.build_encoder`.
        join: of `export.graphs.slots.build_slot_join`, or `slot_beams.build_beams_join` there.
        steps: of `build_slot_decoder` there, or `slot_beams.build_slot_beams`, by the number of
            steps.
    """

    encoder: BoundSession
    join: BoundSession
    steps: Mapping[int, BoundSession]

    @property
    def inputs(self) -> Mapping[str, tuple[Sequence[int | str | None], type]]:
        """Of a step, however many are in a call."""
        return next(iter(self.steps.values())).inputs

    @property
    def state_names(self) -> list[str]:
        """The names of what changes with each step: last tokens, sums and states."""
        return [name for name in self.inputs if name not in (*SOURCES, PLACES)]

    @property
    def beam_size(self) -> int | None:
        """Hypotheses of a slot; None for greedy decoding, whose arrays have no axis of them."""
        shape, _ = self.inputs["token_ids"]
        return int(shape[1]) if len(shape) > 1 and shape[1] is not None else None


@dataclass
class Side:
    """One of the two sets of buffers of a bucket: a join reads one and writes the other.

    Attributes:
        sources: the encoded sentences.
        states: two sets; a step reads one and writes the other.
        places: numbers of the slots, if the steps read them.
        outputs: what is read after a call, by K; see the builders of the steps.
        steps: the step from each set of states to the other, by K and the set that is read.
    """

    sources: Arrays
    states: tuple[Arrays, Arrays]
    places: Arrays
    outputs: Mapping[int, Arrays]
    steps: Mapping[tuple[int, int], Binding]


class SlotSession:
    """Encodes sentences into slots and steps all slots; the device's thread runs all of it.

    Args:
        graphs: of one translator.
        memory: of the device.
        thread: of the device.
        buckets: smallest first.
        pad_id: fills short rows of the encoder's batch.
        eos_id: stands in empty slots.

    Attributes:
        is_captured: whether steps are replayed as CUDA graphs.
        encode_seconds: see `TranslatorRunner.batch_seconds`.
    """

    def __init__(
        self,
        graphs: Graphs,
        memory: DeviceMemory,
        thread: DeviceThread,
        buckets: Sequence[Bucket],
        pad_id: int,
        eos_id: int,
    ) -> None:
        self.is_captured = False
        self._graphs, self._memory, self._thread = graphs, memory, thread
        self._host = OnnxMemory(Device("cpu"))
        self._inputs, self._beam_size = graphs.inputs, graphs.beam_size
        self._pad_id, self._eos_id = pad_id, eos_id
        self._sides: dict[Bucket, tuple[Side, Side]] = thread.call(
            lambda: {bucket: (self._allocate(bucket), self._allocate(bucket)) for bucket in buckets}
        )
        self._numbers = {bucket: number for number, bucket in enumerate(buckets)}
        self.bucket = buckets[0]
        self._side = self._phase = 0

    def capture(self) -> None:
        """Records the steps of all buckets as CUDA graphs, and compares each with a plain run.

        If one fails or differs, all steps stay plain runs.
        """
        self.is_captured = self._thread.call(self._capture)

    def join(self, bucket: Bucket, arrivals: Sequence[TokenSequence], sources: IntArray) -> None:
        """Moves to a bucket, with some of the sentences in the slots, and with new ones.

        Args:
            bucket: may be the present one.
            arrivals: may be empty.
            sources: (rows of the bucket), for each slot the present slot that it takes over, or the
                number of present slots + the place of an arrival.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        self._thread.call(self._join, bucket, arrivals, sources)

    def step(self, num_steps: int) -> dict[str, Array]:
        """Moves all slots on by K tokens; what it gives is in the builders of the steps.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        return self._thread.call(self._step, num_steps)

    def _allocate(self, bucket: Bucket) -> Side:
        sources = {name: self._allocate_input(name, bucket) for name in SOURCES}
        names = self._graphs.state_names
        states = tuple(
            {name: self._allocate_input(name, bucket) for name in names} for _ in range(2)
        )
        places = {
            name: self._allocate_input(name, bucket) for name in (PLACES,) if name in self._inputs
        }
        outputs = {
            count: {
                name: self._memory.put(np.zeros(fill_shape(shape, bucket), dtype))
                for name, (shape, dtype) in session.outputs.items()
                if not name.startswith(NEXT)
            }
            for count, session in self._graphs.steps.items()
        }
        steps = {
            (count, phase): session.bind(
                {**sources, **places, **states[phase]},
                {**outputs[count], **as_next(states[1 - phase])},
            )
            for count, session in self._graphs.steps.items()
            for phase in range(2)
        }
        return Side(sources, (states[0], states[1]), places, outputs, steps)

    def _allocate_input(self, name: str, bucket: Bucket) -> DeviceArray:
        shape, dtype = self._inputs[name]
        sized = fill_shape(shape, bucket)
        if name == PLACES:
            assert self._beam_size is not None, "beams alone read the places of their slots"
            return self._memory.put(self._beam_size * np.arange(bucket.rows)[:, None])
        fill = {"padding": PADDING, "token_ids": self._eos_id}.get(name, 0)
        filled: Array = np.full(sized, fill, dtype)
        return self._memory.put(filled)

    def _join(self, bucket: Bucket, arrivals: Sequence[TokenSequence], sources: IntArray) -> None:
        before, after = self._sides[self.bucket], self._sides[bucket]
        side = 1 - self._side if bucket == self.bucket else 0
        kept = min(bucket.width, self.bucket.width)
        new, longest = self._encode(arrivals)
        sizes = {"width": kept, "added": bucket.width - kept, "new_added": bucket.width - longest}
        present = before[self._side]
        inputs = {
            **present.sources,
            **present.states[self._phase],
            **new,
            **{name: self._memory.put(np.array([size])) for name, size in sizes.items()},
            "sources": self._memory.put(sources),
        }
        target = after[side]
        if self._beam_size is not None:
            inputs["beams"] = self._memory.put(np.zeros(self._beam_size, np.int64))
        outputs = as_next({**target.sources, **target.states[0]})
        self._graphs.join.bind(inputs, outputs).run()
        self.bucket, self._side, self._phase = bucket, side, 0

    def _encode(self, arrivals: Sequence[TokenSequence]) -> tuple[dict[str, DeviceArray], int]:
        """What the join takes of new sentences, and the longest one's tokens.

        If there are none, a sentence of one token stands in: no slot takes it.
        """
        placeholder = [TokenSequence([self._pad_id], 0.0, 0.0)]
        batch = pad_sequences(arrivals or placeholder, self._pad_id)
        put = self._memory.put
        encoded = self._graphs.encoder.run(
            {
                name: (self._host if name in HOST_INPUTS else self._memory).put(array)
                for name, array in batch.feeds.items()
            }
        )
        longest = batch.input_ids.shape[1]
        is_token = np.arange(longest) < batch.lengths[:, None]
        _, dtype = self._graphs.join.inputs["new_padding"]
        padding: Array = np.where(is_token, 0.0, PADDING).astype(dtype)
        renamed = {"keys": "new_keys", "values": "new_values"}
        first = self._start([sequence.start_id for sequence in arrivals or placeholder])
        return {
            **{renamed.get(name, name): array for name, array in encoded.items()},
            **{name: put(array) for name, array in first.items()},
            "new_padding": put(padding[:, None]),
        }, longest

    def _start(self, start_ids: Sequence[int]) -> dict[str, Array]:
        """The first tokens of new sentences, and the sums of their hypotheses."""
        tokens = np.array(start_ids)
        if self._beam_size is None:
            return {"start_ids": tokens}
        totals = np.full((len(tokens), self._beam_size), NEVER, np.float32)
        totals[:, 0] = 0.0  # all start alike, so only the first may go on
        return {
            "start_ids": np.repeat(tokens[:, None], self._beam_size, axis=1),
            "new_totals": totals,
        }

    def _step(self, num_steps: int) -> dict[str, Array]:
        side = self._sides[self.bucket][self._side]
        graph_id = EAGER
        if self.is_captured:
            graph_id = self._graph_id(self.bucket, self._side, self._phase)
        side.steps[num_steps, self._phase].run(graph_id)
        self._phase = 1 - self._phase
        return {name: array.read() for name, array in side.outputs[num_steps].items()}

    def _graph_id(self, bucket: Bucket, side: int, phase: int) -> int:
        """Of each session, a graph per set of addresses."""
        return 4 * self._numbers[bucket] + 2 * side + phase

    def _capture(self) -> bool:
        rng = np.random.default_rng(SEED)
        for bucket, side, phase, count in self._all_steps():
            buffers = self._sides[bucket][side]
            for array in [*buffers.sources.values(), *buffers.states[phase].values()]:
                array.write(draw(array.read(), rng))
            step = buffers.steps[count, phase]
            found: list[Array] = []
            try:
                recorded = self._graph_id(bucket, side, phase)
                step.run(recorded)
                for graph_id in (recorded, EAGER):
                    step.run(graph_id)
                    found.append(buffers.outputs[count]["tokens"].read())
            except InferenceFailed as exc:
                log.warning("steps are not captured as CUDA graphs: %s", exc)
                return False
            if not np.array_equal(found[0], found[1]):
                log.warning("steps are not captured as CUDA graphs: a replay differs, %s", bucket)
                return False
        return True

    def _all_steps(self) -> Iterator[tuple[Bucket, int, int, int]]:
        """Bucket, side, phase and number of steps of every graph."""
        for bucket in self._sides:
            for side in range(2):
                for phase in range(2):
                    for count in self._graphs.steps:
                        yield bucket, side, phase, count


def as_next(arrays: Arrays) -> dict[str, DeviceArray]:
    """Arrays by the names of the outputs that are written there."""
    return {f"{NEXT}{name}": array for name, array in arrays.items()}


def fill_shape(shape: Sequence[int | str | None], bucket: Bucket) -> list[int]:
    """The shape that a graph declares, with the sizes of a bucket."""
    sizes = {"R": bucket.rows, "S": bucket.width}
    return [axis if isinstance(axis, int) else sizes[str(axis)] for axis in shape]


def draw(array: Array, rng: np.random.Generator) -> Array:
    """Numbers of the same shape and type that every step can read."""
    if array.dtype == np.int64:
        return rng.integers(0, 8, array.shape)
    return rng.uniform(-0.5, 0.5, array.shape).astype(array.dtype)
