"""A service that answers nothing of sense, as slowly as it is told."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TIMING = "tokenize;dur=1.0, queue;dur=20.0, inference;dur=300.0, total;dur=321.0"
LANGUAGES = [{"code": "en", "targets": ["de"]}, {"code": "de", "targets": ["en"]}]


class Service(ThreadingHTTPServer):
    """Answers one request at a time, each in `seconds`.

    Attributes:
        classify_seconds: what /classify takes beside, many at a time.
        breaks_streams: the connection ends in the middle of each.
        status: of the answers to POST.
        headers: of the last request.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seconds, self.status, self.breaks_streams = 0.0, 200, False
        self.classify_seconds = 0.0
        self.turn = threading.Lock()
        self.headers: dict[str, str] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Service

    def do_GET(self) -> None:
        self.answer(200, json.dumps(LANGUAGES).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.turn:
            time.sleep(self.server.seconds)
        if self.path == "/classify":
            time.sleep(self.server.classify_seconds)
        if body.get("stream"):
            self.stream()
        elif self.path == "/classify":
            self.answer(self.server.status, b'[[{"label":"positive","score":1}]]')
        elif self.path == "/generate":
            self.answer(self.server.status, b'{"generated_text":"Ja."}')
        else:
            self.answer(self.server.status, b'{"translatedText":"Ja."}')

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Server-Timing", TIMING)
        self.end_headers()
        self.wfile.write(body)

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.send_chunk(b'event: token\ndata: {"index": 0, "text": "J"}\n\n')
        time.sleep(0.05)
        if self.server.breaks_streams:
            self.close_connection = True
            return
        self.send_chunk(b'event: done\ndata: {"translatedText":"Ja."}\n\n')
        self.send_chunk(b"")

    def send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass
