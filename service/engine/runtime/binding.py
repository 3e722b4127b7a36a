"""Arrays that stay on a device between runs of a graph, and runs that read and write them there.

The same code serves the CPU, where a test can follow it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import onnxruntime

from service.arrays import Array
from service.engine.batch import LENGTHS_ON_HOST
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.errors import InferenceFailed

EAGER = -1
"""The graph id of a run that is neither recorded nor replayed."""

HOST_INPUTS = frozenset({LENGTHS_ON_HOST})
"""Inputs that are read on the host, also by graphs that run on a device."""

# what the runtime calls the types of our arrays
TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class DeviceArray(Protocol):
    """An array at a fixed address of a device."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def address(self) -> int: ...

    def read(self) -> Array:
        """Copies it to the host."""
        ...

    def write(self, array: Array) -> None:
        """Copies an array of the same shape and type into it."""
        ...


class DeviceMemory(Protocol):
    """Makes arrays on a device."""

    def put(self, array: Array) -> DeviceArray:
        """Copies an array of the host."""
        ...


class Binding(Protocol):
    """A run whose inputs and outputs have their places."""

    def run(self, graph_id: int = EAGER) -> None:
        """Runs the graph.

        The first run with an id is recorded as a CUDA graph, if the session can, and later ones
        replay it.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        ...


class BoundSession(Protocol):
    """A graph whose arrays stay on its device."""

    @property
    def inputs(self) -> Mapping[str, tuple[Sequence[int | str | None], type]]:
        """Shape and type of each input as the graph declares them."""
        ...

    @property
    def outputs(self) -> Mapping[str, tuple[Sequence[int | str | None], type]]:
        """The same of each output."""
        ...

    def bind(
        self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]
    ) -> Binding:
        """Gives every input and output its place."""
        ...

    def run(self, inputs: Mapping[str, DeviceArray]) -> dict[str, DeviceArray]:
        """Runs the graph once; the runtime places the outputs, on the device.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        ...


class OnnxArray:
    """A `DeviceArray` of onnxruntime."""

    def __init__(self, value: onnxruntime.OrtValue) -> None:
        self.value = value
        self.shape = tuple(value.shape())

    @property
    def address(self) -> int:
        address: int = self.value.data_ptr()
        return address

    def read(self) -> Array:
        """See `DeviceArray.read`."""
        return np.array(self.value.numpy())  # the runtime gives a view of a CPU's memory

    def write(self, array: Array) -> None:
        """See `DeviceArray.write`."""
        self.value.update_inplace(np.ascontiguousarray(array))


class OnnxMemory:
    """The `DeviceMemory` of onnxruntime."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def put(self, array: Array) -> OnnxArray:
        """See `DeviceMemory.put`."""
        place = self._device.kind, self._device.index
        # the copy keeps a CPU's array apart from the caller's
        copied = np.array(array, order="C")
        return OnnxArray(onnxruntime.OrtValue.ortvalue_from_numpy(copied, *place))


class OnnxBinding:
    """A `Binding` of onnxruntime."""

    def __init__(self, session: onnxruntime.InferenceSession, binding: object) -> None:
        self._session, self._binding = session, binding

    def run(self, graph_id: int = EAGER) -> None:
        """See `Binding.run`."""
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(graph_id))
        try:
            self._session.run_with_iobinding(self._binding, options)
        except Exception as exc:  # onnxruntime's exceptions share no base of their own
            raise InferenceFailed(f"the runtime failed on a batch: {exc}") from exc


class OnnxBoundSession:
    """A `BoundSession` of onnxruntime.

    Args:
        session: of the graph; it can be run with plain arrays, too.
        device: that of the session.
    """

    def __init__(self, session: OnnxSession, device: Device) -> None:
        self._session = session.native
        self._device = device
        self.inputs, self.outputs = (
            {node.name: (node.shape, TYPES[node.type]) for node in nodes}
            for nodes in (self._session.get_inputs(), self._session.get_outputs())
        )

    def bind(
        self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]
    ) -> OnnxBinding:
        """See `BoundSession.bind`."""
        binding = self._bind_inputs(inputs)
        for name in self.outputs:
            binding.bind_ortvalue_output(name, _value_of(outputs[name]))
        return OnnxBinding(self._session, binding)

    def run(self, inputs: Mapping[str, DeviceArray]) -> dict[str, DeviceArray]:
        """See `BoundSession.run`."""
        binding = self._bind_inputs(inputs)
        for name in self.outputs:
            binding.bind_output(name, self._device.kind, self._device.index)
        OnnxBinding(self._session, binding).run()
        arrays = map(OnnxArray, binding.get_outputs())
        return dict(zip(self.outputs, arrays, strict=True))

    def _bind_inputs(self, inputs: Mapping[str, DeviceArray]) -> onnxruntime.IOBinding:
        binding = self._session.io_binding()
        for name in self.inputs:
            binding.bind_ortvalue_input(name, _value_of(inputs[name]))
        return binding


def _value_of(array: DeviceArray) -> onnxruntime.OrtValue:
    assert isinstance(array, OnnxArray), "a session of onnxruntime takes its own arrays"
    return array.value
