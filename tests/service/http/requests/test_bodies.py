from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request

from service.errors import EmptyInput, InputTooLong, InvalidInput
from service.http.requests.bodies import MAX_DISCARDED_BYTES, parse_body, parse_fields, read_body

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=cut"


def part(name: str, value: str, extra: str = "") -> str:
    return f'--cut\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{value}\r\n'


async def parse(body: bytes, content_type: str) -> dict[str, object]:
    return await parse_body(body, Headers({"content-type": content_type}))


@pytest.mark.parametrize("content_type", [JSON, "", "text/plain", FORM, "application/json; x=y"])
async def test_json_is_read_whatever_it_is_called(content_type: str) -> None:
    assert await parse(b' {"q": "\xc3\xa9"}', content_type) == {"q": "é"}


async def test_byte_order_mark_is_skipped() -> None:
    assert await parse(b'\xef\xbb\xbf{"q": "x"}', JSON) == {"q": "x"}


async def test_form_is_read() -> None:
    assert await parse(b"q=a+%C3%A9&target=de&empty=", FORM) == {
        "q": "a é",
        "target": "de",
        "empty": "",
    }


async def test_repeated_field_of_a_form_is_an_array() -> None:
    assert await parse(b"q=a&q=b", FORM) == {"q": ["a", "b"]}


async def test_multipart_form_is_read() -> None:
    body = part("q", "é\nb") + part("target", "de") + "--cut--\r\n"
    assert await parse(body.encode(), MULTIPART) == {"q": "é\nb", "target": "de"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"q": "\xff"}', JSON),
        (b'{"q": "\\ud800"}', JSON),
        (b'{"q": "x"', JSON),
        (b'{"q": "x"} y', JSON),
        (b'{"q": NaN}', JSON),
        (b'{"q": -Infinity}', JSON),
        (b"[" * 100_000, JSON),
        (b'{"q":' * 100_000, JSON),
        (b'{"q": ' + b"9" * 5000 + b"}", JSON),
        (b"q=x", JSON),
        (b'["x"]', JSON),
        (b'"x"', JSON),
        (b"3", JSON),
        (b"null", JSON),
        (b"[1, 2", FORM),
        (b"q=%FF", FORM),
        (b"q=%ED%A0%80", FORM),
        (b"q=\xff", FORM),
        (b"&".join([b"q=x"] * 1001), FORM),
        (b"no parts", MULTIPART),
        (b"q=x", "multipart/form-data"),
        (part("q", "x").encode() + b"\xff--cut--", MULTIPART),
        ((part("q", "x") + "--cut--\r\n").encode(), MULTIPART + "; charset=undefined"),
        ((part("q", "x") + "--cut--\r\n").encode(), MULTIPART + '; charset="utf-16"'),
        ((part("q", "x", '; filename="f"') + "--cut--\r\n").encode(), MULTIPART),
        (b"--cut\r\nX: y\r\n\r\nx\r\n--cut--\r\n", MULTIPART),
    ],
)
async def test_what_cannot_be_read_is_invalid_input(body: bytes, content_type: str) -> None:
    with pytest.raises(InvalidInput):
        await parse(body, content_type)


@pytest.mark.parametrize("body", [b"", b" \n"])
@pytest.mark.parametrize("content_type", [JSON, FORM, MULTIPART, ""])
async def test_empty_body_is_named(body: bytes, content_type: str) -> None:
    with pytest.raises(EmptyInput, match="The body is empty"):
        await parse(body, content_type)


async def test_json_fault_has_its_place_but_not_the_text() -> None:
    with pytest.raises(InvalidInput, match="line 1 column") as caught:
        await parse(b'{"q": "secret', JSON)
    assert "secret" not in str(caught.value)


def make_request(chunks: list[bytes], headers: dict[str, str]) -> tuple[Request, list[int]]:
    """A request whose body arrives in chunks, and how many of them were read."""
    num_read = [0]

    async def receive() -> dict[str, Any]:
        index = num_read[0]
        num_read[0] += 1
        return {
            "type": "http.request",
            "body": chunks[index],
            "more_body": index + 1 < len(chunks),
        }

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw}, receive), num_read


async def test_body_of_the_longest_length_is_read() -> None:
    request, _ = make_request([b"x" * 5, b"y" * 5], {"content-length": "10"})
    assert await read_body(request, 10) == b"xxxxxyyyyy"


@pytest.mark.parametrize("headers", [{}, {"content-length": "junk"}, {"content-length": "11"}])
async def test_longer_body_is_read_to_its_end_and_refused(headers: dict[str, str]) -> None:
    request, num_read = make_request([b"x" * 5, b"y" * 6], headers)
    with pytest.raises(InputTooLong, match="10 bytes"):
        await read_body(request, 10)
    assert num_read == [2]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-length": "11", "expect": "100-continue"},
        {"content-length": str(MAX_DISCARDED_BYTES + 1)},
    ],
)
async def test_body_that_nobody_waits_for_is_refused_unread(headers: dict[str, str]) -> None:
    request, num_read = make_request([b"x" * 11], headers)
    with pytest.raises(InputTooLong):
        await read_body(request, 10)
    assert num_read == [0]


async def test_endless_body_is_given_up() -> None:
    request, num_read = make_request([b"x" * 2**20] * 100, {})
    with pytest.raises(InputTooLong):
        await read_body(request, 10)
    assert num_read == [MAX_DISCARDED_BYTES // 2**20 + 1]


async def parse_both(body: bytes, query: bytes, content_type: str = JSON) -> dict[str, object]:
    return await parse_fields(body, query, Headers({"content-type": content_type}))


@pytest.mark.parametrize(
    ("body", "query", "fields"),
    [
        (b"", b"q=a+%C3%A9&q=b&target=de", {"q": ["a é", "b"], "target": "de"}),
        (b" \n", b"q=a&empty=", {"q": "a", "empty": ""}),
        (b'{"q": "x"}', b"", {"q": "x"}),
        (b'{"q": "x"}', b"target=de", {"q": "x", "target": "de"}),
        (b'{"q": "x", "target": null}', b"q=y&target=de", {"q": "x", "target": "de"}),
    ],
)
async def test_query_string_adds_to_the_body(
    body: bytes, query: bytes, fields: dict[str, object]
) -> None:
    assert await parse_both(body, query) == fields


async def test_form_adds_to_the_query_string() -> None:
    assert await parse_both(b"q=x", b"q=y&target=de", FORM) == {"q": "x", "target": "de"}


@pytest.mark.parametrize("query", [b"q=%FF", b"q=\xff", b"&".join([b"q=x"] * 1001)])
async def test_query_string_that_cannot_be_read_is_named(query: bytes) -> None:
    with pytest.raises(InvalidInput, match="The query string"):
        await parse_both(b"", query)


async def test_query_string_does_not_excuse_a_bad_body() -> None:
    with pytest.raises(InvalidInput, match="JSON"):
        await parse_both(b"{", b"q=x")
