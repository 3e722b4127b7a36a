"""Users of the service, for locust: `make load`, or `locust -f loadtests/locustfile.py --help`.

In an open loop each locust user is one request per second on the average, sent when it is due
however slow the answers come, and latency counts from then. In a closed loop each waits for its
answer, as a person does. Either way locust spreads the users over its workers, and the workers'
recorders are added up by the master.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from gevent.lock import RLock
from gevent.pool import Group
from geventhttpclient.client import HTTPClientPool
from locust import FastHttpUser, LoadTestShape, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS, ResponseContextManager
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from loadtests.load.bodies import DEFAULT_MIX, KINDS, Draft, Pair, find_pairs, parse_mix
from loadtests.load.curve import Span
from loadtests.load.options import parse_seconds
from loadtests.load.recorder import (
    FAILED,
    FIRST,
    LATE,
    LATENCY,
    OK,
    OUTCOMES,
    Recorder,
    read_stages,
)
from loadtests.load.report import add_suffix, describe_load, print_load, write_page
from loadtests.load.shapes import CLOSED, OPEN, SHAPES, Shape, Step, find_step
from loadtests.load.slo import Slo, parse_slo
from loadtests.measuring.machine import describe_machine
from loadtests.measuring.tables import write_json

# Monotonic time is for measuring; workers on other machines understand only the epoch's.
EPOCH = time.time() - time.monotonic()
MESSAGE_KEY = "seqserve"
EVENT_END = b"\n\n"
# Workers report every 3 seconds: by then the last report has come.
REPORT_SECONDS = 4.0
# Users started or stopped per second: as many as a step asks for.
AT_ONCE = 10_000.0
# The exceptions that reading a malformed answer raises.
MALFORMED = (AttributeError, ValueError, KeyError, TypeError, IndexError)
CONNECT_SECONDS, FRAME_SECONDS = 10.0, 120.0


class Run:
    """This process's part of the run.

    Attributes:
        recorder: of this process; on the master, of all workers.
        under_way: requests of an open loop.
        spans: steps of load as they were run; the last one is open.
        ended: when the last step was over, monotonic; None before.
        report_seconds: how long the last report of a worker may take.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.shape = Shape(
            options.shape,
            options.load,
            options.peak,
            parse_seconds(options.duration),
            options.steps,
        )
        self.steps = self.shape.plan_steps()
        self.weights = parse_mix(options.mix)
        self.think_seconds = parse_seconds(options.think)
        self.drain_seconds = parse_seconds(options.drain)
        self.slo: Slo | None = parse_slo(options.slo, tuple(KINDS)) if options.slo else None
        self.under_way = Group()
        self.num_users = 0
        self.report_seconds = 0.0
        self._pairs: list[Pair] | None = None  # none is known until it was asked for
        self._learning = RLock()
        self.reset()

    def reset(self) -> None:
        self.recorder = Recorder(self.shape.seconds_per_cell)
        self.spans: list[Span] = []
        self.ended: float | None = None
        self._step: Step | None = None

    @property
    def is_open(self) -> bool:
        return bool(self.options.loop == OPEN)

    def tick(self, seconds: float) -> tuple[int, float] | None:
        """Load at a moment of the run, as a LoadTestShape gives it."""
        step, now = find_step(self.steps, seconds), time.time()
        if self.spans and self.ended is None:
            self.spans[-1] = Span(self.spans[-1].load, self.spans[-1].start, now)
        if step is None:
            return self._drain()
        if step is not self._step:
            self._step = step
            self.spans.append(Span(step.load, now, now))
        return step.load, AT_ONCE

    def _drain(self) -> tuple[int, float] | None:
        """No users any more, until all requests have ended or it takes too long."""
        now = time.monotonic()
        self.ended = self.ended or now
        waited = now - self.ended
        is_quiet = waited >= self.report_seconds and not self.recorder.num_under_way
        if is_quiet or waited > self.drain_seconds + self.report_seconds:
            return None
        return 0, AT_ONCE

    def learn_pairs(self, get: Callable[[str], Any]) -> list[Pair]:
        """What the service translates; asked for once.

        Raises:
            ValueError, KeyError, TypeError: the answer is not what it should be.
        """
        with self._learning:
            if self._pairs is None:
                self._pairs = find_pairs(get("/languages"))
            return self._pairs


