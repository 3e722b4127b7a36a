"""Sessions of onnxruntime: arrays in, arrays out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

from service.arrays import Array
from service.engine.runtime.device import CPU_PROVIDER, CUDA_PROVIDER, Device
from service.engine.runtime.device_thread import thread_of
from service.errors import ArtefactError, DeviceUnavailable, InferenceFailed


class Session(Protocol):
    """One graph that can be run; the seam at which the engine could move to another process."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the graph once.

        Args:
            feeds: arrays by the engine's input names; those the graph does not have are ignored.

        Returns:
            All outputs, by the engine's output names.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        ...


class OnnxSession:
    """A graph loaded by onnxruntime. Not locked: one thread runs it, on CUDA the device's own.

    Args:
        path: the `.onnx` file; external weights lie beside it.
        device: where it runs; a CUDA session that cannot be made is an error, never a CPU session.
        num_threads: threads within an operator, CPU only.
        inputs, outputs: the graph's names by the engine's names, if they differ.
        can_capture: whether a CUDA session may record its runs as CUDA graphs; the runtime refuses
            to load a graph for that with nodes that would not run on the GPU.
        notes_placement: whether the runtime notes which provider each node is given to.

    Raises:
        ArtefactError: the graph cannot be loaded.
        DeviceUnavailable: the CUDA provider cannot be started.
    """

    def __init__(
        self,
        path: Path,
        device: Device,
        num_threads: int = 1,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        *,
        can_capture: bool = False,
        notes_placement: bool = False,
    ) -> None:
        self.can_capture = can_capture
        self._thread = thread_of(device)
        options = _make_options(num_threads, notes_placement=notes_placement)
        self._session = self._thread.call(_open_session, path, device, options, can_capture)
        by_graph_name = {theirs: ours for ours, theirs in (inputs or {}).items()}
        self._inputs = [
            (by_graph_name.get(node.name, node.name), node.name)
            for node in self._session.get_inputs()
        ]
        by_output_name = {theirs: ours for ours, theirs in (outputs or {}).items()}
        self._output_names = [node.name for node in self._session.get_outputs()]
        self._our_output_names = [by_output_name.get(name, name) for name in self._output_names]

    @property
    def native(self) -> onnxruntime.InferenceSession:
        """The runtime's own session, for `service.engine.runtime.binding`."""
        return self._session

    @property
    def placement(self) -> dict[str, str]:
        """The provider of each node, by the node's name, for a session that `notes_placement`."""
        return {
            node.name: part.ep_name
            for part in self._session.get_provider_graph_assignment_info()
            for node in part.get_nodes()
        }

    @property
    def input_names(self) -> list[str]:
        return [ours for ours, _ in self._inputs]

    @property
    def output_names(self) -> list[str]:
        return self._our_output_names

    def input_shape(self, name: str) -> list[int | str | None]:
        """The shape that the graph declares for an input; a name or None where it may vary."""
        theirs = dict(self._inputs)[name]
        nodes = {node.name: node for node in self._session.get_inputs()}
        shape: list[int | str | None] = nodes[theirs].shape
        return shape

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        try:
            given = {theirs: feeds[ours] for ours, theirs in self._inputs}
            arrays = self._thread.call(self._session.run, self._output_names, given)
        except KeyError as exc:
            raise InferenceFailed(
                f"the graph wants an input {exc} that the engine does not give"
            ) from exc
        except Exception as exc:  # onnxruntime's exceptions share no base of their own
            raise InferenceFailed(f"the runtime failed on a batch: {exc}") from exc
        return dict(
            zip(self._our_output_names, (np.asarray(array) for array in arrays), strict=True)
        )


def _make_options(num_threads: int, *, notes_placement: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # shapes change with every batch
    # spinning starves the other engines
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if notes_placement:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _open_session(
    path: Path, device: Device, options: onnxruntime.SessionOptions, can_capture: bool
) -> onnxruntime.InferenceSession:
    unavailable = (
        f"device {device} was asked for, but the CUDA provider did not start; check the driver and "
        "the CUDA and cuDNN libraries, or set the device to cpu"
    )
    try:
        # the fall-back that is off here would go on with the CPU after a fault of the GPU
        session = onnxruntime.InferenceSession(
            str(path), options, providers=_providers(device, can_capture), enable_fallback=0
        )
    except Exception as exc:  # as above
        if device.kind == "cuda" and "CUDA" in str(exc):
            raise DeviceUnavailable(unavailable) from exc
        raise ArtefactError(f"{path} cannot be loaded: {str(exc).splitlines()[0]}") from exc
    if device.kind == "cuda" and session.get_providers()[0] != CUDA_PROVIDER:
        raise DeviceUnavailable(unavailable)
    return session


def _providers(device: Device, can_capture: bool) -> list[Any]:
    if device.kind == "cpu":
        return [CPU_PROVIDER]
    onnxruntime.preload_dlls()
    options: dict[str, Any] = {
        "device_id": device.index,
        "arena_extend_strategy": "kSameAsRequested",
    }
    if device.memory_limit:
        options["gpu_mem_limit"] = device.memory_limit
    if can_capture:
        options["enable_cuda_graph"] = "1"
    return [(CUDA_PROVIDER, options), CPU_PROVIDER]
