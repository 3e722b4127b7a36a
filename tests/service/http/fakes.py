"""A registry and a pipeline that need no model, for tests of everything above them."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
from prometheus_client import CollectorRegistry

from service.answers import (
    Alignment,
    Answer,
    Attribution,
    Classification,
    ClassifyAnswer,
    ClassifyOptions,
    Delta,
    Detection,
    LabelScore,
    Language,
    Started,
    StreamEvent,
    Timings,
    TranslateAnswer,
    TranslateOptions,
    Translation,
)
from service.engine.scheduling.forecast import Forecast
from service.engine.waiting_queue import WaitingQueue
from service.errors import ModelNotFound
from service.http.app import SeqserveApp, create_app
from service.pipeline.classify import ClassifyPipeline
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.glossaries import Glossaries
from service.repository.manifest import (
    FileEntry,
    Graph,
    Limits,
    Manifest,
    Quality,
    Source,
    SpecialIds,
)
from service.repository.registry import Registry
from service.settings import Settings

TIMINGS = Timings(0.001, 0.002, 0.0035, 0.0075, arrived_at=0.0)

MANIFEST = Manifest(
    name="tiny",
    version="3",
    task="classification",
    cell="gru",
    languages=("en",),
    labels=("negative", "positive"),
    ids=SpecialIds(pad_id=0),
    limits=Limits(max_input_tokens=16),
    opset=17,
    graphs=(Graph(role="classifier", precision="fp32", file="model.onnx"),),
    files=(
        FileEntry(name="model.onnx", sha256="0" * 64, num_bytes=10),
        FileEntry(name="tokenizer.json", sha256="0" * 64, num_bytes=5),
    ),
    sources=(
        Source(name="reviews", licence="CC0-1.0", commercial_use=True),
        Source(name="checks", licence="none", commercial_use=False, weight=0.0),
    ),
    quality=(Quality(data="test", metric="accuracy", value=81.5, precision="fp32", signature="x"),),
)


@dataclass
class FakeServed:
    manifest: Manifest = MANIFEST
    device: str = "cpu"
    precision: str = "fp32"


@dataclass
class FakeRegistry:
    """Counts starts and stops; is ready unless it is given faults."""

    reasons: list[str] = field(default_factory=list)
    start_error: Exception | None = None
    num_starts: int = 0
    num_stops: int = 0
    manifests: Sequence[Manifest] = (MANIFEST,)
    glossaries: Glossaries = field(default_factory=Glossaries)

    async def start(self) -> None:
        if self.start_error:
            raise self.start_error
        self.num_starts += 1

    async def stop(self) -> None:
        self.num_stops += 1

    def faults(self) -> list[str]:
        return self.reasons

    def models(self) -> list[FakeServed]:
        return [FakeServed(manifest) for manifest in self.manifests]

    def find_model(self, name: str, *tasks: str) -> FakeServed:
        for served in self.models():
            if served.manifest.name == name and served.manifest.task in tasks:
                return served
        raise ModelNotFound(f"no model is called {name!r}")

    def default_classifiers(self) -> list[FakeServed]:
        manifests = [each for each in self.manifests if each.task == "classification"]
        return [FakeServed(manifest) for manifest in manifests if manifest.answers_by_default]


@dataclass(frozen=True)
class FakeJob:
    texts: Sequence[str]
    options: Any
    model_names: str


@dataclass
class FakePipeline:
    """Translates into upper case and finds everything positive; remembers what it was asked.

    Attributes:
        error: raised instead of an answer; the model is known before unless `error_comes_early`.
        refusal: raised before a body is read.
        queue: says how long requests would wait; None if they would not.
        gate: if set, an answer waits for it.
        is_asked: set with the first answer that is begun.
        incomplete: texts whose translations are not complete.
    """

    error: Exception | None = None
    gate: asyncio.Event | None = None
    model_name: str = "tiny"
    calls: list[tuple[list[str], Any]] = field(default_factory=list)
    remaining_seconds: float = 0.0
    was_cancelled: bool = False
    refusal: Exception | None = None
    queue: WaitingQueue | None = None
    is_stream_closed: bool = False
    error_comes_early: bool = False
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)
    incomplete: frozenset[str] = frozenset()

    async def classify(
        self, texts: Sequence[str], options: ClassifyOptions, deadline: float
    ) -> Answer:
        return await self.answer_job(await self.open_job(texts, options, deadline))

    async def translate(
        self, texts: Sequence[str], options: TranslateOptions, deadline: float
    ) -> Answer:
        return await self.answer_job(await self.open_job(texts, options, deadline))

    async def open_job(self, texts: Sequence[str], options: Any, deadline: float) -> FakeJob:
        self.calls.append((list(texts), options))
        self.remaining_seconds = deadline - time.monotonic()
        if self.error and self.error_comes_early:
            raise self.error
        return FakeJob(texts, options, self.model_name)

    async def answer_job(self, job: FakeJob) -> Answer:
        self.is_asked.set()
        if self.error:
            raise self.error
        try:
            if self.gate:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        made_by = (job.model_names, "3", TIMINGS)
        if isinstance(job.options, ClassifyOptions):
            labels = [LabelScore("positive", 0.75), LabelScore("negative", 0.25)]
            found = [self._classify(text, labels, job.options) for text in job.texts]
            return ClassifyAnswer(*made_by, found)
        return TranslateAnswer(*made_by, [self._translate(text, job.options) for text in job.texts])

    async def stream_job(self, job: FakeJob) -> AsyncGenerator[StreamEvent, None]:
        if self.error:
            raise self.error
        yield Started(job.model_names, "3")
        for index, text in enumerate(job.texts):
            for word in text.upper().split(" "):
                yield Delta(index, word + " ")
        try:
            answer = await self.answer_job(job)
        finally:
            self.is_stream_closed = True
        assert isinstance(answer, TranslateAnswer)
        yield answer

    def check_wait(self) -> None:
        if self.refusal:
            raise self.refusal
        if forecast := self.forecast_wait():
            forecast.admit()

    def forecast_wait(self) -> Forecast | None:
        return Forecast(self.queue, 0.0) if self.queue else None

    def languages(self) -> list[Language]:
        return [Language("en", "English", ["de", "en"]), Language("de", "German", ["de", "en"])]

    def detect(self, text: str) -> list[Detection]:
        if not text.strip():
            return [Detection("en", 0.0), Detection("de", 0.0)]
        return [Detection("de", 90.0), Detection("en", 10.0), Detection("ko", 0.0)]

    def _classify(
        self, text: str, labels: list[LabelScore], options: ClassifyOptions
    ) -> Classification:
        """As a model of a token per letter that reads ten of them."""
        num_tokens = len(text)
        limit = min(10, options.max_length or 10) if options.truncate else num_tokens
        kept = min(num_tokens, limit)
        weights = [Attribution(text[i], i, i + 1, 0.5) for i in range(kept)]
        return Classification(
            labels[: options.top_k],
            self.model_name,
            kept,
            kept < num_tokens,
            weights if options.explain else None,
        )

    def _translate(self, text: str, options: TranslateOptions) -> Translation:
        alternatives = [f"{text.upper()} {rank}" for rank in range(1, options.alternatives + 1)]
        detected = self.detect(text)[0] if options.source == "auto" else None
        alignment = Alignment([text], [text.upper(), "</s>"], [[1.0], [0.5]])
        return Translation(
            text.upper(),
            alternatives,
            detected,
            [alignment] if options.attention else None,
            text not in self.incomplete,
        )


def make_app(
    pipeline: FakePipeline | None = None, registry: FakeRegistry | None = None, **settings: Any
) -> SeqserveApp:
    pipeline = pipeline or FakePipeline()
    return create_app(
        Settings(**settings),
        registry=cast(Registry, registry or FakeRegistry()),
        classify=cast(ClassifyPipeline, pipeline),
        translate=cast(TranslatePipeline, pipeline),
        collector_registry=CollectorRegistry(),
    )


def connect(app: Callable[..., Any]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def ask(
    path: str, body: Any, pipeline: FakePipeline | None = None, **settings: Any
) -> httpx.Response:
    async with connect(make_app(pipeline, **settings)) as client:
        return await client.post(path, json=body)


async def fetch(path: str, registry: FakeRegistry | None = None, **settings: Any) -> httpx.Response:
    async with connect(make_app(None, registry, **settings)) as client:
        return await client.get(path)


async def hang_up_during(
    app: SeqserveApp, path: str, body: dict[str, Any], pipeline: FakePipeline
) -> list[Any]:
    """Sends a request, hangs up as soon as the pipeline works on it; returns what was sent back."""
    hung_up = asyncio.Event()
    sent: list[Any] = []
    bodies = [json.dumps(body).encode()]

    async def receive() -> dict[str, Any]:
        if bodies:
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        **{"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []},
        **{"scheme": "http", "http_version": "1.1", "root_path": "", "raw_path": path.encode()},
    }
    request = asyncio.create_task(app(scope, receive, send))
    await pipeline.is_asked.wait()
    hung_up.set()
    await asyncio.wait_for(request, 5)
    return sent


async def classify(app: SeqserveApp, **request: Any) -> httpx.Response:
    async with connect(app) as client:
        return await client.post("/classify", **({"json": {"inputs": "a"}} | request))


def samples(app: SeqserveApp, name: str) -> dict[tuple[str, ...], float]:
    registry = app.context.metrics.registry
    return {
        tuple(sample.labels.values()): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == name
    }