RUN: Run


class ServiceUser(FastHttpUser):
    """One kind of user; subclasses say which."""

    abstract = True
    kind: ClassVar[str]

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        RUN.num_users += 1
        worker = getattr(environment.runner, "worker_index", 0)
        self.rng = Random(f"{RUN.options.seed} {worker} {RUN.num_users}")
        self.due: float | None = None
        self.headers = make_headers(RUN.options)

    @task
    def arrive(self) -> None:
        """One request, when it is due."""
        if not RUN.is_open:
            self.send(time.monotonic())
        elif self.due is not None:
            RUN.under_way.spawn(self.send, self.due)

    def wait_time(self) -> float:
        """Seconds until the next request; an open loop makes up for what it is behind."""
        if not RUN.is_open:
            return self.rng.expovariate(1 / RUN.think_seconds) if RUN.think_seconds else 0.0
        now = time.monotonic()
        self.due = now + self.rng.random() if self.due is None else self.due + self.draw_gap()
        return max(0.0, self.due - now)

    def draw_gap(self) -> float:
        """Seconds between two requests of one user in an open loop: one on the average."""
        return 1.0 if RUN.options.arrivals == "even" else self.rng.expovariate(1.0)

    def send(self, due: float) -> None:
        """One request with what becomes of it; `due` is monotonic."""
        kind = self.choose_kind()
        RUN.recorder.start(kind, EPOCH + due)
        late = 1000 * (time.monotonic() - due)
        try:
            draft = KINDS[kind](self.rng, RUN.learn_pairs(self.get_json))
            ask = self.type_text if draft.gaps else self.ask
            outcome, times = ask(kind, draft, due)
        except MALFORMED as exc:  # GET /languages was answered with something else
            self.environment.events.user_error.fire(
                user_instance=self, exception=exc, tb=exc.__traceback__
            )
            outcome, times = FAILED, {LATENCY: 1000 * (time.monotonic() - due)}
        RUN.recorder.end(kind, EPOCH + due, outcome, times | {LATE: late})

    def choose_kind(self) -> str:
        """Its own in an open loop, where users of all kinds send equally often.

        In a closed one the weights are of requests, too: else users who ask for little would come
        round sooner, and the mix would lean to the cheap kinds.
        """
        if RUN.is_open:
            return self.kind
        return self.rng.choices(list(RUN.weights), list(RUN.weights.values()))[0]

    def get_json(self, path: str) -> Any:
        with self.client.get(path, headers=self.headers, catch_response=True) as response:
            return response.json()

    def ask(self, kind: str, draft: Draft, due: float) -> tuple[str, dict[str, float]]:
        """Sends a request and judges its answer: how it ended, and its times in milliseconds."""
        name = f"{draft.path} [{kind}]"
        with self.client.post(
            draft.path,
            json=draft.body,
            name=name,
            headers=self.headers,
            catch_response=True,
            stream=kind == "stream",
        ) as response:
            times: dict[str, float] = {}
            if response.status_code != 200:
                outcome = OUTCOMES.get(response.status_code, FAILED)
                response.failure(f"HTTP {response.status_code}")
            elif fault := try_answer(response, draft, due, times):
                outcome = FAILED
                response.failure(fault)
            else:
                outcome = OK
            times[LATENCY] = 1000 * (time.monotonic() - due)
            # so that locust's own tables say the same
            response.request_meta["response_time"] = times[LATENCY]
        return outcome, times

    def type_text(self, kind: str, draft: Draft, due: float) -> tuple[str, dict[str, float]]:
        """Types a text over a connection of its own; as `ask`, but latency is the longest wait.

        The wait for a label counts from when its character was due, so that a slow answer does
        not put off the typing that is measured.
        """
        times: dict[str, float] = {}
        error: Exception | None = None
        outcome = OK
        try:
            with connect(
                make_socket_address(str(self.host), draft.path),
                additional_headers=self.headers,
                open_timeout=CONNECT_SECONDS,
                proxy=None,
            ) as socket:
                times = type_frames(socket, draft, due)
        except InvalidStatus as exc:
            status = exc.response.status_code
            outcome, error = OUTCOMES.get(status, FAILED), RuntimeError(f"HTTP {status}")
        except (*MALFORMED, OSError, WebSocketException) as exc:
            outcome, error = FAILED, exc
        times.setdefault(LATENCY, 1000 * (time.monotonic() - due))
        self.environment.events.request.fire(
            request_type="WebSocket",
            name=f"{draft.path} [{kind}]",
            response_time=times[LATENCY],
            response_length=0,
            exception=error,
            context={},
        )
        return outcome, times


