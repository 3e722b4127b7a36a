"""Refuses requests for tasks while their models are too slow, before more than the head is read."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from service.engine.scheduling.forecast import Forecast
from service.errors import ModelNotFound, Overloaded, TaskNotChosen
from service.http.context import AppContext
from service.http.middleware.request_context import choose_id
from service.http.requests.deadlines import TIMEOUT_HEADER, read_milliseconds
from service.http.responses.problems import answer_problem, headers_of, status_of
from service.http.routes.default import choose_task, find_task

logger = logging.getLogger(__name__)

Headers = Iterable[tuple[bytes, bytes]]
# What is asked for at these addresses; at the others it depends on the models.
TASKS = {
    "/classify": "classify",
    "/predict": "classify",
    "/translate": "translate",
    "/tag": "tag",
    "/generate": "generate",
    "/generate_stream": "generate",
    "/v1/completions": "generate",
}
DEFAULT, MODELS = "/", "/models/"
# While requests are refused they are too many for a line each.
REPORT_SECONDS = 1.0


class Pipeline(Protocol):
    """A task, as far as its queues go."""

    def forecast_wait(self) -> Forecast | None: ...


class Refusal(NamedTuple):
    """An answer, but for what the server itself adds to each.

    Attributes:
        headers: as they go over the wire, each with its line end.
    """

    status: int
    headers: bytes
    body: bytes

    def address(self, request_id: str) -> "Refusal":
        """The same for one request."""
        headers = b"%bx-request-id: %b\r\n" % (self.headers, request_id.encode())
        return Refusal(self.status, headers, self.body)


@dataclass
class Turn:
    """What is known of a task in the present turn of the event loop.

    Attributes:
        refusal: what all further requests get; None while some are let in.
        num_refused: that got it.
    """

    forecast: Forecast | None
    refusal: Refusal | None = None
    num_refused: int = 0


class Door:
    """What a server asks about each request before it makes anything of it.

    An endpoint's own refusal takes a quarter of the time of an answer, so that a server which is
    asked three times as much as it can do would have little left for good answers. One from here
    has the same status, headers and body for a fraction of that. It is counted, but has no span, no
    duration and no line in the log, which gets one a second instead.

    Args:
        context: of the app.
    """

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._pipelines: dict[str, Pipeline] = {
            "classify": context.classify,
            "translate": context.translate,
            "tag": context.tag,
            "generate": context.generate,
        }
        prefixes = {"", context.settings.root_path}
        paths = (DEFAULT, *TASKS)
        self._paths = {(start + path).encode(): path for path in paths for start in prefixes}
        self._folders = [f"{start}{MODELS}".encode() for start in prefixes]
        self._has_cors = bool(context.origins)
        self._turns: dict[str, Turn] = {}
        self._num_refused = 0

    def find_path(self, url: bytes) -> str | None:
        """The path of a task without the server's prefix; None if it is another, or has a query.

        Args:
            url: as the client sent it.
        """
        if path := self._paths.get(url):
            return path
        for folder in self._folders:
            if url.startswith(folder):
                return MODELS + url.removeprefix(folder).decode("latin-1")
        return None

    def find_refusal(
        self, path: str, headers: Headers, measure_age: Callable[[], float]
    ) -> Refusal | None:
        """What to answer to a request that would wait too long; None lets it in.

        Args:
            path: of `find_path`.
            headers: names in lower case.
            measure_age: gives the seconds since the bytes of the request arrived.
        """
        turn = self._turns.get(path) or self._open_turn(path)
        if turn.forecast is None or not turn.forecast.wait_seconds:
            return None
        if self._has_cors and any(name == b"origin" for name, _ in headers):
            return None  # such an answer has more headers
        if turn.refusal is None:
            refusal = self._ask(turn, path, headers, measure_age())
        else:
            turn.num_refused += 1
            refusal = turn.refusal
        return refusal and refusal.address(choose_id(headers))

    def _ask(self, turn: Turn, path: str, headers: Headers, age: float) -> Refusal | None:
        """Has one request admitted or refused."""
        assert turn.forecast is not None
        timeouts = (read_milliseconds(value) for name, value in headers if name == TIMEOUT_HEADER)
        seconds_left = next((ms / 1000 - age for ms in timeouts if ms), math.inf)
        try:
            turn.forecast.admit(age, seconds_left)
        except Overloaded as error:
            refusal = render(path, error)
            if self._has_cors:  # which says so of every answer
                refusal = refusal._replace(headers=refusal.headers + b"vary: Origin\r\n")
            if error.reason == "wait":
                turn.refusal = refusal
            self._count(1)
            return refusal
        return None

    def _open_turn(self, path: str) -> Turn:
        if not self._turns:
            asyncio.get_running_loop().call_soon(self._close_turns)
        task = None if self._context.is_draining else self._find_task(path)
        turn = Turn(self._pipelines[task].forecast_wait() if task else None)
        self._turns[path] = turn
        return turn

    def _find_task(self, path: str) -> str | None:
        """What is asked for; None if the endpoint has to say that nothing is."""
        try:
            if path == DEFAULT:
                return choose_task(self._context)
            if path.startswith(MODELS):
                return find_task(self._context, path.removeprefix(MODELS))
        except (ModelNotFound, TaskNotChosen):
            return None
        return TASKS[path]

    def _close_turns(self) -> None:
        for turn in self._turns.values():
            if turn.num_refused and turn.forecast is not None:
                turn.forecast.count_refusals(turn.num_refused)
                self._count(turn.num_refused)
        self._turns.clear()

    def _count(self, num: int) -> None:
        """Counts refusals; the first of a while has a line written about all that follow."""
        self._context.metrics.count_refusals(num)
        if not self._num_refused:
            asyncio.get_running_loop().call_later(REPORT_SECONDS, self._report)
        self._num_refused += num

    def _report(self) -> None:
        logger.warning(
            "%d requests were refused within a second: their models are too slow for so many",
            self._num_refused,
            extra={"num_refused": self._num_refused},
        )
        self._num_refused = 0


def render(path: str, error: Overloaded) -> Refusal:
    """The answer that the endpoint would give."""
    return render_problem(path, status_of(error), str(error), tuple(headers_of(error).items()))


@lru_cache(maxsize=256)  # waits are told in tenths of a second
def render_problem(
    path: str, status: int, detail: str, headers: tuple[tuple[str, str], ...]
) -> Refusal:
    answer = answer_problem(path, status, detail, dict(headers))
    lines = [b"%b: %b\r\n" % header for header in answer.raw_headers]
    return Refusal(status, b"".join(lines), bytes(answer.body))
