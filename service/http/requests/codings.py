"""Content codings (RFC 9110, section 8.4): bodies decoded within a bound, answers compressed."""

import re
import zlib
from typing import Protocol

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import InvalidInput, UnsupportedCoding
from service.http.requests.faults import safe_name

READ_CODINGS = "gzip, deflate"
MIN_COMPRESSED_BYTES = 1024
# Above it a body shrinks little and takes far longer.
COMPRESSION_LEVEL = 5
# Of an Accept-Encoding header, unless it says that gzip is not wanted.
ASKS_FOR_GZIP = re.compile(rb"gzip(?!\s*;\s*q=0(\.0*)?\s*(,|$))")

GZIP_WINDOW, ZLIB_WINDOW, RAW_WINDOW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
DEFLATE_METHOD = 8


class Decoder(Protocol):
    """Turns a body that arrives in pieces into what it was before it was coded."""

    def decode(self, data: bytes, max_bytes: int) -> bytes:
        """The next bytes, at most `max_bytes` of them.

        Raises:
            InvalidInput: the data is not what the header says.
        """
        ...

    def check_end(self) -> None:
        """Raises InvalidInput if something is missing."""
        ...


class PlainDecoder:
    """For a body that is not coded."""

    def decode(self, data: bytes, max_bytes: int) -> bytes:
        return data[:max_bytes]

    def check_end(self) -> None:
        pass


class ZlibDecoder:
    """For gzip and deflate; makes no more of a body than it is asked for, however well it packs.

    Deflate is the format of zlib; bare deflate data, which some clients send, is read, too.
    """

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._decompressor: zlib._Decompress | None = None

    def decode(self, data: bytes, max_bytes: int) -> bytes:
        if not data:
            return b""
        if self._decompressor is None:
            self._decompressor = zlib.decompressobj(self._choose_window(data[0]))
        elif self._decompressor.eof:
            raise self._describe("goes on after its end")
        try:
            decoded = self._decompressor.decompress(data, max_bytes)
        except zlib.error:
            raise self._describe("is damaged, or is something else") from None
        if self._decompressor.unused_data:
            raise self._describe("goes on after its end")
        return decoded

    def check_end(self) -> None:
        if self._decompressor is not None and not self._decompressor.eof:
            raise self._describe("ends too early")

    def _choose_window(self, first_byte: int) -> int:
        if self._coding == "gzip":
            return GZIP_WINDOW
        # no compressor begins bare deflate data with a byte like this
        return ZLIB_WINDOW if first_byte & 0x0F == DEFLATE_METHOD else RAW_WINDOW

    def _describe(self, fault: str) -> InvalidInput:
        return InvalidInput(f"The {self._coding} data of the body {fault}; compress it again.")


def open_decoder(headers: Headers) -> Decoder:
    """A decoder for the body of a request.

    Raises:
        UnsupportedCoding: it is coded in another way, or more than once.
    """
    header = ",".join(headers.getlist("content-encoding")).lower()
    if not header:
        return PlainDecoder()
    named = [name for name in map(str.strip, header.split(",")) if name not in ("", "identity")]
    codings = ["gzip" if name == "x-gzip" else name for name in named]
    if not codings:
        return PlainDecoder()
    if len(codings) > 1 or codings[0] not in ("gzip", "deflate"):
        shown = ", ".join(map(safe_name, codings[:3]))
        raise UnsupportedCoding(
            f"The body's Content-Encoding is {shown}; send it as it is, or as gzip or deflate."
        )
    return ZlibDecoder(codings[0])


class CompressionMiddleware:
    """Compresses answers with gzip for clients that ask for it: not small ones, not streams."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._compressed = GZipMiddleware(app, MIN_COMPRESSED_BYTES, COMPRESSION_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] == "http" and any(
            name == b"accept-encoding" and ASKS_FOR_GZIP.search(value)
            for name, value in scope["headers"]
        )
        await (self._compressed if asks else self._plain)(scope, receive, send)