class ChatUser(ServiceUser):
    kind = "chat"


class ReviewUser(ServiceUser):
    kind = "review"


class PageUser(ServiceUser):
    kind = "page"


class BatchUser(ServiceUser):
    kind = "batch"


class DocumentUser(ServiceUser):
    kind = "document"


class StreamUser(ServiceUser):
    kind = "stream"


class GenerateUser(ServiceUser):
    kind = "generate"


class TagUser(ServiceUser):
    kind = "tag"


class TagStreamUser(ServiceUser):
    kind = "tag_stream"


class PlannedShape(LoadTestShape):
    """The shape that the options ask for."""

    def reset_time(self) -> None:
        super().reset_time()
        RUN.reset()

    def tick(self) -> tuple[int, float] | None:
        return RUN.tick(self.get_run_time())


def make_headers(options: argparse.Namespace) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    if options.api_key:
        headers["X-API-Key"] = options.api_key
    if options.timeout_ms:
        headers["X-Request-Timeout-Ms"] = str(options.timeout_ms)
    return headers


def make_socket_address(host: str, path: str) -> str:
    return host.replace("http", "ws", 1).rstrip("/") + path


def type_frames(socket: ClientConnection, draft: Draft, due: float) -> dict[str, float]:
    """Sends each frame when it is due; the longest wait for an event, and the first one, in ms.

    Raises:
        ValueError: an event tells of an error, or the last one is not the end of the text.
        KeyError, TypeError, WebSocketException, TimeoutError: as the server or the network have it.
    """
    waits, event = [], {}
    for gap, frame in zip(draft.gaps, draft.body["frames"], strict=True):
        due += gap
        time.sleep(max(0.0, due - time.monotonic()))
        socket.send(frame)
        event = json.loads(socket.recv(FRAME_SECONDS))
        waits.append(1000 * (time.monotonic() - due))
        if "error" in event:
            raise ValueError(event["error"])
    if not event.get("final"):
        raise ValueError("the last event is not the end of the text")
    return {LATENCY: max(waits), FIRST: waits[0]}


def try_answer(
    response: ResponseContextManager, draft: Draft, due: float, times: dict[str, float]
) -> str:
    """Reads an answer with status 200, fills in its times, says what is wrong with it, if any."""
    try:
        return take_answer(response, draft, due, times)
    except (*MALFORMED, *FAILURE_EXCEPTIONS) as exc:
        return type(exc).__name__


def take_answer(
    response: ResponseContextManager, draft: Draft, due: float, times: dict[str, float]
) -> str:
    if draft.body.get("stream"):
        return take_stream(response, draft, due, times)
    answer = response.json()
    if response.headers is not None:
        times.update(read_stages(str(response.headers.get("Server-Timing", ""))))
    return "" if (answer[draft.answer_key] if draft.answer_key else answer) else "empty answer"


def take_stream(
    response: ResponseContextManager, draft: Draft, due: float, times: dict[str, float]
) -> str:
    """Reads server-sent events until the whole answer has come."""
    assert draft.answer_key
    while event := response.stream.readline(EVENT_END):
        name, _, data = bytes(event).decode().strip().partition("\n")
        times.setdefault(FIRST, 1000 * (time.monotonic() - due))
        if name == "event: error":
            return "error in the stream"
        if name == "event: done":
            response.stream.read()  # the end mark, so that the connection can be used again
            return "" if json.loads(data.removeprefix("data: "))[draft.answer_key] else "empty"
    return "the stream broke off"


