"""Every Prometheus collector and its buckets; the registry is injected.

Labels are few and closed: never a text, an id or a message. `model` is a name of the repository,
or `NO_MODEL` if a request was refused before a model was chosen.
"""

from collections.abc import Callable
from contextvars import ContextVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

NO_MODEL = "none"

# Gauges of several processes add up, but for these.
SHARED_GAUGES: dict[str, Callable[[float, float], float]] = {
    "seqserve_ready": min,
    "seqserve_model_info": max,
    "seqserve_cuda_graphs": min,
    "process_start_time_seconds": min,
    "process_max_fds": min,
}

# The trace that the current task's observations become exemplars of, if it has one.
EXEMPLAR: ContextVar[dict[str, str] | None] = ContextVar("exemplar", default=None)

# Geometric, doubling: 1 ms (a short classification) to 30 s (the default deadline) and beyond.
SECONDS = (
    0.001,
    0.002,
    0.004,
    0.007,
    0.013,
    0.025,
    0.05,
    0.1,
    0.2,
    0.4,
    0.8,
    1.5,
    3.0,
    6.0,
    12.0,
    30.0,
    120.0,
)
# Stages are shorter than requests: from 0.1 ms.
STAGE_SECONDS = (0.0001, 0.00025, 0.0005, *SECONDS)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
OUTCOMES = (
    "ok",
    "invalid",
    "unauthorized",
    "not_found",
    "overloaded",
    "cancelled",
    "not_ready",
    "deadline",
    "error",
)
REASONS = ("drained", "full", "length")
REFUSALS = ("requests", "tokens", "wait", "age", "deadline")
STAGES = ("tokenize", "queue", "inference")
DIRECTIONS = ("input", "output")
DEFECTS = ("length", "loop")
RATIOS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75)


class ModelMetrics:
    """The collectors of one model, looked up once: a look-up takes as long as an observation."""

    def __init__(self, metrics: "Metrics", model_name: str) -> None:
        self.queue_requests = metrics.queue_requests.labels(model_name)
        self.queue_tokens = metrics.queue_tokens.labels(model_name)
        self.running_sequences = metrics.running_sequences.labels(model_name)
        self.batch_rows = metrics.batch_rows.labels(model_name)
        self.batch_padding_ratio = metrics.batch_padding_ratio.labels(model_name)
        self.step_duration_seconds = metrics.step_duration_seconds.labels(model_name)
        self.dispatches_total = {
            reason: metrics.dispatches_total.labels(model_name, reason) for reason in REASONS
        }
        self.shed_total = {
            reason: metrics.shed_total.labels(model_name, reason) for reason in REFUSALS
        }
        self.stage_duration_seconds = {
            stage: metrics.stage_duration_seconds.labels(model_name, stage) for stage in STAGES
        }
        self.tokens_total = {
            direction: metrics.tokens_total.labels(model_name, direction)
            for direction in DIRECTIONS
        }
        self.incomplete_translations_total = {
            reason: metrics.incomplete_translations_total.labels(model_name, reason)
            for reason in DEFECTS
        }

    def note_stages(self, tokenize: float, queue: float, inference: float) -> None:
        """Notes the seconds that one request spent in each stage."""
        stages, exemplar = self.stage_duration_seconds, EXEMPLAR.get()
        stages["tokenize"].observe(max(0.0, tokenize), exemplar)
        stages["queue"].observe(max(0.0, queue), exemplar)
        stages["inference"].observe(max(0.0, inference), exemplar)


