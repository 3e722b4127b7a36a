"""How clients connect: upgrades, idle connections, sockets, TLS; with a real server process."""

import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from tests.integration.charts import read_values
from tests.integration.nginx import read_seconds
from tests.integration.server import ROOT, Server, run_server
from tests.service.server.certificates import make_certificate, needs_openssl

HERE = Path(__file__).parent
TINY_REPOSITORY = ROOT / "tests" / "service" / "tiny_repository"
KEEP_ALIVE_SECONDS = 2
BODY = json.dumps({"inputs": "재미있어요"})
STREAM = json.dumps({"q": "Two dogs. " * 20, "source": "en", "target": "ko", "stream": True})

needs_java = pytest.mark.skipif(not shutil.which("java"), reason="java is not there")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("connections") / "log"
    seconds = str(KEEP_ALIVE_SECONDS)
    with run_server(TINY_REPOSITORY, log, "--keep-alive-seconds", seconds) as running:
        yield running


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def connect(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def request(body: str, headers: str, path: str = "/classify") -> str:
    length = len(body.encode("latin-1"))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
    return f"{head}{headers}\r\n{body}"


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_curl_that_offers_http2_is_answered(server: Server) -> None:
    answer = run(
        *("curl", "-s", "--noproxy", "*", "--http2", "-H", "content-type: application/json"),
        *("-d", BODY, f"{server.url}/classify", "--next", "-s", f"{server.url}/livez"),
    )
    labels, live = answer.split("]]")
    assert {found["label"] for found in json.loads(labels + "]]")[0]} == {"negative", "positive"}
    assert json.loads(live) == {"status": "live"}


@needs_java
def test_java_client_that_offers_http2_is_answered(server: Server) -> None:
    lines = run("java", str(HERE / "Post.java"), f"{server.url}/classify", BODY).splitlines()
    assert len(lines) == 2
    assert all(line.startswith('200 [[{"label":') for line in lines)


FORM_HEADERS = "Content-Type: multipart/form-data; boundary=cut\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
RUDE: dict[str, str] = {
    "upgrade": request(BODY, "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    "not HTTP": "this is not HTTP\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01",
    "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT": "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "form without parts": request("no parts", FORM_HEADERS),
    "form that ends early": request("--cut\r\nContent-Disp", FORM_HEADERS),
    "form with odd headers": request("--cut\r\nA B: c\r\n\r\nx\r\n--cut--", FORM_HEADERS),
    "form with odd ends": request("--cut\n\r\n\r--cut--x", FORM_HEADERS),
    "form of junk": request("--cut\r\n\x01\x02\r\n", FORM_HEADERS),
    "odd chunk": "POST /classify HTTP/1.1\r\nHost: x\r\n" + CHUNKED + "\r\nzz\r\n",
    "odd host": "GET /livez HTTP/1.1\r\nHost: [::\r\n\r\n",
    "odd path": "GET /%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "odd coding": request(BODY, "Content-Encoding: gzip\r\n"),
    "junk behind a request": request(STREAM, "", "/translate") + "junk\r\n" * 20,
}


@pytest.mark.parametrize("data", RUDE.values(), ids=RUDE)
@pytest.mark.parametrize("waits", [True, False])
def test_no_client_can_write_more_than_a_line_per_request(
    data: str, waits: bool, server: Server
) -> None:
    before = len(server.read_log().splitlines())
    for _ in range(3):
        with connect(server) as connection:
            connection.sendall(data.encode("latin-1"))
            if waits:
                assert connection.recv(65536).startswith(b"HTTP/1.1 ")
    with server.open_client() as client:
        client.get("/livez")
    lines = server.read_log().splitlines()[before:]
    assert [line for line in lines if " request " not in line] == []


def test_idle_connection_is_closed_after_its_time_and_not_before(server: Server) -> None:
    with connect(server) as connection:
        for _ in range(3):
            time.sleep(KEEP_ALIVE_SECONDS / 2)
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        started = time.monotonic()
        assert connection.recv(65536) == b""
        assert time.monotonic() - started > KEEP_ALIVE_SECONDS * 0.9


def test_connections_are_kept_longer_than_by_what_stands_in_front() -> None:
    seconds = Settings().keep_alive_seconds
    assert seconds > read_seconds("keepalive_timeout")
    assert read_values("values.yaml")["settings"]["keep_alive_seconds"] == seconds


def test_parameters_of_the_url_are_enough(server: Server) -> None:
    """As deep-translator sends them: a POST without a body."""
    with server.open_client() as client:
        query = {"q": "Two dogs.", "source": "en", "target": "ko", "format": "text"}
        answer = client.post("/translate", params=query)
        assert answer.status_code == 200
        assert answer.json() == client.post("/translate", json=query).json()


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def num_workers(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


def assert_serves(server: Server) -> None:
    """A probe, a task, a stream, an upgrade, on connections that are kept."""
    with server.open_client() as client:
        assert client.get("/livez").status_code == 200
        upgrade = {"Connection": "Upgrade", "Upgrade": "h2c"}
        answer = client.post("/classify", content=BODY, headers=upgrade)
        assert answer.json()[0][0]["label"] in ("negative", "positive")
        stream = client.post("/translate", content=STREAM)
        assert "event: done" in stream.text
    assert server.stop() == 0
    lines = server.read_log().splitlines()
    assert [line for line in lines if " request " not in line] == []


def test_unix_socket_serves_and_is_removed(num_workers: int, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    flags = ("--unix-socket", str(path), "--keep-alive-seconds", "1")
    with run_server(TINY_REPOSITORY, tmp_path / "log", *flags, num_workers=num_workers) as server:
        assert server.url == f"http://unix:{path}"
        with socket.socket(socket.AF_UNIX) as idle:
            idle.connect(str(path))
            assert idle.recv(1) == b""
        assert_serves(server)
    assert not path.exists()


def connect_tls(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    with socket.create_connection(("127.0.0.1", port), 30) as raw:
        return context.wrap_socket(raw, server_hostname="localhost")


@needs_openssl
def test_tls_serves_those_who_trust_the_certificate(num_workers: int, tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    flags = ("--certfile", str(made.certfile), "--keyfile", str(made.keyfile))
    flags += ("--keep-alive-seconds", "1")
    with run_server(
        TINY_REPOSITORY, tmp_path / "log", *flags, num_workers=num_workers, tls=made.trust()
    ) as server:
        assert server.url.startswith("https://127.0.0.1:")
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 30) as plain:
            plain.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200" not in plain.recv(65536)
        with pytest.raises(ssl.SSLCertVerificationError):
            connect_tls(port, ssl.create_default_context())
        with connect_tls(port, made.trust()) as idle:
            assert idle.version() == "TLSv1.3"
            assert idle.recv(1) == b""
        assert_serves(server)


@needs_openssl
def test_unusable_certificate_ends_the_start_in_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"seqserve: Cannot serve TLS with .*No such file"),
        run_server(TINY_REPOSITORY, tmp_path / "log", "--certfile", "none.pem"),
    ):
        pass


@pytest.mark.skipif(not has_ipv6(), reason="the machine has no IPv6")
def test_ipv6_address_serves_both_families(num_workers: int, tmp_path: Path) -> None:
    flags = ("--host", "::")
    with run_server(TINY_REPOSITORY, tmp_path / "log", *flags, num_workers=num_workers) as server:
        assert server.url.startswith("http://[::]:")
        port = int(server.url.rpartition(":")[2])
        for host in ("::1", "127.0.0.1"):
            with socket.create_connection((host, port), 30) as connection:
                connection.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert_serves(server)
