import json
import shutil
from pathlib import Path

import pytest

from loadtests.clients.new_words import NEW_WORD
from loadtests.clients.wrk import MISSING, SCRIPT, parse_wrk, require_wrk, run_wrk
from tests.loadtests.clients.recorder import Handler

REPORT = """Running 2s test @ http://127.0.0.1:8000/classify
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    31.95ms   12.30ms 120.40ms   72.10%
Requests/sec:    990.10
WRK requests=2000 duration_us=2020000 p50_us=31950 p99_us=80125 max_us=120400 \
connect=1 read=2 write=3 status=40 timeout=4
"""


def test_line_of_the_script_is_read() -> None:
    loop = parse_wrk(REPORT)
    assert (loop.num_requests, loop.seconds) == (2000, 2.02)
    assert (loop.p50_ms, loop.p99_ms, loop.max_ms) == (31.95, 80.125, 120.4)
    assert loop.num_failures == 50


def test_failures_are_no_throughput() -> None:
    assert parse_wrk(REPORT).requests_per_second == pytest.approx(1950 / 2.02)


def test_report_without_the_line_is_refused() -> None:
    with pytest.raises(ValueError, match="did not report"):
        parse_wrk("unable to connect")


def test_script_writes_the_fields_that_are_read() -> None:
    line = REPORT.splitlines()[-1]
    names = [part.partition("=")[0] for part in line.split()[1:]]
    script = SCRIPT.read_text(encoding="utf-8")
    assert all(f"{name}=%d" in script for name in names)


def test_missing_wrk_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit) as stopped:
        require_wrk()
    assert stopped.value.code == MISSING
    assert "apt-get install wrk" in MISSING


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_each_request_has_new_words_of_its_own(port: int, tmp_path: Path) -> None:
    bodies = tmp_path / "bodies.jsonl"
    bodies.write_text('{"inputs": "good qzabcd film"}\n{"inputs": "bad"}\n', encoding="utf-8")
    loop = run_wrk(f"http://127.0.0.1:{port}/", bodies, 1, 1)
    assert loop.num_failures == 0
    texts = [json.loads(body)["inputs"] for body in Handler.bodies]
    assert "bad" in texts
    words = [text.removeprefix("good ").removesuffix(" film") for text in texts if text != "bad"]
    assert all(map(NEW_WORD.fullmatch, (word.encode() for word in words)))
    assert len(set(words)) > min(len(words), 1000) / 2
