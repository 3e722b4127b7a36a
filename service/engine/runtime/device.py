"""Devices and processors: what there is, and what a session may use."""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

from service.errors import DeviceUnavailable

# onnxruntime reports its use to its makers unless this is set before it is loaded
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

CUDA_PROVIDER, CPU_PROVIDER = "CUDAExecutionProvider", "CPUExecutionProvider"


@dataclass(frozen=True)
class Device:
    """Where a session runs.

    Attributes:
        kind: cpu or cuda.
        index: of the GPU.
        memory_limit: bytes of the GPU's memory that each session may take; 0 means all.
    """

    kind: str
    index: int = 0
    memory_limit: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"


def resolve_device(name: str, memory_limit: int = 0) -> Device:
    """The device behind `auto`, `cpu`, `cuda` or `cuda:N`.

    Args:
        name: as above.
        memory_limit: see `Device`; a CPU has none.

    Raises:
        DeviceUnavailable: CUDA was asked for by name and this installation or machine has none.
    """
    if name == "cpu":
        return Device("cpu")
    has_provider = CUDA_PROVIDER in onnxruntime.get_available_providers()
    if name == "auto":
        if has_provider and _has_cuda_device():
            return Device("cuda", 0, memory_limit)
        return Device("cpu")
    if not has_provider:
        raise DeviceUnavailable(
            f"device {name} was asked for, but the installed onnxruntime has no CUDA provider; "
            "install the gpu extra (onnxruntime-gpu) or set the device to cpu"
        )
    return Device("cuda", int(name.partition(":")[2] or 0), memory_limit)


def may_use_gpu(name: str) -> bool:
    """Whether `resolve_device` might give a GPU.

    It leaves the driver alone, which would not survive a fork.
    """
    return name != "cpu" and CUDA_PROVIDER in onnxruntime.get_available_providers()


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Processors that this process may use, by affinity mask and cgroup quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _read_quota(cgroup)
    return cpus if quota is None else max(1, min(cpus, round(quota)))


def _read_quota(cgroup: Path) -> float | None:
    """The container's limit in processors, from cgroup v2 or v1; None if there is none."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota, period = (
                (cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text(encoding="ascii")
                for name in ("quota", "period")
            )
        processors = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max" is not a number: unlimited
        return None
    return processors if processors > 0 else None


def _has_cuda_device() -> bool:
    """Whether the driver is installed and sees a device; images carry it to machines without."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    is_up = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return bool(is_up and count.value > 0)
