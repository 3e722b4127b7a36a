"""Measures the parts of a short classification: `python docs/decisions/measured/request_parts.py`.

A worker's app and protocol answer the benchmark's requests over sockets of the same process, all
connections at once. The functions below have a clock of processor time around them; what others of
them take within is not theirs, and what the clock takes is taken off. Prints microseconds per
request by precision and connections and writes them to request_parts.json beside itself.
"""

import asyncio
import importlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import uvloop
from uvicorn.server import ServerState

from docs.decisions.measured.report import write_report
from loadtests.bench.plan import BenchPlan, make_context
from loadtests.clients.http_client import format_request
from loadtests.clients.new_words import renew_words
from service.http.app import create_app
from service.repository.manifest import Precision
from service.server.uvicorn_server import make_config
from service.settings import Settings
from service.telemetry.logs import configure_logging

LEVELS, NUM_WARM, NUM_MEASURED = (1, 16, 64), 2000, 1500
DIRECT, BATCHER = "service.http.direct", "service.engine.batcher:Batcher"
PROTOCOL = "service.server.protocol:HttpProtocol"
PIPELINE = "service.pipeline.classify:ClassifyPipeline"
SUBMISSION = "service.pipeline.submission:Submission"
PARTS = {
    "read the request": [f"{PROTOCOL}.data_received", f"{PROTOCOL}.on_headers_complete"],
    "JSON, fields, deadline": [
        f"{DIRECT}.parse_json",
        "service.http.schemas.classify:ClassifyRequest.model_validate",
        f"{DIRECT}.choose_deadline",
    ],
    "make the job": [f"{PROTOCOL}.on_message_complete"],
    "encode the text, but for its tokens": [f"{PIPELINE}.encode_job"],
    "recognize the language": ["service.pipeline.classify.choose_languages"],
    "encode the text": ["service.text.tokenizer:Tokenizer.encode_batch"],
    "admission, queue, future": [
        *(f"{SUBMISSION}.{name}" for name in ("open", "call_when_done", "close")),
        f"{BATCHER}._release",
    ],
    "form and report the batch": ["service.engine.worker:InlineWorker._run"],
    "arrays": ["service.engine.classification.classifier.pad_sequences"],
    "run the graph": ["service.engine.runtime.session:OnnxSession.run"],
    "make the answer": [f"{DIRECT}:DirectExchange._finish", f"{PIPELINE}.describe_job"],
    "metrics and log": [
        "service.pipeline.task_pipeline.observe_stages",
        "service.pipeline.task_pipeline.observe_tokens",
        f"{DIRECT}.conclude",
    ],
    "write the answer": ["service.server.corked_transport:CorkedTransport.write_whole"],
}


class PartClock:
    """Processor time by part, each without the parts within it."""

    def __init__(self) -> None:
        self.nanoseconds: Counter[str] = Counter()
        self.num_inside: Counter[str] = Counter()
        self.num_calls: Counter[str] = Counter()
        self._within: list[tuple[str, int]] = []

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            if self._within:
                self.num_inside[self._within[-1][0]] += 1
            self._within.append((part, 0))
            started = time.thread_time_ns()
            try:
                return function(*arguments, **named)
            finally:
                spent = time.thread_time_ns() - started
                _, inner = self._within.pop()
                self.nanoseconds[part] += spent - inner
                self.num_calls[part] += 1
                if self._within:
                    outer, known = self._within[-1]
                    self._within[-1] = (outer, known + spent)

        return timed

    def clear(self) -> None:
        for counter in (self.nanoseconds, self.num_inside, self.num_calls):
            counter.clear()


def calibrate() -> tuple[float, float]:
    """Nanoseconds that a clock adds to its own part and to the one around it."""
    clock = PartClock()
    empty = clock.wrap("inner", lambda: None)
    clock.wrap("outer", lambda: [empty() for _ in range(20_000)])()
    return clock.nanoseconds["inner"] / 20_000, clock.nanoseconds["outer"] / 20_000


