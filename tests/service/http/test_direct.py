"""Which requests are taken; `tests/service/server/test_direct_cycle.py` compares their answers."""

import asyncio
import gc
import time
import weakref

import pytest
from pydantic_core import to_json

from service.http.app import create_app
from service.http.context import AppContext
from service.http.direct import DirectClassify, Headers, read_body
from service.http.requests.codings import MIN_COMPRESSED_BYTES
from service.http.schemas.classify import ClassifyRequest
from service.pipeline.classify import ClassifyPipeline
from service.repository.registry import Registry
from service.settings import Settings
from tests.fakes import make_manifest, make_metrics, make_model

BODY = b'{"inputs": "good!"}'
JSON = (b"content-type", b"application/json")
SIZE = (b"content-length", b"%d" % len(BODY))
GZIP = (b"accept-encoding", b"gzip")


def make_context(labels: tuple[str, ...] = ("negative", "positive")) -> AppContext:
    """Of an app with one model of these labels."""
    settings, metrics = Settings(), make_metrics()
    registry = Registry(settings, metrics)
    registry.serve(make_model(make_manifest(labels=labels)))
    pipeline = ClassifyPipeline(registry, settings, metrics)
    return create_app(settings, registry=registry, classify=pipeline).context


async def is_taken(context: AppContext, headers: Headers, body: bytes = BODY) -> bool:
    direct = DirectClassify(context)
    if not direct.may_take(headers):
        return False
    return direct.take(headers, body, time.monotonic(), 0.0) is not None


async def test_short_text_is_taken() -> None:
    assert await is_taken(make_context(), [JSON, SIZE])


def test_text_alone_asks_for_what_its_validated_body_asks_for() -> None:
    asked = ClassifyRequest.model_validate({"inputs": "good!"})
    assert read_body(BODY) == (*asked.texts, asked.options, asked.timeout_ms)
    assert not asked.wants_details


async def test_answer_that_may_be_compressed_is_left() -> None:
    """It depends on the labels: those of a model of opinions are never long."""
    few, many = make_context(), make_context(tuple(f"topic {number}" for number in range(20)))
    assert await is_taken(few, [JSON, SIZE, GZIP])
    assert await is_taken(many, [JSON, SIZE])
    assert not await is_taken(many, [JSON, SIZE, GZIP])


@pytest.mark.parametrize("num_labels", [2, 12, 15, 16, 30])
async def test_answer_that_is_taken_is_never_compressed(num_labels: int) -> None:
    labels = tuple('é\a"€'[: 1 + number % 4] + str(number) for number in range(num_labels))
    longest = [[{"label": label, "score": -1.2345678901234567e-100} for label in labels]]
    if await is_taken(make_context(labels), [JSON, SIZE, GZIP]):
        assert len(to_json(longest)) < MIN_COMPRESSED_BYTES


@pytest.mark.parametrize("length", [b"0", b"8001", b"9" * 19, None])
async def test_length_is_bounded(length: bytes | None) -> None:
    headers = [JSON] if length is None else [JSON, (b"content-length", length)]
    assert not await is_taken(make_context(), headers)


async def test_traced_requests_are_left() -> None:
    context = make_context()
    context.traces = object()  # type: ignore[assignment]
    assert not await is_taken(context, [JSON, SIZE])


async def test_server_that_drains_takes_none() -> None:
    context = make_context()
    context.is_draining = True
    assert not await is_taken(context, [JSON, SIZE])


async def test_deadline_that_has_passed_is_told_at_once() -> None:
    context = make_context()
    direct = DirectClassify(context)
    headers = [JSON, SIZE, (b"x-request-timeout-ms", b"20")]
    exchange = direct.take(headers, BODY, time.monotonic(), age_seconds=0.5)
    assert exchange is not None
    sent: list[tuple[int, Headers, bytes]] = []
    exchange.start(lambda *answer: sent.append(answer))
    assert [status for status, *_ in sent] == [504]
    assert b"the deadline passed before the answer was ready" in sent[0][2]


async def test_exchange_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    context = make_context()
    exchange = DirectClassify(context).take([JSON, SIZE], BODY, time.monotonic(), 0.0)
    assert exchange is not None
    is_answered = asyncio.Event()
    (served,) = context.registry.models()
    gc.collect()
    gc.disable()
    try:
        exchange.start(lambda *_: is_answered.set())
        await asyncio.wait_for(is_answered.wait(), 10.0)
        await asyncio.sleep(0.05)
        ended = weakref.ref(exchange)
        del exchange
        assert ended() is None
    finally:
        gc.enable()
        await served.batcher.stop(1.0)  # type: ignore[union-attr]
