"""Reads the model repository and keeps its models: load, warm up, look up, verify, stop."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from service.engine.batcher import Batcher
from service.engine.hidden_states.states_worker import ModelStates, StatesWorker
from service.engine.runtime.device import Device, available_cpus, resolve_device
from service.engine.scheduling.admission import QueueLimits
from service.engine.scheduling.scheduler import Scheduler
from service.engine.slots.translator import SlotTranslatorRunner
from service.errors import ArtefactError, ModelNotFound, ServingError
from service.repository.defaults import check_defaults
from service.repository.glossaries import Glossaries, read_glossaries
from service.repository.goldens import check_goldens
from service.repository.loader import load_model
from service.repository.manifest import LABELLED, Manifest
from service.repository.model import LoadedModel, Model
from service.repository.remote_models import describe_model, read_remote_models
from service.repository.versions import find_versions
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.text.languages import detection
from service.transport.engine_server import Engine
from service.transport.remote_engine import RemoteBatcher, RemoteEngine, RemoteStates

STALL_SECONDS = 30.0
MIB = 2**20
# Of the default only: `engines_per_model` may ask for more.
MAX_DEFAULT_ENGINES = 4


@dataclass(frozen=True)
class ServedModel:
    """A model with what answers for it: in this process, or in the engine process."""

    model: Model
    batcher: Batcher | RemoteBatcher
    states: ModelStates | RemoteStates

    @property
    def manifest(self) -> Manifest:
        return self.model.manifest

    @property
    def device(self) -> str:
        return str(self.model.device)

    @property
    def precision(self) -> str:
        return self.model.precision


@dataclass(frozen=True)
class Leg:
    """A direction, and the model that translates it."""

    served: ServedModel
    source: str
    target: str


class Registry:
    """All models of one server, by name; the highest version of each is served.

    Args:
        settings: see `Settings`.
        metrics: where batches are counted.
        engine: the process that has the models; None if this one loads them.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, engine: RemoteEngine | None = None
    ) -> None:
        self._settings, self._metrics, self._engine = settings, metrics, engine
        self._batchers: list[Batcher] = []
        self._served: dict[str, ServedModel] = {}
        self._by_task: dict[str, list[ServedModel]] = {}
        self._by_language: dict[str, ServedModel] = {}  # the classifiers that answer by default
        self.glossaries = Glossaries()
        self._states_worker = StatesWorker(settings.max_queue_tokens)
        self._started = False

    async def start(self) -> None:
        """Loads and warms up every model, or finds it in the engine process; reads the glossaries.

        Raises:
            ArtefactError: the repository is empty, a version or a glossary does not fit, or two
                models answer by default for one kind of request.
            DeviceUnavailable: the device asked for cannot be used.
        """
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=1) as thread:
            if self._engine is None:
                await self._load_models(thread)
            else:
                await self._find_models(self._engine)
            languages = [code for each in self.models() for code in each.manifest.languages]
            await loop.run_in_executor(thread, detection.warm_up, languages)
        self.load_glossaries()
        self._started = True

    async def _load_models(self, thread: ThreadPoolExecutor) -> None:
        device = find_device(self._settings)
        folders = find_versions(self._settings.models_dir)
        loop = asyncio.get_running_loop()
        models = [
            await loop.run_in_executor(thread, prepare_model, folder, device, self._settings)
            for folder in folders
        ]
        check_defaults(model.manifest for model in models)
        for model in models:  # all of them or, after an error, none
            self.serve(model)

    async def _find_models(self, engine: RemoteEngine) -> None:
        models = read_remote_models(self._settings.models_dir, await engine.open())
        limits = make_limits(self._settings)
        for place, model in enumerate(models):
            name = model.manifest.name
            metrics = self._metrics.of_model(name)
            batcher = RemoteBatcher(name, place, engine, limits, metrics)
            self._add(ServedModel(model, batcher, RemoteStates(engine, place)))

    async def stop(self) -> None:
        """Drains every model; admitted requests get `drain_seconds` to finish."""
        self._started = False
        drain_seconds = self._settings.drain_seconds
        await asyncio.gather(*(batcher.stop(drain_seconds) for batcher in self._batchers))
        if self._engine is not None:
            await self._engine.stop(drain_seconds)
        self._states_worker.stop()

    def models(self) -> list[ServedModel]:
        return list(self._served.values())

    def models_of(self, *tasks: str) -> Sequence[ServedModel]:
        """The models of some tasks; those of one task after those of another."""
        return [served for task in tasks for served in self._by_task.get(task, ())]

    def defaults_of(self, *tasks: str) -> Sequence[ServedModel]:
        """Those of them that answer requests without a model's name."""
        return [each for each in self.models_of(*tasks) if each.manifest.answers_by_default]

    def faults(self) -> list[str]:
        """Why the server cannot answer, one sentence each; empty when it can."""
        if not self._started:
            return ["the models are not loaded"]
        if self._engine is not None:
            return self._engine.faults()
        faults = (batcher.fault(STALL_SECONDS) for batcher in self._batchers)
        return [fault for fault in faults if fault]

    def find_model(self, name: str, *tasks: str) -> ServedModel:
        """The model of that name.

        Raises:
            ModelNotFound: there is none, or it does another task.
        """
        served = self._served.get(name)
        if served is None or served.manifest.task not in tasks:
            names = [served.manifest.name for served in self.models_of(*tasks)]
            raise ModelNotFound(
                f"no {' or '.join(tasks)} model is called {name!r}; there are "
                f"{', '.join(names) or 'none'}"
            )
        return served

    def default_classifiers(self) -> Sequence[ServedModel]:
        """Those that answer requests without a model's name."""
        return self.defaults_of("classification")

    def find_classifier(self, language: str) -> ServedModel:
        """The classifier that answers by default for a language.

        Raises:
            ModelNotFound: there is none.
        """
        served = self._by_language.get(language)
        if served is None:
            raise ModelNotFound(f"no classifier answers by default for the language {language!r}")
        return served

    def find_tagger(self, language: str) -> ServedModel:
        """The tagger of whole texts in a language: one that reads both ways, if there is one.

        Raises:
            ModelNotFound: no tagger reads it.
        """
        taggers = [
            served for served in self.models_of("tagging") if language in served.manifest.languages
        ]
        if not taggers:
            raise ModelNotFound(f"no tagger reads the language {language!r}")
        return min(taggers, key=lambda served: served.manifest.lookahead is not None)

    def find_stream_tagger(self, name: str | None) -> ServedModel:
        """The tagger of text as it comes in with that name, or the first one.

        Raises:
            ModelNotFound: there is none, or it reads whole texts only.
        """
        taggers = {
            served.manifest.name: served
            for served in self.models_of("tagging")
            if served.manifest.lookahead is not None
        }
        if name is None and taggers:
            return next(iter(taggers.values()))
        if name not in taggers:
            raise ModelNotFound(
                f"no model that labels text as it comes in is called {name!r}; there are "
                f"{', '.join(taggers) or 'none'}"
            )
        return taggers[name]

    def find_route(self, source: str, target: str) -> list[Leg]:
        """The way from a language to another: one leg, or two through the pivot language.

        Raises:
            ModelNotFound: no models translate that way.
        """
        pivot = self._settings.pivot_language
        for stops in ((source, target), (source, pivot, target)):
            legs = [self._find_leg(*pair) for pair in pairwise(stops)]
            found = [leg for leg in legs if leg is not None]
            if len(found) == len(legs):
                return found
        pairs = ", ".join(f"{first}-{second}" for first, second in self.pairs())
        raise ModelNotFound(
            f"no model translates from {source} to {target}; there are {pairs or 'none'}"
        )

    def _find_leg(self, source: str, target: str) -> Leg | None:
        for served in self.models():
            if (source, target) in served.manifest.pairs:
                return Leg(served, source, target)
        return None

    def pairs(self) -> list[tuple[str, str]]:
        """All translation directions that a model has."""
        return [pair for served in self.models() for pair in served.manifest.pairs]

    def directions(self) -> list[tuple[str, str]]:
        """All translation directions, those through the pivot language last."""
        return list_directions(self.pairs(), self._settings.pivot_language)

    def classified_languages(self) -> list[str]:
        """Languages that some classifier answers for by default."""
        return list(self._by_language)

    def tagged_languages(self) -> list[str]:
        """Languages that some tagger reads."""
        found: dict[str, None] = {}
        for served in self.models_of("tagging"):
            found.update(dict.fromkeys(served.manifest.languages))
        return list(found)

    def _steps_on_loop(self, model: LoadedModel) -> bool:
        """Whether a model's steps are so short, and processors so few, that a thread costs more."""
        manifest = model.manifest
        answers_at_once = manifest.task in LABELLED and manifest.lookahead is None
        is_quick = answers_at_once and model.device.kind == "cpu"
        return is_quick and cpus_for_engines(self._settings) < 2

    def load_glossaries(self) -> None:
        """Reads the glossaries of the repository for the directions of its models.

        Raises:
            ArtefactError: one is not as it should be.
        """
        settings = self._settings
        self.glossaries = read_glossaries(
            settings.models_dir, self.directions(), settings.max_glossary_terms
        )

    def serve(self, model: LoadedModel) -> None:
        """Puts a model behind a batcher and starts it."""
        settings, manifest = self._settings, model.manifest
        batcher = Batcher(
            manifest.name,
            model.runners,
            Scheduler(*batch_bounds(manifest, settings)),
            make_limits(settings),
            self._metrics,
            time.monotonic,
            model.runner if self._steps_on_loop(model) else None,
        )
        batcher.start()
        self._batchers.append(batcher)
        self._add(ServedModel(model, batcher, ModelStates(model.states, self._states_worker)))
        if isinstance(model.runner, SlotTranslatorRunner):
            is_captured = model.runner.is_captured
            self._metrics.cuda_graphs.labels(manifest.name).set(float(is_captured))

    def list_engines(self) -> list[Engine]:
        """All models with what answers for them in this process, to serve front ends."""
        return [
            Engine(describe_model(served.model, self._settings.models_dir), batcher, states)
            for served, batcher in zip(self.models(), self._batchers, strict=True)
            if isinstance(states := served.states, ModelStates)
        ]

    def _add(self, served: ServedModel) -> None:
        manifest = served.manifest
        self._served[manifest.name] = served
        self._by_task[manifest.task] = [
            served for served in self.models() if served.manifest.task == manifest.task
        ]
        self._by_language = {}
        for each in self.default_classifiers():
            for language in each.manifest.languages:
                self._by_language.setdefault(language, each)
        self._metrics.model_info.labels(
            manifest.name,
            manifest.version,
            manifest.task,
            manifest.cell,
            served.precision,
            served.device,
        ).set(1)