def install(clock: PartClock) -> None:
    for part, names in PARTS.items():
        for name in names:
            module, _, path = name.replace(":", ".", 1).rpartition(".")
            owner: Any = find_owner(module)
            found = getattr(owner, path)
            is_bound = getattr(found, "__self__", None) is owner
            timed = clock.wrap(part, found)
            setattr(owner, path, staticmethod(timed) if is_bound else timed)


def find_owner(name: str) -> Any:
    """A module, or a class in one."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, owner = name.rpartition(".")
        return getattr(importlib.import_module(module), owner)


class Worker:
    """A worker's app behind its protocol, and the clients of its connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: Settings, num: int) -> None:
        self._loop, self._num_open = loop, 0
        app = create_app(settings)
        self._config = make_config(app, settings)
        self._config.load()
        self._state = ServerState()
        self._lifespan = app.router.lifespan_context(app)  # it would end if it were forgotten
        loop.run_until_complete(self._lifespan.__aenter__())
        self._clients = [self._connect() for _ in range(num)]

    def _connect(self) -> socket.socket:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.run_until_complete(
            self._loop.connect_accepted_socket(self._make_protocol, accepted)
        )
        return client

    def _make_protocol(self) -> asyncio.Protocol:
        make: Any = self._config.http_protocol_class
        protocol = make(config=self._config, server_state=self._state, app_state={})
        end = protocol.on_response_complete

        def count() -> None:
            end()
            self._num_open -= 1
            if not self._num_open:
                self._loop.stop()

        protocol.on_response_complete = count
        return protocol  # type: ignore[no-any-return]

    def answer(self, requests: Sequence[bytes]) -> float:
        """Seconds of processor time for one request on each connection."""
        for client, request in zip(self._clients, requests, strict=True):
            client.sendall(request)
        self._num_open = len(requests)
        started = time.process_time()
        self._loop.run_forever()
        spent = time.process_time() - started
        for client in self._clients:
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 "), answer
        return spent


def measure(models_dir: str, precision: Precision, num: int, bodies: str) -> dict[str, float]:
    """Microseconds per request by part."""
    clock, (own, around) = PartClock(), calibrate()
    install(clock)
    configure_logging("warning", "text")
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    settings = Settings(
        device="cpu",
        models_dir=Path(models_dir),
        precision=precision,
        workers=os.cpu_count() or 1,  # so that steps run on the event loop
        max_queue_wait_ms=60_000,
        max_standing_wait_ms=60_000,
    )
    worker = Worker(loop, settings, num)
    lines = Path(bodies).read_text(encoding="utf-8").splitlines()
    rng = random.Random(1)
    requests = [format_request("/classify", line) for line in lines]

    def run(num_requests: int) -> float:
        return sum(
            worker.answer([renew_words(rng.choice(requests), rng) for _ in range(num)])
            for _ in range(num_requests // num)
        )

    run(NUM_WARM)
    clock.clear()
    num_requests = NUM_MEASURED // num * num
    total = run(NUM_MEASURED) * 1e9
    spent = {
        part: clock.nanoseconds[part]
        - own * clock.num_calls[part]
        - around * clock.num_inside[part]
        for part in PARTS
    }
    clocks = (own + around) * clock.num_calls.total()
    spent["event loop, sockets, parser, the rest"] = total - clocks - sum(spent.values())
    found = {part: round(value / num_requests / 1e3, 1) for part, value in spent.items()}
    return {**found, "all": round((total - clocks) / num_requests / 1e3, 1)}


def measure_all() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        context = make_context(BenchPlan(("http",)), Path(folder))
        found = {}
        for precision, shape in context.shapes.items():
            for num in LEVELS:
                arguments = (str(shape.models_dir), precision, str(num), str(context.bodies))
                command = [sys.executable, __file__, *arguments]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                found[f"{precision}, {num}"] = json.loads(done.stdout)
        return {"us": found}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        models_dir, precision, num, bodies = sys.argv[1:]
        print(json.dumps(measure(models_dir, cast(Precision, precision), int(num), bodies)))
    else:
        write_report(__file__, measure_all)
