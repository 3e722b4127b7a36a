"""Classifies one short text by call-backs: without an ASGI scope, a task and middleware.

What it could not answer exactly as the endpoint does is left to the endpoint: anything but a small
JSON body with one short text, whatever is wrong with a request, and whatever middleware or a trace
has to do with. Knows no connection.
"""

import time
from collections.abc import Callable

from fastapi import Response
from pydantic_core import to_json

from service.answers import ClassifyOptions
from service.engine.batch import TokenSequence
from service.errors import ServingError
from service.http.context import AppContext, RequestContext
from service.http.middleware.failures import answer_failure, answer_stop
from service.http.middleware.request_context import choose_id, conclude, list_own_headers
from service.http.requests.bodies import parse_json
from service.http.requests.codings import ASKS_FOR_GZIP, MIN_COMPRESSED_BYTES
from service.http.requests.deadlines import TIMEOUT_HEADER, choose_deadline
from service.http.responses.answers import name_truncation, respond, show_classifications
from service.http.responses.problems import answer_error
from service.http.schemas.classify import ClassifyRequest
from service.pipeline.classify import ClassificationJob
from service.pipeline.intake import MAX_INLINE_CHARS

PATH = "/classify"
SCOPE = {"method": "POST", "path": PATH}  # all that logs and metrics want to know of one
# Twice the longest text that is not worked on elsewhere, in UTF-8.
MAX_BODY_BYTES = 8 * MAX_INLINE_CHARS
JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8"})
# What they ask for is done elsewhere.
LEFT_HEADERS = frozenset({b"content-encoding", b"transfer-encoding", b"expect"})
# The fields of most bodies, and what they ask for: validation would take longer than parsing.
TEXT_ALONE = {"inputs"}
PLAIN_OPTIONS = ClassifyOptions()
# Of each label in an answer, besides its name: names of members, marks, a number.
LABEL_BYTES = 48

Headers = list[tuple[bytes, bytes]]
Send = Callable[[int, Headers, bytes], None]


class DirectClassify:
    """Finds the requests that want nothing but a model's answer to one short text.

    Args:
        context: of the app.
    """

    def __init__(self, context: AppContext) -> None:
        self._context, settings = context, context.settings
        # CORS has a header for each answer
        self._is_open = not (settings.api_keys or context.origins or context.traces)
        self._max_body_bytes = min(MAX_BODY_BYTES, settings.max_body_bytes)

    def may_take(self, headers: Headers) -> bool:
        """Whether a request to `PATH` may be such a one, as far as its head tells.

        Args:
            headers: names in lower case.
        """
        found = dict(headers)
        return (
            self._is_open
            and not self._context.is_draining
            and len(found) == len(headers)  # of several with one name each reader has its own view
            and found.get(b"content-type") in JSON_TYPES
            and LEFT_HEADERS.isdisjoint(found)
            and 0 < int(found.get(b"content-length", 0)) <= self._max_body_bytes
        )

    def take(
        self, headers: Headers, body: bytes, started_at: float, age_seconds: float
    ) -> "DirectExchange | None":
        """The request with its text encoded; None if it is one for the endpoint after all.

        Args:
            headers: that `may_take` has seen.
            body: all of it.
            started_at: when its head was read, in monotonic seconds.
            age_seconds: that it had waited before.
        """
        found = dict(headers)
        try:
            asked = read_body(body)
            if asked is None:
                return None
            text, options, timeout_ms = asked
            header = found.get(TIMEOUT_HEADER)
            deadline = choose_deadline(self._context.settings, timeout_ms, header, age_seconds)
            times = (time.monotonic(), deadline)
            job = self._context.classify.encode_job([text], options, times)
        except Exception:  # whatever it is, the endpoint meets it, too, and says it
            return None
        if ASKS_FOR_GZIP.search(found.get(b"accept-encoding", b"")) and is_long(job):
            return None
        request = RequestContext(
            self._context,
            choose_id(headers),
            started_at - age_seconds,
            age_seconds,
            model_names=job.model_names,
        )
        return DirectExchange(request, job)


class DirectExchange:
    """A request that has been taken, until it is answered.

    Args:
        request: counted and logged in the end, as by `RequestContextMiddleware`.
        job: has one text, and asks for labels alone.
    """

    def __init__(self, request: RequestContext, job: ClassificationJob) -> None:
        self._request, self._job = request, job
        self._pipeline = request.app.classify
        self._submission = self._pipeline.submit_job(job)
        self._send: Send | None = None

    def start(self, send: Send) -> None:
        """Has the model asked.

        Args:
            send: is called with the answer, once: later on, or now if the queue is full.
        """
        self._send = send
        try:
            self._submission.open()
        except Exception as error:  # whatever it is, the client gets an answer
            self._reply(self._explain(error))
        else:
            self._submission.call_when_done(self._finish)

    def hang_up(self) -> None:
        """Takes the text back: the client has gone."""
        self._submission.close()
        self._conclude()

    def stop(self) -> None:
        """Takes the text back and says so, unless it is answered: the time to drain is over."""
        if self._send is not None:
            self._submission.close()
            self._reply(answer_stop())

    def _finish(self, sequence: TokenSequence) -> None:
        if self._send is None:  # it was taken back
            return
        self._submission.close()
        try:
            results = {sequence: self._submission.result(sequence)}
            answer = self._pipeline.describe_job(self._job, results, [None])
            content = to_json(show_classifications(answer, with_details=False))
            response = respond(answer, content, name_truncation(answer))
        except Exception as error:  # as in `start`
            response = self._explain(error)
        self._reply(response)

    def _explain(self, error: Exception) -> Response:
        if isinstance(error, ServingError):
            return answer_error(PATH, error)
        return answer_failure(error, self._request.request_id)

    def _reply(self, response: Response) -> None:
        assert self._send is not None
        self._request.status = response.status_code
        headers = [*response.raw_headers, *list_own_headers(self._request)]
        self._send(response.status_code, headers, bytes(response.body))
        self._conclude()

    def _conclude(self) -> None:
        self._send = None
        conclude(SCOPE, self._request)


def read_body(body: bytes) -> tuple[str, ClassifyOptions, int | None] | None:
    """The short text to label, how, and its timeout in ms; None if more or something else is asked.

    Raises:
        InvalidInput, ValidationError: as for the endpoint.
    """
    fields = parse_json(body)
    if fields.keys() == TEXT_ALONE and isinstance(text := fields["inputs"], str):
        options, timeout_ms = PLAIN_OPTIONS, None  # the pipeline checks the text
    else:
        asked = ClassifyRequest.model_validate(fields)
        if asked.wants_details or len(asked.texts) != 1:
            return None
        (text,), options, timeout_ms = asked.texts, asked.options, asked.timeout_ms
    return None if len(text) > MAX_INLINE_CHARS else (text, options, timeout_ms)


def is_long(job: ClassificationJob) -> bool:
    """Whether the answer may be so long that it is compressed for those who ask for that."""
    labels = job.encoded[0].served.manifest.labels
    return len(to_json(labels)) + LABEL_BYTES * len(labels) >= MIN_COMPRESSED_BYTES
