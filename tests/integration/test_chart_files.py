"""The programs that the chart brings, run for real: they fetch models and check a release."""

import hashlib
import http.server
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.charts import CHART
from tests.integration.server import MODELS_DIR, run_server

FILES = {"fr/3/manifest.json": b"{}", "fr/3/weights.bin": bytes(range(256)) * 300}


def make_tar(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def make_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def make_link() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("fr/3/link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return buffer.getvalue()


class Store(http.server.ThreadingHTTPServer):
    """A store of archives; each path fails `failures` times with 503 before it answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StoreHandler)
        self.bodies: dict[str, bytes] = {}
        self.failures = 0
        self.authorizations: list[str | None] = []

    def put(self, name: str, body: bytes) -> dict[str, str]:
        self.bodies["/" + name] = body
        url = f"http://127.0.0.1:{self.server_address[1]}/{name}"
        return {"url": url, "sha256": hashlib.sha256(body).hexdigest()}


class StoreHandler(http.server.BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        self.server.authorizations.append(self.headers["Authorization"])
        self.server.failures -= 1
        body = self.server.bodies.get(self.path)
        status = 503 if self.server.failures >= 0 else 404 if body is None else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body if body and status == 200 else b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as opened:
        threading.Thread(target=opened.serve_forever, args=(0.01,), daemon=True).start()
        yield opened
        opened.shutdown()


def run_file(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a program as the chart does: its text given to -c."""
    text = (CHART / "files" / name).read_text(encoding="utf-8")
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    command = [sys.executable, "-c", text, *arguments]
    return subprocess.run(
        command, env=kept | variables, capture_output=True, text=True, timeout=60, check=False
    )


def fetch(
    archives: list[dict[str, str]], folder: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    manifest = folder / "archives.json"
    manifest.write_text(json.dumps(archives), encoding="utf-8")
    return run_file("fetch_models.py", str(manifest), str(folder / "models"), **variables)


@pytest.mark.parametrize(
    "pack", [make_tar, lambda files: make_tar(files, "w"), make_zip], ids=["tar.gz", "tar", "zip"]
)
def test_archives_become_a_repository(
    pack: Callable[[dict[str, bytes]], bytes], store: Store, tmp_path: Path
) -> None:
    done = fetch([store.put("fr", pack(FILES))], tmp_path, AUTHORIZATION="Bearer secret")
    found = {
        path.relative_to(tmp_path / "models").as_posix(): path.read_bytes()
        for path in (tmp_path / "models").rglob("*")
        if path.is_file()
    }

    assert done.returncode == 0, done.stderr
    assert found == FILES
    assert store.authorizations == ["Bearer secret"]


def test_a_store_that_is_away_for_a_moment_is_asked_again(store: Store, tmp_path: Path) -> None:
    store.failures = 1
    done = fetch([store.put("fr", make_tar(FILES))], tmp_path)

    assert done.returncode == 0, done.stderr
    assert "503" in done.stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (make_tar({"../../evil/3/x": b""}), "is not <name>/<version>/<file>"),
        (make_tar({"/etc/fr/3/x": b""}), "is not <name>/<version>/<file>"),
        (make_zip({"../fr/3/x": b""}), "is not <name>/<version>/<file>"),
        (make_tar({"weights.bin": b""}), "is not <name>/<version>/<file>"),
        (make_link(), "is not a regular file"),
        (make_tar({}), "the archive is empty"),
        (b"<html>not here</html>" * 99, "neither tar nor zip"),
    ],
    ids=["parent", "absolute", "zip-parent", "shallow", "link", "empty", "page"],
)
def test_an_archive_that_is_not_ours_stops_the_start(
    body: bytes, message: str, store: Store, tmp_path: Path
) -> None:
    done = fetch([store.put("fr", body)], tmp_path)

    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "0" * 64}, "sha256 is"),
        ({"url": "file:///etc/passwd"}, "only https and http"),
    ],
)
def test_an_archive_that_is_not_the_one_meant_stops_the_start(
    changes: dict[str, str], message: str, store: Store, tmp_path: Path
) -> None:
    done = fetch([store.put("fr", make_tar(FILES)) | changes], tmp_path)

    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "models").exists()


def test_what_is_not_there_is_asked_for_once(store: Store, tmp_path: Path) -> None:
    archive = store.put("fr", make_tar(FILES))
    done = fetch([archive | {"url": archive["url"] + "-4"}], tmp_path)

    assert "404" in done.stderr
    assert len(store.authorizations) == 1


TASK_PATHS = ("classify", "generate", "tag", "translate")


def test_check_of_a_release_asks_every_task(tmp_path: Path) -> None:
    with run_server(MODELS_DIR, tmp_path / "log", "--api-keys", "first,second") as server:
        done = run_file("check_api.py", server.url, API_KEYS="first,second")
        refused = run_file("check_api.py", server.url, API_KEYS="third")
    log = (tmp_path / "log").read_text(encoding="utf-8")  # whole, now that the server has ended

    assert done.returncode == 0, done.stderr
    assert "translation-en-de" in done.stdout
    assert all(f"path=/{path} status=200" in log for path in TASK_PATHS)
    assert refused.returncode == 1
    assert "HTTP 403" in refused.stderr


def test_check_of_a_release_that_is_away_fails_in_one_sentence() -> None:
    done = run_file("check_api.py", "http://127.0.0.1:9")

    assert done.returncode == 1
    assert done.stderr.startswith("/models: ")
