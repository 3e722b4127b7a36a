"""Every rule of the fake device, broken once."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from loadtests.gpu.fake_device import FakeArray, FakeDevice, FakeSession, RuleError
from service.engine.runtime.binding import (
    EAGER,
    Binding,
    BoundSession,
    DeviceArray,
    OnnxBoundSession,
    OnnxMemory,
)
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from tests.threads import call_elsewhere

CPU = Device("cpu")
GRAPH = Path(__file__).parents[2] / "service" / "engine" / "runtime" / "gather.onnx"
"""table (N, 2) float32 and rows (R) int64 -> chosen (R, 2), count (1)."""


def gather() -> BoundSession:
    return OnnxBoundSession(OnnxSession(GRAPH, CPU), CPU)


def put_inputs(device: FakeDevice, num_rows: int = 2) -> dict[str, FakeArray]:
    return {
        "table": device.put(np.arange(6, dtype=np.float32).reshape(3, 2)),
        "rows": device.put(np.arange(num_rows)),
    }


def put_outputs(device: FakeDevice, num_rows: int = 2) -> dict[str, FakeArray]:
    return {
        "chosen": device.put(np.zeros((num_rows, 2), np.float32)),
        "count": device.put(np.zeros(1, np.int64)),
    }


class Meddling:
    """A session whose runs call something halfway, as a graph with a host copy in it would."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self._session, self._meddle = gather(), meddle
        self.inputs, self.outputs = self._session.inputs, self._session.outputs

    def bind(
        self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]
    ) -> Binding:
        self._binding = self._session.bind(inputs, outputs)
        return self

    def run(self, graph_id: int = EAGER) -> None:
        self._binding.run(graph_id)
        self._meddle()


def test_graph_is_recorded_and_replayed_over_the_same_arrays() -> None:
    device = FakeDevice()
    session = FakeSession(gather(), device, can_capture=True)
    inputs, outputs = put_inputs(device), put_outputs(device)
    binding = session.bind(inputs, outputs)
    for rows in ([2, 0], [1, 1]):
        inputs["rows"].write(np.array(rows))
        binding.run(7)
        assert outputs["chosen"].read()[:, 0].tolist() == [2 * row for row in rows]
    assert (device.num_puts, device.num_writes, device.num_reads) == (4, 2, 2)
    assert device.num_runs == {7: 2}


def test_other_addresses_are_refused() -> None:
    device = FakeDevice()
    session = FakeSession(gather(), device, can_capture=True)
    inputs, outputs = put_inputs(device), put_outputs(device)
    session.bind(inputs, outputs).run(1)
    with pytest.raises(RuleError, match="graph 1 was recorded over other addresses"):
        session.bind(put_inputs(device), outputs).run(1)
    with pytest.raises(RuleError, match="graph 1 was recorded over other addresses"):
        session.bind(inputs, put_outputs(device)).run(1)
    session.bind(put_inputs(device), outputs).run(2)
    session.bind(inputs, put_outputs(device)).run(EAGER)


def test_other_shapes_are_refused_even_at_the_same_address() -> None:
    device = FakeDevice()
    session = FakeSession(gather(), device, can_capture=True)
    inputs, outputs = put_inputs(device), put_outputs(device)
    session.bind(inputs, outputs).run(1)
    same_place = FakeArray(device, inputs["rows"])
    same_place.shape = (1, 2)
    with pytest.raises(RuleError, match="other addresses or shapes"):
        session.bind({**inputs, "rows": same_place}, outputs).run(1)


@pytest.mark.parametrize("kind", ["put", "read", "write"])
def test_host_copies_within_a_recorded_run_are_refused(kind: str) -> None:
    device = FakeDevice()
    array = device.put(np.zeros(1, np.int64))
    copies: dict[str, Callable[[], object]] = {
        "put": lambda: device.put(np.zeros(1)),
        "read": array.read,
        "write": lambda: array.write(np.ones(1, np.int64)),
    }
    session = FakeSession(Meddling(copies[kind]), device, can_capture=True)  # type: ignore[arg-type]
    binding = session.bind(put_inputs(device), put_outputs(device))
    binding.run(EAGER)
    for _ in range(2):  # the recording and the replay
        with pytest.raises(RuleError, match="host copy while graph 5"):
            binding.run(5)
    copies[kind]()


def test_array_of_the_host_is_refused() -> None:
    device = FakeDevice()
    session = FakeSession(gather(), device, can_capture=True)
    inputs, outputs = put_inputs(device), put_outputs(device)
    on_host = OnnxMemory(CPU).put(np.arange(2))
    binding = session.bind({**inputs, "rows": on_host}, outputs)
    binding.run(EAGER)
    with pytest.raises(RuleError, match="rows of graph 3 does not lie on the device"):
        binding.run(3)
    with pytest.raises(RuleError, match="rows of graph 3 does not lie on the device"):
        session.bind({**inputs, "rows": FakeDevice().put(np.arange(2))}, outputs).run(3)


@pytest.mark.parametrize("use", ["put", "read", "write", "bind", "run", "place outputs"])
def test_second_thread_is_refused(use: str) -> None:
    device = FakeDevice()
    session = FakeSession(gather(), device)
    inputs, outputs = put_inputs(device), put_outputs(device)
    binding = session.bind(inputs, outputs)
    uses: dict[str, Callable[[], object]] = {
        "put": lambda: device.put(np.zeros(1)),
        "read": inputs["rows"].read,
        "write": lambda: inputs["rows"].write(np.arange(2)),
        "bind": lambda: session.bind(inputs, outputs),
        "run": binding.run,
        "place outputs": lambda: session.run(inputs),
    }
    uses[use]()
    error = call_elsewhere(uses[use])
    assert isinstance(error, RuleError)
    assert "second thread" in str(error)


def test_session_that_cannot_record_is_refused_an_id() -> None:
    device = FakeDevice()
    binding = FakeSession(gather(), device).bind(put_inputs(device), put_outputs(device))
    binding.run(EAGER)
    with pytest.raises(RuleError, match="cannot record"):
        binding.run(0)


def test_run_that_reads_what_it_writes_is_refused() -> None:
    device = FakeDevice()
    inputs = put_inputs(device, num_rows=3)
    outputs = {**put_outputs(device), "chosen": inputs["table"]}
    with pytest.raises(RuleError, match="reads what it writes"):
        FakeSession(gather(), device).bind(inputs, outputs)


def test_outputs_that_the_runtime_places_are_the_devices() -> None:
    device = FakeDevice()
    found = FakeSession(gather(), device).run(put_inputs(device))
    assert found["chosen"].read().tolist() == [[0, 1], [2, 3]]
    assert device.num_reads == 1
