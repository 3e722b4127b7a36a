"""Translators that decode in slots: on a GPU, or over the fake device in a rehearsal."""

from dataclasses import dataclass
from pathlib import Path

from loadtests.gpu.fake_device import FakeDevice, FakeSession
from loadtests.gpu.trial import Trial
from service.engine.runtime.binding import OnnxBoundSession
from service.engine.runtime.device import Device
from service.engine.runtime.device_thread import CallersThread, DeviceThread, thread_of
from service.engine.runtime.session import OnnxSession
from service.engine.search.translator import TranslatorRunner
from service.engine.slots.session import SlotSession
from service.engine.slots.translator import SlotTranslatorRunner
from service.repository.loader import CAPTURED, bind_slots, load_model, make_slot_runner
from service.repository.manifest import Role
from service.repository.model import LoadedModel


@dataclass(frozen=True)
class Slotted:
    """A translator in slots, and beside it the one that reads pages, with the same weights.

    Attributes:
        thread: that of the device.
    """

    model: LoadedModel
    runner: SlotTranslatorRunner
    thread: DeviceThread

    @property
    def session(self) -> SlotSession:
        return self.runner.slots

    @property
    def paged(self) -> TranslatorRunner:
        return self.runner.paged


def open_slots(folder: Path, trial: Trial, max_rows: int) -> Slotted:
    """Loads a translator that decodes in slots in fp16; its steps are captured.

    Raises:
        ArtefactError: the version has no slots.
    """
    if trial.is_rehearsal:
        return rehearse_slots(folder, max_rows)
    device = trial.device
    model = load_model(folder, device, precision="fp16", max_rows=max_rows, slots="always")
    runner = model.runner
    assert isinstance(runner, SlotTranslatorRunner), f"{folder} has no graphs of slots"
    return Slotted(model, runner, thread_of(device))


def rehearse_slots(folder: Path, max_rows: int) -> Slotted:
    """The same as the loader makes for CUDA, over a device that enforces its rules."""
    cpu, fake = Device("cpu"), FakeDevice()
    model = load_model(folder, cpu, precision="fp16", max_rows=max_rows)
    paged, manifest = model.runner, model.manifest
    assert isinstance(paged, TranslatorRunner), f"{folder} is not a translator"

    def open_graph(role: Role) -> FakeSession:
        session = OnnxSession(folder / manifest.graph(role, "fp16").file, cpu)
        return FakeSession(OnnxBoundSession(session, cpu), fake, can_capture=role in CAPTURED)

    graphs, thread = bind_slots(open_graph), CallersThread()
    runner = make_slot_runner(paged, manifest.ids, graphs, fake, thread, max_rows)
    runner.capture()
    return Slotted(model, runner, thread)
