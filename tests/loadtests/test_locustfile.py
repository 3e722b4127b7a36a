"""The locustfile, run by locust in processes of its own, against a server that is told how slow."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtests.measuring.processes import find_port
from tests.integration.server import run_server
from tests.loadtests.stub import Service

TAGGERS = Path(__file__).parents[1] / "service" / "tiny_taggers"
LOCUSTFILE = Path(__file__).parents[2] / "loadtests" / "locustfile.py"


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as opened:
        threading.Thread(target=opened.serve_forever, args=(0.01,), daemon=True).start()
        yield opened
        opened.shutdown()


def run_locust(host: str | Service, *options: str) -> subprocess.CompletedProcess[str]:
    if isinstance(host, Service):
        host = f"http://127.0.0.1:{host.server_address[1]}"
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--host", host]
    return subprocess.run(
        [*command, "--only-summary", *options],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def read_report(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return found


def test_all_kinds_are_answered_and_their_stages_reported(service: Service, tmp_path: Path) -> None:
    done = run_locust(
        service,
        *("--load", "30", "--duration", "3s", "--report", str(tmp_path / "run")),
        *("--mix", "chat=1,review=1,page=1,batch=1,document=1,stream=1,generate=1"),
        *("--slo", "errors=0%,p99=1s", "--api-key", "secret", "--timeout-ms", "900"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = read_report(tmp_path / "run")
    queue = report["kinds"]["chat"]["times"]["queue"]

    assert len(report["kinds"]) == 7
    assert report["total"]["outcomes"] == {"ok": report["total"]["num_requests"]}
    assert report["total"]["num_requests"] == pytest.approx(90, abs=40)
    assert (queue["mean"], queue["p50"]) == (pytest.approx(20), pytest.approx(20, rel=0.03))
    stream = report["kinds"]["stream"]["times"]
    assert stream["latency"]["p50"] > stream["first"]["p50"] + 40
    assert service.headers["x-api-key"] == "secret"
    assert service.headers["x-request-timeout-ms"] == "900"
    assert "secret" not in done.stdout + (tmp_path / "run.json").read_text(encoding="utf-8")


def test_taggers_are_asked_for_whole_texts_and_as_text_is_typed(tmp_path: Path) -> None:
    kinds = {"tag", "tag_stream"}
    log = tmp_path / "log"
    with run_server(TAGGERS, log, "--max-tag-streams", "2") as server:
        options = ("--load", "4", "--duration", "4s", "--mix", "tag=1,tag_stream=1")
        slo = ("--slo", "errors=99%", "--report", str(tmp_path / "run"))
        done = run_locust(server.url, *options, *slo)
    assert done.returncode == 0, done.stdout + done.stderr
    report = read_report(tmp_path / "run")

    assert set(report["kinds"]) == kinds
    assert report["kinds"]["tag"]["outcomes"] == {"ok": report["kinds"]["tag"]["num_requests"]}
    # a third text at the same time is refused
    assert set(report["kinds"]["tag_stream"]["outcomes"]) == {"ok", "shed"}
    times = report["kinds"]["tag_stream"]["times"]
    assert 0 < times["first"]["p50"] <= times["latency"]["p50"]


def test_missed_objective_sets_the_exit_code(service: Service) -> None:
    service.status = 429
    done = run_locust(
        service, *("--load", "20", "--duration", "3s", "--mix", "chat=1", "--slo", "errors=99%")
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert "| errors    |   99% |  100% |  NO |" in done.stdout


def test_stream_that_breaks_off_is_an_error(service: Service, tmp_path: Path) -> None:
    service.breaks_streams = True
    done = run_locust(
        service,
        *("--load", "5", "--duration", "3s", "--drain", "2s", "--mix", "stream=1"),
        *("--slo", "errors=0%", "--report", str(tmp_path / "run")),
    )

    assert done.returncode == 1, done.stdout + done.stderr
    outcomes = read_report(tmp_path / "run")["total"]["outcomes"]
    assert list(outcomes) == ["failed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--slo", "p99=1500"), "argument --slo: p99: '1500' is not a time"),
        (("--mix", "caht=1"), "argument --mix: unknown kind 'caht'"),
        (("--shape", "spike", "--load", "9", "--peak", "9"), "--shape spike needs a --peak above"),
    ],
)
def test_malformed_options_are_refused(
    service: Service, options: tuple[str, ...], message: str
) -> None:
    done = run_locust(service, *options)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_open_loop_charges_for_the_wait_that_a_closed_loop_hides(
    service: Service, tmp_path: Path
) -> None:
    service.seconds = 0.2  # five requests per second
    medians = {}
    for loop, load in (("closed", "1"), ("open", "10")):
        options = ["--loop", loop, "--load", load, "--duration", "4s", "--arrivals", "even"]
        path = tmp_path / loop
        done = run_locust(service, *options, "--mix", "review=1", "--report", str(path))
        assert done.returncode == 0, done.stdout + done.stderr
        medians[loop] = read_report(path)["total"]["times"]["latency"]["p50"]

    assert medians["closed"] == pytest.approx(200, rel=0.2)
    assert medians["open"] > 3 * medians["closed"]


@pytest.mark.slow
def test_closed_loop_keeps_to_the_mix_though_one_kind_is_slow(
    service: Service, tmp_path: Path
) -> None:
    service.classify_seconds = 0.3
    options = ("--loop", "closed", "--load", "10", "--duration", "6s", "--mix", "chat=1,review=1")
    done = run_locust(service, *options, "--report", str(tmp_path / "run"))
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = read_report(tmp_path / "run")["kinds"]

    assert kinds["chat"]["num_requests"] == pytest.approx(kinds["review"]["num_requests"], rel=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["ramp", "spike"])
def test_two_workers_share_the_load_and_the_master_adds_them_up(
    service: Service, shape: str, tmp_path: Path
) -> None:
    done = run_locust(
        service,
        *("--processes", "2", "--shape", shape, "--load", "10", "--peak", "40", "--steps", "3"),
        *("--duration", "15s", "--arrivals", "even", "--mix", "chat=1,review=1"),
        *("--slo", "errors=0%,chat.queue_p99=21ms", "--report", str(tmp_path / "run")),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = read_report(tmp_path / "run")
    offered = [step["offered"] for step in report["steps"]]
    expected = {"ramp": [10, 25, 40], "spike": [10, 40, 10]}[shape]

    assert report["about"]["num_workers"] == 2
    assert offered == pytest.approx(expected, rel=0.35)
    assert report["total"]["num_unanswered"] == 0
    assert report["steps"][1]["times"]["inference"]["mean"] == pytest.approx(300)
    assert [verdict["is_met"] for verdict in report["slo"]] == [True, True]


@pytest.mark.slow
def test_master_and_workers_of_their_own_miss_the_objective_together(
    service: Service, tmp_path: Path
) -> None:
    service.seconds = 0.05
    host = f"http://127.0.0.1:{service.server_address[1]}"
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--host", host]
    port = str(find_port())
    workers = [
        subprocess.Popen(
            [*command, "--worker", "--master-port", port],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    done = run_locust(
        service,
        *("--master", "--master-bind-port", port, "--expect-workers", "2"),
        *("--load", "30", "--duration", "4s", "--mix", "review=1", "--slo", "p50=60ms"),
        *("--report", str(tmp_path / "run")),
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert read_report(tmp_path / "run")["total"]["num_requests"] == pytest.approx(120, rel=0.3)
    assert [worker.wait(30) for worker in workers] == [0, 0]
