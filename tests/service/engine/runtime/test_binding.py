"""Arrays with fixed places and runs over them, on the CPU."""

from pathlib import Path

import numpy as np
import pytest

from service.engine.runtime.binding import OnnxBoundSession, OnnxMemory
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.errors import InferenceFailed

CPU = Device("cpu")
TABLE = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.fixture
def session() -> OnnxBoundSession:
    """See `test_session.graph_path`."""
    return OnnxBoundSession(OnnxSession(Path(__file__).parent / "gather.onnx", CPU), CPU)


@pytest.fixture
def memory() -> OnnxMemory:
    return OnnxMemory(CPU)


def test_an_array_is_a_copy_at_an_address_of_its_own(memory: OnnxMemory) -> None:
    table = TABLE.copy()
    placed = memory.put(table)
    address = placed.address
    table[:] = 0.0

    assert placed.read().tolist() == TABLE.tolist()
    placed.write(TABLE[::-1])
    assert placed.read().tolist() == TABLE[::-1].tolist()
    assert placed.address == address
    assert placed.shape == (3, 2)


def test_what_was_read_does_not_change_with_the_array(memory: OnnxMemory) -> None:
    placed = memory.put(TABLE)
    found = placed.read()
    placed.write(np.zeros_like(TABLE))

    assert found.tolist() == TABLE.tolist()


def test_a_graph_declares_shapes_and_types(session: OnnxBoundSession) -> None:
    shape, dtype = session.inputs["table"]

    assert (shape[1], dtype) == (2, np.float32)
    assert session.inputs["rows"][1] is np.int64
    assert set(session.outputs) == {"chosen", "count"}


def test_a_bound_run_reads_and_writes_its_places(
    session: OnnxBoundSession, memory: OnnxMemory
) -> None:
    rows = memory.put(np.array([2, 0]))
    outputs = {
        "chosen": memory.put(np.zeros((2, 2), np.float32)),
        "count": memory.put(np.zeros(1, session.outputs["count"][1])),
    }
    binding = session.bind({"table": memory.put(TABLE), "rows": rows}, outputs)

    binding.run()
    first = outputs["chosen"].read()
    rows.write(np.array([1, 1]))
    binding.run()

    assert first.tolist() == [[4, 5], [0, 1]]
    assert outputs["chosen"].read().tolist() == [[2, 3], [2, 3]]


def test_a_run_without_places_gives_new_arrays(
    session: OnnxBoundSession, memory: OnnxMemory
) -> None:
    found = session.run({"table": memory.put(TABLE), "rows": memory.put(np.array([1]))})

    assert found["chosen"].read().tolist() == [[2, 3]]


def test_a_run_that_fails_is_an_inference_failure(
    session: OnnxBoundSession, memory: OnnxMemory
) -> None:
    with pytest.raises(InferenceFailed, match="the runtime failed on a batch"):
        session.run({"table": memory.put(TABLE), "rows": memory.put(np.array([9]))})
