"""OpenTelemetry: a span for each request to a task, with its stages as children.

The only file that imports opentelemetry; `app` imports it only if an endpoint is set. Spans
carry what the log line carries: never a text, a key, or an address of a client.
"""

import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextvars import Token
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, Tracer, format_span_id, format_trace_id
from opentelemetry.trace.propagation import set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from service.answers import Timings
from service.telemetry.metrics import EXEMPLAR

Scope = MutableMapping[str, Any]
"""ASGI's description of a connection."""

PROPAGATOR = TraceContextTextMapPropagator()
SERVER_ERROR = 500

# A collector that is away must not keep a server from stopping.
CLOSE_SECONDS = 2.0


class Trace:
    """The span of one request; opened at once, since its context decides whether it is sampled.

    Meanwhile the metrics that the request's task observes have the trace as their exemplar.

    Args:
        tracer: makes the spans.
        scope: ASGI's, of a request.
        started_at: monotonic seconds.
    """

    def __init__(self, tracer: Tracer, scope: Scope, started_at: float) -> None:
        self._tracer = tracer
        self._epoch_ns = time.time_ns() - time.monotonic_ns()
        self._span = tracer.start_span(
            f"{scope['method']} {scope['path']}",
            read_parent(scope["headers"]),
            SpanKind.SERVER,
            describe_request(scope),
            start_time=self._wall_time(started_at),
        )
        context = self._span.get_span_context()
        self.ids = {
            "trace_id": format_trace_id(context.trace_id),
            "span_id": format_span_id(context.span_id),
        }
        self._exemplar: Token[dict[str, str] | None] | None = None
        if context.trace_flags.sampled:
            self._exemplar = EXEMPLAR.set({"trace_id": self.ids["trace_id"]})

    def close(
        self,
        status: int | None,
        attributes: Mapping[str, AttributeValue],
        timings: Timings | None,
        ended_at: float,
    ) -> None:
        """Ends the span, with a child for each stage.

        Args:
            status: of the answer; None if the client had hung up before.
            attributes: what became known meanwhile.
            timings: None if the request ended before it was answered.
            ended_at: monotonic seconds.
        """
        if self._exemplar is not None:
            EXEMPLAR.reset(self._exemplar)
        if self._span.is_recording():
            self._span.set_attributes(attributes)
            self._note_status(status)
            if timings is not None:
                self._add_stages(timings)
        self._span.end(self._wall_time(ended_at))

    def _note_status(self, status: int | None) -> None:
        if status is None:
            self._span.set_attribute("error.type", "cancelled")
            return
        self._span.set_attribute("http.response.status_code", status)
        if status >= SERVER_ERROR:  # client errors are not server errors
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(StatusCode.ERROR)

    def _add_stages(self, timings: Timings) -> None:
        parent = set_span_in_context(self._span, Context())
        for name, started_at, ended_at in list_stages(timings):
            child = self._tracer.start_span(name, parent, start_time=self._wall_time(started_at))
            child.end(self._wall_time(ended_at))

    def _wall_time(self, seconds: float) -> int:
        """Nanoseconds since 1970."""
        return self._epoch_ns + int(1e9 * seconds)


class Traces:
    """Opens the spans of a server; a thread of its own sends them.

    What the standard `OTEL_*` variables say of sampling, batches, headers, timeouts, certificates
    and the resource holds: OpenTelemetry's own code reads them.

    Args:
        endpoint: base URL of a collector that takes OTLP over HTTP.
        version: of the service.
    """

    def __init__(self, endpoint: str, version: str) -> None:
        service = Resource({"service.name": "seqserve", "service.version": version})
        resource = Resource.create().merge(service).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("seqserve", version)

    def open(self, scope: Scope, started_at: float) -> Trace:
        """The trace of one request, as `Trace` says; to be closed in the same task."""
        return Trace(self._tracer, scope, started_at)

    def close(self) -> None:
        """Sends the remaining spans; those that the collector does not take in time are lost."""
        thread = threading.Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(CLOSE_SECONDS)


def read_parent(headers: Iterable[tuple[bytes, bytes]]) -> Context:
    """The parent span by W3C Trace Context; an empty context if the request names none."""
    names = (b"traceparent", b"tracestate")
    carrier = {name.decode(): value.decode("latin-1") for name, value in headers if name in names}
    return PROPAGATOR.extract(carrier, Context()) if carrier else Context()


def describe_request(scope: Scope) -> dict[str, AttributeValue]:
    """By the semantic conventions for HTTP servers."""
    attributes: dict[str, AttributeValue] = {
        "http.request.method": scope["method"],
        "http.route": scope["path"],
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }
    if scope.get("server"):
        host, port = scope["server"]
        attributes["server.address"] = host
        if port is not None:
            attributes["server.port"] = port
    return attributes


def list_stages(timings: Timings) -> Iterator[tuple[str, float, float]]:
    """Name, start and end of each stage, in monotonic seconds.

    If a request has several parts, some may run while others are still queued: then the queue's
    span reaches to the last dispatch, and the inference's from the first one to the last result.
    """
    encoded_at = timings.arrived_at + timings.tokenize_seconds
    yield "tokenize", timings.arrived_at, encoded_at
    if math.isfinite(timings.finished_at):  # otherwise no model was needed
        yield "queue", encoded_at, encoded_at + timings.queue_seconds
        yield "inference", timings.dispatched_at, timings.finished_at
