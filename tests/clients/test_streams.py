"""Clients that read a translation while it is written: httpx-sse, and a page in a browser."""

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

import httpx
from httpx_sse import aconnect_sse, connect_sse

from tests.clients.programs import needs
from tests.integration.server import Server

TEXT = "A man is riding a bicycle down the street. Two dogs are playing in the snow."
BODY = {"q": TEXT, "source": "en", "target": "de", "stream": True}
PAGE = Path(__file__).with_name("stream.html")
BROWSER = "chromium-headless-shell"


def check_events(events: list[tuple[str, str]], server: Server) -> None:
    """Several tokens, which make what the same request without a stream is answered with."""
    *tokens, (last, data) = events
    with server.open_client() as client:
        whole = client.post("/translate", json=BODY | {"stream": False}).json()

    assert len(tokens) > 1
    assert {event for event, _ in tokens} == {"token"}
    assert last == "done"
    assert json.loads(data) == whole
    assert "".join(json.loads(token)["text"] for _, token in tokens) == whole["translatedText"]


def test_httpx_sse_reads_the_events(server: Server) -> None:
    with (
        server.open_client() as client,
        connect_sse(client, "POST", "/translate", json=BODY) as source,
    ):
        check_events([(each.event, each.data) for each in source.iter_sse()], server)


async def test_the_asynchronous_httpx_sse_reads_the_events(server: Server) -> None:
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60.0, trust_env=False) as client,
        aconnect_sse(client, "POST", "/translate", json=BODY) as source,
    ):
        check_events([(each.event, each.data) async for each in source.aiter_sse()], server)


def serve_page(page: bytes, said: "Queue[str]") -> ThreadingHTTPServer:
    """Serves a page, and takes what it posts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(page)

        def do_POST(self) -> None:
            said.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.answer(b"")

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@needs(BROWSER)
def test_a_page_of_another_origin_reads_the_stream(tmp_path: Path, server: Server) -> None:
    said: Queue[str] = Queue()
    page = PAGE.read_text(encoding="utf-8").replace("URL", f"{server.url}/translate")
    pages = serve_page(page.replace("BODY", json.dumps(BODY)).encode(), said)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    command = [BROWSER, "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    command += ["--no-proxy-server", "--remote-debugging-port=0"]
    browser = subprocess.Popen(
        [*command, f"http://127.0.0.1:{pages.server_port}/"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        told = json.loads(said.get(timeout=90))
    finally:
        browser.terminate()
        browser.wait(20)
        pages.shutdown()
        pages.server_close()

    assert told.get("error") is None
    assert told["chunks"] > 1
    check_events([tuple(event) for event in told["events"]], server)