class Metrics:
    """The collectors of one server.

    Attributes:
        registry: where the collectors live; `/metrics` renders it.
        requests_total: by model and outcome (`app` has the table).
        batch_padding_ratio: padded positions without a token, as a share of all, 0..1.
        shed_total: refusals at admission, by model and reason (requests, tokens, wait, age,
            deadline).
        dispatches_total: by model and reason (drained, full, length: see `scheduler.Dispatch`).
        tokens_total: by model and direction (input, output).
        incomplete_translations_total: sentences, by model and reason (length, loop: see
            `batch.Defect`).
        running_sequences: sequences in decoder segments now.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests_total = Counter(
            "seqserve_requests_total", "Requests answered.", ["model", "outcome"], registry=registry
        )
        self.request_duration_seconds = Histogram(
            "seqserve_request_duration_seconds",
            "Time from the request's head to its answer.",
            ["model"],
            buckets=SECONDS,
            registry=registry,
        )
        self.stage_duration_seconds = Histogram(
            "seqserve_stage_duration_seconds",
            "Time of one stage of a request: tokenize, queue, inference.",
            ["model", "stage"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self.queue_requests = Gauge(
            "seqserve_queue_requests", "Requests waiting for a batch.", ["model"], registry=registry
        )
        self.queue_tokens = Gauge(
            "seqserve_queue_tokens", "Tokens waiting for a batch.", ["model"], registry=registry
        )
        self.dispatches_total = Counter(
            "seqserve_dispatches_total",
            "Batches formed, by why they end where they do.",
            ["model", "reason"],
            registry=registry,
        )
        self.step_duration_seconds = Histogram(
            "seqserve_step_duration_seconds",
            "Time of one step of an engine: a batch classified, or all sentences one token on.",
            ["model"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self.batch_rows = Histogram(
            "seqserve_batch_rows", "Rows of a batch.", ["model"], buckets=ROWS, registry=registry
        )
        self.batch_padding_ratio = Histogram(
            "seqserve_batch_padding_ratio",
            "Share of a batch that is padding.",
            ["model"],
            buckets=RATIOS,
            registry=registry,
        )
        self.shed_total = Counter(
            "seqserve_shed_total",
            "Requests refused at admission.",
            ["model", "reason"],
            registry=registry,
        )
        self.tokens_total = Counter(
            "seqserve_tokens_total",
            "Tokens read and written.",
            ["model", "direction"],
            registry=registry,
        )
        self.incomplete_translations_total = Counter(
            "seqserve_incomplete_translations_total",
            "Sentences whose translation was cut at its length limit or repeats itself.",
            ["model", "reason"],
            registry=registry,
        )
        self.running_sequences = Gauge(
            "seqserve_running_sequences", "Sequences being decoded.", ["model"], registry=registry
        )
        self.tag_streams = Gauge(
            "seqserve_tag_streams", "Texts being labelled as they come in.", registry=registry
        )
        self.connections = Gauge(
            "seqserve_connections", "Open connections.", ["worker"], registry=registry
        )
        self.dropped_log_lines_total = Counter(
            "seqserve_dropped_log_lines_total",
            "Log lines that were dropped because they were read too slowly.",
            registry=registry,
        )
        self.ready = Gauge(
            "seqserve_ready", "1 while the server wants traffic, else 0.", registry=registry
        )
        self.workers = Gauge("seqserve_workers", "Server processes that answer.", registry=registry)
        self.workers.set(1)
        self.model_info = Gauge(
            "seqserve_model_info",
            "Always 1; the labels say what is loaded.",
            ["model", "version", "task", "cell", "precision", "device"],
            registry=registry,
        )
        self.cuda_graphs = Gauge(
            "seqserve_cuda_graphs",
            "1 while a translator's steps in slots replay CUDA graphs, 0 if they are plain runs.",
            ["model"],
            registry=registry,
        )
        self._of_model: dict[str, ModelMetrics] = {}
        self._of_outcome: dict[tuple[str, str], Counter] = {}
        self._durations: dict[str, Histogram] = {}

    def of_model(self, model_name: str) -> ModelMetrics:
        """The collectors of one model; from now on its counters are there, at zero."""
        if model_name not in self._of_model:
            self._of_model[model_name] = ModelMetrics(self, model_name)
            for outcome in OUTCOMES:  # a rate cannot see the first error of a new series
                self.requests_total.labels(model_name, outcome)
        return self._of_model[model_name]

    def count_refusals(self, num: int) -> None:
        """Notes requests that were refused before a model was chosen, for want of capacity."""
        self.requests_total.labels(NO_MODEL, "overloaded").inc(num)

    def count_request(self, model_name: str, outcome: str, seconds: float) -> None:
        """Notes one request that was answered, well or badly."""
        key = (model_name, outcome)
        if key not in self._of_outcome:
            self._of_outcome[key] = self.requests_total.labels(model_name, outcome)
            self._durations[model_name] = self.request_duration_seconds.labels(model_name)
        self._of_outcome[key].inc()
        self._durations[model_name].observe(seconds, EXEMPLAR.get())
