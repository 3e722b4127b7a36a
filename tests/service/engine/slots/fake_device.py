"""A device that enforces what CUDA graphs demand, over graphs that the CPU really runs.

One thread uses it. A run with a graph id has the addresses and shapes of the first run with that
id. No run reads what it writes. Copies to and from the host are counted.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.arrays import Array
from service.engine.binding import EAGER, Binding, BoundSession, DeviceArray, OnnxArray, OnnxMemory
from service.engine.device import Device
from service.errors import InferenceFailed

Places = dict[str, tuple[int, tuple[int, ...]]]


class RuleError(AssertionError):
    """A CUDA device would have refused, or given wrong results."""


@dataclass
class FakeDevice:
    """What happened on it.

    Attributes:
        num_puts, num_reads, num_writes: copies from, to and again from the host.
        num_runs: by graph id.
    """

    num_puts: int = 0
    num_reads: int = 0
    num_writes: int = 0
    num_runs: dict[int, int] = field(default_factory=dict)
    thread_ident: int | None = None

    def enter(self) -> None:
        """Notes a use of the device."""
        ident = threading.get_ident()
        if self.thread_ident is None:
            self.thread_ident = ident
        if ident != self.thread_ident:
            raise RuleError("a second thread uses the device")

    def put(self, array: Array) -> "FakeArray":
        self.enter()
        self.num_puts += 1
        return FakeArray(self, OnnxMemory(Device("cpu")).put(array))


class FakeArray(OnnxArray):
    """An array that counts its copies."""

    def __init__(self, device: FakeDevice, array: OnnxArray) -> None:
        super().__init__(array.value)
        self._device = device

    def read(self) -> Array:
        self._device.enter()
        self._device.num_reads += 1
        return super().read()

    def write(self, array: Array) -> None:
        self._device.enter()
        self._device.num_writes += 1
        super().write(array)


class FakeSession:
    """A bound session that holds its callers to the rules.

    Args:
        session: that runs the graph.
        device: where.
        can_capture: whether runs may have an id.

    Attributes:
        places: addresses and shapes of each graph.
        recording_fails, replays_garbage: faults to be found before requests come.
    """

    def __init__(
        self, session: BoundSession, device: FakeDevice, *, can_capture: bool = False
    ) -> None:
        self._session, self.device, self._can_capture = session, device, can_capture
        self.places: dict[int, Places] = {}
        self.recording_fails = self.replays_garbage = False
        self.inputs: Mapping[str, tuple[Sequence[int | str | None], type]] = session.inputs

    def bind(
        self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]
    ) -> Binding:
        self.device.enter()
        written = {array.address for array in outputs.values()}
        if written & {array.address for array in inputs.values()}:
            raise RuleError("a run reads what it writes")
        places = {name: (array.address, array.shape) for name, array in inputs.items()}
        places |= {name: (array.address, array.shape) for name, array in outputs.items()}
        tokens = outputs.get("tokens")
        return FakeBinding(self, self._session.bind(inputs, outputs), places, tokens)

    def run(self, inputs: Mapping[str, DeviceArray]) -> dict[str, DeviceArray]:
        self.device.enter()
        return dict(self._session.run(inputs))

    def check(self, graph_id: int, places: Places) -> None:
        """Raises if a graph of that id was recorded over other places."""
        self.device.enter()
        self.device.num_runs[graph_id] = self.device.num_runs.get(graph_id, 0) + 1
        if graph_id == EAGER:
            return
        if self.recording_fails:
            raise InferenceFailed("the graph cannot be recorded")
        if not self._can_capture:
            raise RuleError("the session cannot record CUDA graphs")
        if self.places.setdefault(graph_id, places) != places:
            raise RuleError(f"graph {graph_id} was recorded over other addresses or shapes")


class FakeBinding:
    """A binding of a `FakeSession`; `tokens` is what it gives, if it is a step."""

    def __init__(
        self, session: FakeSession, binding: Binding, places: Places, tokens: DeviceArray | None
    ) -> None:
        self._session, self._binding, self._places = session, binding, places
        self._tokens = tokens

    def run(self, graph_id: int = EAGER) -> None:
        self._session.check(graph_id, self._places)
        self._binding.run(EAGER)
        if self._tokens and graph_id != EAGER and self._session.replays_garbage:
            self._tokens.write(np.full(self._tokens.shape, -1))
