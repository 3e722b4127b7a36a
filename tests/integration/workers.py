"""The processes of a server, and requests that any of them may take."""

import json
import shutil
from pathlib import Path

import httpx

from tests.integration.server import Server, read_metric

MODEL = "sentiment-en"


def count_workers(server: Server) -> float:
    with server.open_client() as client:
        return read_metric(client, "seqserve_workers")


def list_workers(server: Server) -> list[int]:
    return list_children(server.process.pid)


def list_children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text(encoding="ascii").split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split(") ")[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or read
        return False


def classify(server: Server) -> httpx.Response:
    """One request over a connection of its own, which any worker may take."""
    with server.open_client() as client:
        return client.post("/classify", json={"inputs": "a fine film"})


def add_version(version: Path, name: str) -> None:
    newer = Path(shutil.copytree(version, version.with_name(name)))
    manifest = json.loads((newer / "manifest.json").read_text(encoding="utf-8"))
    manifest["version"] = name
    (newer / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