def list_directions(pairs: Sequence[tuple[str, str]], pivot: str) -> list[tuple[str, str]]:
    """The pairs of models, then those that two of them make through the pivot language."""
    through = [
        (source, target)
        for source, first in pairs
        for second, target in pairs
        if first == second == pivot and source != target
    ]
    return list(dict.fromkeys([*pairs, *through]))


def make_limits(settings: Settings) -> QueueLimits:
    """The bounds of each model's queue."""
    return QueueLimits(
        settings.max_queue_size,
        settings.max_queue_tokens,
        settings.max_queue_wait_ms / 1000,
        settings.max_standing_wait_ms / 1000,
    )


def batch_bounds(manifest: Manifest, settings: Settings) -> tuple[int, int]:
    """Rows and padded tokens of a model's batches: the smaller of its own and the server's."""
    limits = manifest.limits
    return (
        min(settings.max_batch_size, limits.max_batch_size or settings.max_batch_size),
        min(settings.max_batch_tokens, limits.max_batch_tokens or settings.max_batch_tokens),
    )


def prepare_model(folder: Path, device: Device, settings: Settings) -> LoadedModel:
    """Loads a version with the server's settings and passes its goldens.

    Raises:
        ArtefactError: the version is damaged or does not answer as it should.
        DeviceUnavailable: the device cannot be used.
    """
    model = load_model(
        folder,
        device,
        precision=settings.precision,
        num_threads=settings.threads_per_engine,
        num_runners=settings.engines_per_model or default_engines(device, settings),
        max_rows=settings.max_batch_size,
        slots=settings.decoder_slots,
    )
    check_goldens(model)
    return model


