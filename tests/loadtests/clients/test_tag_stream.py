"""The typing client, against a real server with a tiny model."""

import json
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from loadtests.clients import tag_stream
from tests.integration.server import run_server

TAGGERS = Path(__file__).parents[2] / "service" / "tiny_taggers"


def test_connections_are_open_while_people_type_and_freed_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_stream, "RESULTS", tmp_path)
    with run_server(TAGGERS, tmp_path / "log") as server:
        options = ["--connections", "20", "--seconds", "2", "--pause-seconds", "0.5"]
        tag_stream.main(["--url", server.url, *options, "--name", "small"])
    results = json.loads((tmp_path / "small.tag_stream.json").read_text(encoding="utf-8"))

    streams = [state["num_streams"] for state in results["states"].values()]
    assert streams == [0, 20, 20, 0]
    assert results["errors"] == []
    assert results["num_texts"] >= 20
    # a text has an event per character, and one at its end
    assert results["num_events"] > 15 * results["num_texts"]
    assert 0 < results["latency_ms"]["p50"] <= results["latency_ms"]["max"]
    assert "--connections 20" in results["about"]["command"]


def test_refused_connections_end_the_run(tmp_path: Path) -> None:
    with (
        run_server(TAGGERS, tmp_path / "log", "--max-tag-streams", "2") as server,
        pytest.raises(InvalidStatus, match="429"),
    ):
        tag_stream.main(["--url", server.url, "--connections", "3", "--seconds", "1"])
