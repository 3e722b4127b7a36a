import os
from pathlib import Path

import onnxruntime
import pytest

from service.engine.runtime.device import Device, available_cpus, resolve_device
from service.errors import DeviceUnavailable

HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
without_cuda = pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has the CUDA provider")


@pytest.mark.parametrize(("name", "text"), [("cpu", "cpu"), ("auto", "cpu")])
@without_cuda
def test_cpu_is_used_where_asked_for_and_where_there_is_nothing_else(name: str, text: str) -> None:
    assert str(resolve_device(name)) == text


@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
@without_cuda
def test_cuda_asked_for_and_absent_is_an_error_with_a_remedy(name: str) -> None:
    with pytest.raises(
        DeviceUnavailable, match=rf"{name} was asked for.*gpu extra.*set the device"
    ):
        resolve_device(name)


@pytest.mark.gpu
def test_auto_takes_the_gpu_where_there_is_one() -> None:
    assert resolve_device("auto") == Device("cuda", 0)


def test_device_is_written_as_it_is_asked_for() -> None:
    assert [str(device) for device in (Device("cpu"), Device("cuda"), Device("cuda", 2))] == [
        *("cpu", "cuda:0"),
        "cuda:2",
    ]


def write_files(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="ascii")
    return folder


def affinity() -> int:
    return len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    "files",
    [
        {"cpu.max": "100000 100000\n"},
        {"cpu.max": "20000 100000\n"},
        {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"},
    ],
    ids=["v2", "v2, less than one", "v1"],
)
def test_cgroup_quota_bounds_the_processors(tmp_path: Path, files: dict[str, str]) -> None:
    assert available_cpus(write_files(tmp_path, files)) == 1


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000\n"},
        {"cpu.max": "99900000 100000\n"},
        {"cpu.max": "nonsense\n"},
        {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
    ],
    ids=["no files", "no limit", "more than there are", "nonsense", "v1, no limit"],
)
def test_without_a_cgroup_quota_all_processors_count(tmp_path: Path, files: dict[str, str]) -> None:
    assert available_cpus(write_files(tmp_path, files)) == affinity()