def find_device(settings: Settings) -> Device:
    """The device that the settings ask for.

    Raises:
        DeviceUnavailable: it cannot be used.
    """
    return resolve_device(settings.device, settings.gpu_memory_limit_mib * MIB)


def default_engines(device: Device, settings: Settings) -> int:
    """Engines per model, one thread each: a process's processors but one, for its event loop.

    Measured on two processors: a second engine takes 10 to 20 % off the classifier's throughput,
    since three threads then share two processors and one interpreter, and a second thread within an
    engine does little for a recurrent layer. More than `MAX_DEFAULT_ENGINES` have not been
    measured. A GPU takes one: it works through one stream, in batches.
    """
    if device.kind != "cpu":
        return 1
    return max(1, min(MAX_DEFAULT_ENGINES, cpus_for_engines(settings) - 1))


def cpus_for_engines(settings: Settings) -> int:
    """Processors of a process that has engines: a share of all, or what the front ends leave."""
    if settings.topology == "engine":
        return max(1, available_cpus() - settings.workers)
    return available_cpus() // max(1, settings.workers)


def verify(models_dir: Path, settings: Settings) -> list[str]:
    """Checks every served version, defaults and glossaries; returns one sentence per fault."""
    faults: list[str] = []
    manifests: list[Manifest] = []
    device = find_device(settings)
    for folder in find_versions(models_dir):
        try:
            manifests.append(prepare_model(folder, device, settings).manifest)
        except ServingError as exc:
            faults.append(str(exc))
    if not faults:  # else it is not known which directions there are
        pairs = [pair for manifest in manifests for pair in manifest.pairs]
        try:
            directions = list_directions(pairs, settings.pivot_language)
            read_glossaries(models_dir, directions, settings.max_glossary_terms)
        except ServingError as exc:
            faults.append(str(exc))
    try:
        check_defaults(manifests)
    except ArtefactError as exc:
        faults.append(str(exc))
    return faults
