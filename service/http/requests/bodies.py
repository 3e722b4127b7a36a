"""Request bodies: read within a bound, then parsed from JSON or a form into a plain dictionary.

A query string is a form, too; LibreTranslate's clients send fields in either place.

Knows no field but what a form cannot say by itself. Whatever a client sends ends in a dictionary or
in an `InvalidInput`.
"""

import re
from collections.abc import AsyncGenerator, Iterable
from urllib.parse import parse_qsl

from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from service.errors import EmptyInput, InputTooLong, InvalidInput
from service.http.requests.codings import open_decoder
from service.http.requests.faults import kind_of

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MAX_FORM_FIELDS = 1000
CHARSET = re.compile(r"charset\s*=\s*\"?([^\s\";]*)", re.IGNORECASE)

# Of a body that is too long, so much is read and thrown away: a client that is still sending would
# otherwise see a broken connection instead of the answer.
MAX_DISCARDED_BYTES = 64 * 1024 * 1024


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body, decoded if it was sent as gzip or deflate.

    Raises:
        InputTooLong: it is longer than `max_bytes`, decoded or not, or says that it will be.
        InvalidInput: it cannot be decoded.
        UnsupportedCoding: it is coded in another way.
        ClientDisconnect: the client hung up meanwhile.
    """
    decoder = open_decoder(request.headers)
    declared = declared_length(request.headers)
    if declared > max_bytes and is_discard_pointless(request.headers, declared):
        raise too_long(max_bytes)
    body = bytearray()
    received = 0
    has_more = True
    while has_more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, has_more = message.get("body", b""), message.get("more_body", False)
        received += len(chunk)
        if max(received, declared, len(body)) <= max_bytes:
            body += decoder.decode(chunk, max_bytes + 1 - len(body))
        elif received > MAX_DISCARDED_BYTES:
            break
    if max(received, declared, len(body)) > max_bytes:
        raise too_long(max_bytes)
    decoder.check_end()
    return bytes(body)


def declared_length(headers: Headers) -> int:
    value = headers.get("content-length", "")
    return int(value) if value.isdecimal() and value.isascii() and len(value) < 20 else 0


def is_discard_pointless(headers: Headers, declared: int) -> bool:
    # A client that asks first has not begun to send.
    return headers.get("expect", "").lower() == "100-continue" or declared > MAX_DISCARDED_BYTES


def too_long(max_bytes: int) -> InputTooLong:
    return InputTooLong(
        f"The body is above the limit of {max_bytes} bytes; split it over several requests."
    )


async def parse_fields(body: bytes, query: bytes, headers: Headers) -> dict[str, object]:
    """The fields of a body and of a query string; if both have one, the body's is taken.

    Raises:
        InvalidInput: one of them cannot be parsed, or both are empty.
    """
    if not query:
        return await parse_body(body, headers)
    asked = parse_form(query, "query string")
    if not body.strip():
        return asked
    sent = await parse_body(body, headers)
    return asked | {name: value for name, value in sent.items() if value is not None}


async def parse_body(body: bytes, headers: Headers) -> dict[str, object]:
    """The fields of a body.

    Any content type other than a form is parsed as JSON, and so is a form that begins like JSON:
    that is what curl -d sends without a header.

    Raises:
        InvalidInput: it is neither, or not UTF-8, or not an object.
    """
    if not body.strip():
        raise EmptyInput("The body is empty; send a JSON object or a form.")
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == MULTIPART:
        return await parse_multipart(body, headers)
    if content_type == FORM and not body.lstrip().startswith((b"{", b"[")):
        return parse_form(body)
    return parse_json(body)


def parse_json(body: bytes) -> dict[str, object]:
    """A JSON object; strict about UTF-8, lone surrogates, NaN and nesting.

    Raises:
        InvalidInput: the message has the position, never the text.
    """
    try:
        value = from_json(body.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)
    except ValueError as exc:
        raise InvalidInput(f"The body is not valid JSON in UTF-8: {exc}.") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"The body must be a JSON object, got {kind_of(value)}.")
    return value


def parse_form(body: bytes, name: str = "form") -> dict[str, object]:
    try:
        text = body.decode("utf-8")
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS
        )
    except UnicodeDecodeError:
        raise InvalidInput(f"The {name} is not UTF-8; encode it as UTF-8.") from None
    except ValueError:
        raise InvalidInput(f"The {name} has more than {MAX_FORM_FIELDS} fields.") from None
    return collect_fields(pairs)


async def parse_multipart(body: bytes, headers: Headers) -> dict[str, object]:
    charset = CHARSET.search(headers.get("content-type", ""))
    # the parser would fall back to latin-1 without a word
    if (charset and charset[1].lower() != "utf-8") or not is_utf8(body):
        raise InvalidInput("The form is not UTF-8; encode it as UTF-8.")
    parser = MultiPartParser(
        headers, feed(body), max_files=1, max_fields=MAX_FORM_FIELDS, max_part_size=len(body)
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError):  # KeyError: a part without a name, or no boundary
        raise InvalidInput("The body is not a valid multipart form.") from None
    fields = form.multi_items()
    await form.close()
    texts = [(name, value) for name, value in fields if isinstance(value, str)]
    if len(texts) < len(fields):
        raise InvalidInput("Files are not accepted; send the text in a field.")
    return collect_fields(texts)


def collect_fields(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Fields by name; one that is repeated becomes a list."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


async def feed(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
