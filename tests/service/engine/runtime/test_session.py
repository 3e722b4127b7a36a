from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from service.arrays import Array
from service.engine.runtime.device import Device, resolve_device
from service.engine.runtime.session import OnnxSession
from service.errors import ArtefactError, DeviceUnavailable, InferenceFailed

CPU = Device("cpu")
HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
without_cuda = pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has the CUDA provider")


@pytest.fixture(scope="module")
def graph_path() -> Path:
    """A graph that gathers: table (N, 2) float32 and rows (R) int64 -> chosen (R, 2), count (1).

    tests/export/test_service_files.py makes the same one and compares.
    """
    return Path(__file__).parent / "gather.onnx"


def make_feeds(*rows: int) -> dict[str, Array]:
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    return {"table": table, "rows": np.array(rows, dtype=np.int64)}


def test_outputs_come_by_name(graph_path: Path) -> None:
    outputs = OnnxSession(graph_path, CPU).run(make_feeds(2, 0))

    assert outputs["chosen"].tolist() == [[4, 5], [0, 1]]
    assert outputs["count"].tolist() == [2]


def test_feeds_that_the_graph_does_not_have_are_ignored(graph_path: Path) -> None:
    feeds: Mapping[str, Array] = {**make_feeds(1), "cell": np.zeros(3)}

    assert OnnxSession(graph_path, CPU).run(feeds)["chosen"].tolist() == [[2, 3]]


def test_names_of_the_graph_are_mapped_to_the_engines(graph_path: Path) -> None:
    session = OnnxSession(graph_path, CPU, 1, {"parents": "rows"}, {"states": "chosen"})
    feeds = make_feeds(1)

    outputs = session.run({"table": feeds["table"], "parents": feeds["rows"]})

    assert session.input_names == ["table", "parents"]
    assert sorted(outputs) == sorted(session.output_names) == ["count", "states"]


def test_missing_graph_is_an_artefact_error(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"unknown\.onnx cannot be loaded"):
        OnnxSession(tmp_path / "unknown.onnx", CPU)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x07" * 50], ids=repr)
def test_broken_graph_is_an_artefact_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)

    with pytest.raises(ArtefactError, match=r"broken\.onnx cannot be loaded") as raised:
        OnnxSession(path, CPU)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "feeds",
    [
        {"table": np.zeros((3, 2), np.float32), "rows": np.array([7])},
        {"table": np.zeros((3, 2), np.float64), "rows": np.array([0])},
        {"table": np.zeros((3, 5), np.float32), "rows": np.array([0])},
        {"table": np.zeros(3, np.float32), "rows": np.array([0])},
    ],
    ids=["value out of range", "wrong type", "wrong shape", "wrong rank"],
)
def test_wrong_input_is_an_inference_failure_and_the_session_lives_on(
    graph_path: Path, feeds: dict[str, Array]
) -> None:
    session = OnnxSession(graph_path, CPU)

    with pytest.raises(InferenceFailed, match="runtime failed on a batch"):
        session.run(feeds)
    assert session.run(make_feeds(1))["count"].tolist() == [1]


def test_missing_feed_is_an_inference_failure_that_names_it(graph_path: Path) -> None:
    with pytest.raises(InferenceFailed, match="'rows'"):
        OnnxSession(graph_path, CPU).run({"table": make_feeds()["table"]})


@pytest.mark.filterwarnings("ignore:Specified provider")
@without_cuda
def test_cuda_session_never_becomes_a_cpu_session(graph_path: Path) -> None:
    with pytest.raises(DeviceUnavailable, match="set the device to cpu"):
        OnnxSession(graph_path, Device("cuda", 0))


@pytest.mark.gpu
def test_cuda_session_runs_on_the_gpu(graph_path: Path) -> None:
    outputs = OnnxSession(graph_path, resolve_device("cuda")).run(make_feeds(2))

    assert outputs["chosen"].tolist() == [[4, 5]]


@pytest.mark.gpu
def test_gpu_that_does_not_exist_is_an_error_with_a_remedy(graph_path: Path) -> None:
    with pytest.raises(DeviceUnavailable, match="cuda:63 was asked for"):
        OnnxSession(graph_path, resolve_device("cuda:63"))