def checked(parse: Callable[[str], object]) -> Callable[[str], str]:
    """An argparse type that keeps the text, which workers are sent, and words errors well."""

    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from None
        return text

    return check


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    span = checked(parse_seconds)
    group = parser.add_argument_group("Load of seqserve")

    add = group.add_argument
    add("--shape", choices=SHAPES, default="steady", help="how the load goes; default steady")
    add("--loop", choices=(OPEN, CLOSED), default=OPEN, help="open: load is requests per second, "
        "latency counts from when each was due; closed: load is users that wait")  # fmt: skip
    add("--load", type=int, default=10, help="of steady, soak; before a spike; ramp's first step")
    add("--peak", type=int, default=100, help="of the spike; the ramp's last step")
    add("--duration", type=span, default="1m", help="of all together, like 5m or 90s; default 1m")
    add("--steps", type=int, default=10, help="of the ramp; default 10")
    add("--mix", type=checked(parse_mix), default=DEFAULT_MIX, help=f"weights of the kinds of "
        f"users; default {DEFAULT_MIX}")  # fmt: skip
    add("--arrivals", choices=("poisson", "even"), default="poisson", help="in an open loop")
    add("--think", type=span, default="0s", help="mean time between answer and next request of a "
        "user in a closed loop, exponential; default 0s")  # fmt: skip
    add("--slo", type=checked(lambda text: parse_slo(text, tuple(KINDS))), help="objectives like "
        "p99=1500ms,errors=0.1%%; when the run misses one, the exit code is 1")  # fmt: skip
    add("--report", help="write PATH.json, PATH.html and, with matplotlib, PATH.png")
    add("--drain", type=span, default="10s", help="time to wait for the last answers; default 10s")
    add("--connections", type=int, default=900, help="of one process at most; above 1000 they are "
        "not used again; default 900")  # fmt: skip
    add("--timeout-ms", type=int, default=0, help="deadline sent along with each request")
    add("--seed", type=int, default=1, help="of texts and arrivals")
    add("--api-key", env_var="LOADTEST_API_KEY", default="", help="better in the variable")


@events.init.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    """Takes the options once they are known."""
    global RUN
    options = environment.parsed_options
    assert options is not None
    try:
        RUN = Run(options)
        RUN.shape.check()
    except ValueError as exc:
        print(f"error: {exc}", file=sys.stderr)
        raise SystemExit(2) from None
    environment.stop_timeout = environment.stop_timeout or RUN.drain_seconds
    set_weights(environment, RUN.weights)
    ServiceUser.client_pool = HTTPClientPool(
        concurrency=options.connections, connection_timeout=10.0, network_timeout=120.0
    )
    if isinstance(environment.runner, MasterRunner):
        environment.events.worker_report.add_listener(take_report)
        RUN.report_seconds = REPORT_SECONDS
    elif isinstance(environment.runner, WorkerRunner):
        environment.events.report_to_master.add_listener(give_report)


def set_weights(environment: Environment, weights: dict[str, float]) -> None:
    kinds = [each for each in environment.user_classes if issubclass(each, ServiceUser)]
    for each in kinds:
        each.weight = weights[each.kind]
    environment.user_classes = [each for each in kinds if each.weight]


def give_report(client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG001 - locust names them
    data[MESSAGE_KEY] = RUN.recorder.take()


def take_report(client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG001 - locust names them
    RUN.recorder.absorb(data.get(MESSAGE_KEY, []))


@events.quitting.add_listener
def conclude(environment: Environment, **_: Any) -> None:
    """Tables, files and the exit code, once all is known."""
    if isinstance(environment.runner, WorkerRunner) or not RUN.spans:
        return
    options = vars(RUN.options)
    shown = ("host", "shape", "loop", "load", "peak", "duration", "steps", "mix", "arrivals")
    about = describe_machine() | {
        "options": {name: options[name] for name in (*shown, "think", "slo", "seed")},
        "num_workers": getattr(environment.runner, "worker_index_max", 0),
    }
    settle = 0.15 if RUN.shape.name == "ramp" else 0.0
    results = describe_load(about, RUN.recorder, RUN.spans, settle, RUN.slo)
    print_load(results)
    if options["report"]:
        write_json(results, add_suffix(Path(options["report"]), ".json"))
        write_page(Path(options["report"]))
    if RUN.slo is not None:
        is_met = all(verdict["is_met"] for verdict in results["slo"])
        environment.process_exit_code = 0 if is_met else 1
