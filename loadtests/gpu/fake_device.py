"""A device that refuses what CUDA graphs refuse, over graphs that the CPU really runs.

- One thread uses it: a CUDA graph belongs to the thread that recorded it, and another thread's call
  spoils a recording.
- A run with a graph id has the addresses and shapes of the first run with that id: a replay reads
  and writes those, whatever is bound.
- Everything that such a run reads and writes lies on the device, and nothing is copied from or to
  the host before it has ended: a copy cannot be recorded.
- No run reads what it writes.
- What recurrent layers read on the host lies there: a copy would wait for the device.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.arrays import Array
from service.engine.runtime.binding import (
    EAGER,
    HOST_INPUTS,
    Binding,
    BoundSession,
    DeviceArray,
    OnnxArray,
    OnnxMemory,
)
from service.engine.runtime.device import Device
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
    _thread_ident: int | None = None
    _graph_id: int = EAGER

    def enter(self) -> None:
        """Notes a use of the device."""
        ident = threading.get_ident()
        if self._thread_ident is None:
            self._thread_ident = ident
        if ident != self._thread_ident:
            raise RuleError("a second thread uses the device")

    def copy(self) -> None:
        """Notes a copy from or to the host."""
        self.enter()
        if self._graph_id != EAGER:
            raise RuleError(f"a host copy while graph {self._graph_id} is recorded or replayed")

    @contextlib.contextmanager
    def run(self, graph_id: int) -> Iterator[None]:
        """Notes a run."""
        self.enter()
        self.num_runs[graph_id] = self.num_runs.get(graph_id, 0) + 1
        self._graph_id = graph_id
        try:
            yield
        finally:
            self._graph_id = EAGER

    def put(self, array: Array) -> "FakeArray":
        self.copy()
        self.num_puts += 1
        return FakeArray(self, OnnxMemory(Device("cpu")).put(array))


class FakeArray(OnnxArray):
    """An array that counts its copies."""

    def __init__(self, device: FakeDevice, array: OnnxArray) -> None:
        super().__init__(array.value)
        self.device = device

    def read(self) -> Array:
        self.device.copy()
        self.device.num_reads += 1
        return super().read()

    def write(self, array: Array) -> None:
        self.device.copy()
        self.device.num_writes += 1
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
        self.outputs: Mapping[str, tuple[Sequence[int | str | None], type]] = session.outputs

    def bind(
        self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]
    ) -> Binding:
        self.device.enter()
        written = {array.address for array in outputs.values()}
        if written & {array.address for array in inputs.values()}:
            raise RuleError("a run reads what it writes")
        bound = {**inputs, **outputs}
        return FakeBinding(self, self._session.bind(inputs, outputs), bound, outputs.get("tokens"))

    def run(self, inputs: Mapping[str, DeviceArray]) -> dict[str, DeviceArray]:
        """Runs the graph once; the outputs are arrays of this device."""
        for name in HOST_INPUTS & self.inputs.keys():
            if isinstance(inputs[name], FakeArray):
                raise RuleError(f"{name} is read on the host, and lies on the device")
        with self.device.run(EAGER):
            outputs = self._session.run(inputs)
        return {name: self._adopt(array) for name, array in outputs.items()}

    def check(self, graph_id: int, bound: Mapping[str, DeviceArray]) -> None:
        """Raises unless the graph of that id can be recorded or replayed over these arrays."""
        if self.recording_fails:
            raise InferenceFailed("the graph cannot be recorded")
        if not self._can_capture:
            raise RuleError("the session cannot record CUDA graphs")
        for name, array in bound.items():
            if not isinstance(array, FakeArray) or array.device is not self.device:
                raise RuleError(f"{name} of graph {graph_id} does not lie on the device")
        places = {name: (array.address, array.shape) for name, array in bound.items()}
        if self.places.setdefault(graph_id, places) != places:
            raise RuleError(f"graph {graph_id} was recorded over other addresses or shapes")

    def _adopt(self, array: DeviceArray) -> FakeArray:
        assert isinstance(array, OnnxArray), "the session within is onnxruntime's"
        return FakeArray(self.device, array)


class FakeBinding:
    """A binding of a `FakeSession`; `tokens` is what it gives, if it is a step."""

    def __init__(
        self,
        session: FakeSession,
        binding: Binding,
        bound: Mapping[str, DeviceArray],
        tokens: DeviceArray | None,
    ) -> None:
        self._session, self._binding, self._bound = session, binding, bound
        self._tokens = tokens

    def run(self, graph_id: int = EAGER) -> None:
        with self._session.device.run(graph_id):
            if graph_id != EAGER:
                self._session.check(graph_id, self._bound)
            self._binding.run(EAGER)
        if self._tokens and graph_id != EAGER and self._session.replays_garbage:
            self._tokens.write(np.full(self._tokens.shape, -1))
