import gzip
import json
import zlib
from collections.abc import Callable

import httpx
import pytest
from starlette.datastructures import Headers

from service.errors import InvalidInput, UnsupportedCoding
from service.http.requests.codings import PlainDecoder, ZlibDecoder, open_decoder
from tests.service.http.fakes import FakePipeline, connect, make_app

BODY = json.dumps({"inputs": "good"}).encode()
LIMIT = 1024


def deflate_raw(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", deflate_raw),
    ("identity", bytes),
    ("", bytes),
    ("gzip, identity", gzip.compress),
]


async def post(body: bytes, coding: str, **settings: int) -> httpx.Response:
    headers = {"content-encoding": coding, "content-type": "application/json"}
    async with connect(make_app(**settings)) as client:
        return await client.post("/classify", content=body, headers=headers)


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
async def test_compressed_body_is_read(coding: str, compress: Callable[[bytes], bytes]) -> None:
    answer = await post(compress(BODY), coding)
    assert answer.status_code == 200
    assert answer.json()[0][0]["label"] == "positive"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "deflate, br", "x" * 5000])
async def test_other_codings_are_refused_with_those_that_are_read(coding: str) -> None:
    answer = await post(BODY, coding)
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert "gzip or deflate" in answer.json()["error"]
    assert len(answer.json()["error"]) < 200


async def test_refusal_names_the_coding() -> None:
    assert "Content-Encoding is br;" in (await post(BODY, "br")).json()["error"]


def test_several_headers_are_one() -> None:
    headers = Headers(raw=[(b"content-encoding", b"gzip"), (b"content-encoding", b"br")])
    with pytest.raises(UnsupportedCoding, match="gzip, br"):
        open_decoder(headers)


@pytest.mark.parametrize(("coding", "compress"), CODINGS[:5])
@pytest.mark.parametrize("num_bytes", [LIMIT, LIMIT + 1, 50 * LIMIT, 1000 * LIMIT])
async def test_bound_holds_for_what_comes_out(
    coding: str, compress: Callable[[bytes], bytes], num_bytes: int
) -> None:
    body = BODY + b" " * (num_bytes - len(BODY))
    answer = await post(compress(body), coding, max_body_bytes=LIMIT)
    assert answer.status_code == (200 if num_bytes == LIMIT else 413)


async def test_bound_holds_for_what_arrives_too() -> None:
    stored = gzip.compress(BODY + b" " * 950, compresslevel=0) + b"x" * 200
    assert (await post(stored, "gzip", max_body_bytes=LIMIT)).status_code == 413


def test_decoder_makes_no_more_than_it_is_asked_for() -> None:
    decoder = ZlibDecoder("gzip")
    bomb = gzip.compress(b"\0" * 10_000_000)
    assert len(decoder.decode(bomb, 100)) == 100


@pytest.mark.parametrize(
    ("body", "coding", "fault"),
    [
        (BODY, "gzip", "is damaged"),
        (b"\x78\x9cnot zlib", "deflate", "is damaged"),
        (gzip.compress(BODY, mtime=0)[:-1], "gzip", "ends too early"),
        (gzip.compress(BODY, mtime=0)[:5], "gzip", "ends too early"),
        (gzip.compress(BODY, mtime=0) + b"x", "gzip", "goes on after its end"),
        (gzip.compress(BODY, mtime=0) * 2, "gzip", "goes on after its end"),
        (gzip.compress(BODY, mtime=0)[:-5] + b"12345", "gzip", "is damaged"),
    ],
)
async def test_what_is_not_what_it_is_called_is_refused(
    body: bytes, coding: str, fault: str
) -> None:
    answer = await post(body, coding)
    assert answer.status_code == 422
    assert f"The {coding} data of the body {fault}" in answer.json()["error"]


def test_body_is_decoded_byte_by_byte() -> None:
    for coding, compress in CODINGS[3:5]:
        decoder = ZlibDecoder(coding)
        parts = [decoder.decode(bytes([byte]), LIMIT) for byte in compress(BODY)]
        decoder.check_end()
        assert b"".join(parts) == BODY


def test_what_follows_the_end_in_a_further_piece_is_refused() -> None:
    decoder = ZlibDecoder("gzip")
    decoder.decode(gzip.compress(BODY), LIMIT)
    with pytest.raises(InvalidInput, match="after its end"):
        decoder.decode(b"x", LIMIT)


async def test_empty_body_is_empty_whatever_its_coding() -> None:
    answer = await post(b"", "gzip")
    assert (answer.status_code, "is empty" in answer.text) == (422, True)


def test_body_without_a_coding_is_passed_on() -> None:
    assert isinstance(open_decoder(Headers({})), PlainDecoder)


# --- answers ---


async def classify(num_texts: int, accepted: str) -> httpx.Response:
    body = {"inputs": ["good"] * num_texts}
    async with connect(make_app()) as client:
        headers = {"accept-encoding": accepted}
        return await client.post("/classify", json=body, headers=headers)


@pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip;q=0.5, br", "gzip;q=1.0"])
async def test_long_answer_is_compressed_for_those_who_ask(accepted: str) -> None:
    answer = await classify(100, accepted)
    assert answer.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["vary"]
    assert int(answer.headers["content-length"]) < len(answer.content) / 5
    assert len(answer.json()) == 100


@pytest.mark.parametrize(
    ("num_texts", "accepted"),
    [(1, "gzip"), (100, ""), (100, "br"), (100, "gzip;q=0"), (100, "gzip; q=0.000, br")],
)
async def test_other_answers_are_not_compressed(num_texts: int, accepted: str) -> None:
    answer = await classify(num_texts, accepted)
    assert "content-encoding" not in answer.headers
    assert len(answer.json()) == num_texts


async def test_stream_is_not_compressed() -> None:
    body = {"q": "a word " * 500, "source": "en", "target": "de", "stream": True}
    async with connect(make_app(FakePipeline())) as client:
        answer = await client.post("/translate", json=body, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.text.count("event: token") > 900


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/docs/assets/swagger-ui.css"])
async def test_pages_are_compressed(path: str) -> None:
    async with connect(make_app()) as client:
        plain = await client.get(path, headers={"accept-encoding": "identity"})
        packed = await client.get(path, headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
