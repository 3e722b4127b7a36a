"""Part (c): continuous decoding against static batches of the same engine, over HTTP."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from loadtests.bench.contestants.servers import PATIENCE, start, start_ours
from loadtests.bench.parts.decoder import TARGET, find_translator, load_translator
from loadtests.bench.parts.throughput import rotate
from loadtests.bench.plan import BenchContext, BenchPlan
from loadtests.bench.workloads.captions import draw_counts, make_kind, make_sentences
from loadtests.measuring.figures import median, median_ratio
from loadtests.measuring.places import ROOT
from loadtests.measuring.processes import OPENER, Server, enlist

PATH = "/translate"
CONTINUOUS, STATIC = "continuous", "static"
STATIC_DROPPING = "static, ended rows dropped"
NUM_CONNECTIONS, NUM_SHORT = 32, 1
TAIL_SECONDS = 0.3
CLIENT = "loadtests.clients.closed_loop"
STATIC_SERVER = "loadtests.bench.contestants.static_server"


@dataclass(frozen=True)
class Contest:
    """A precision and a beam in which both servers are compared.

    Attributes:
        beam_size: None leaves it to the server's default.
    """

    precision: str
    beam_size: int | None

    @property
    def title(self) -> str:
        beam = "default beam" if self.beam_size is None else f"beam {self.beam_size}"
        return f"{self.precision}, {'greedy' if self.beam_size == 1 else beam}"


CONTESTS = (Contest("w8", 1), Contest("int8", 1), Contest("int8", None))


def measure_translation(context: BenchContext) -> dict[str, Any]:
    """Measures rounds by contest, each with both loads on every server."""
    models_dir = link_translator(find_translator(), context.folder / "translator")
    contests = CONTESTS[-context.plan.num_contests :]
    results = {}
    for precision in dict.fromkeys(contest.precision for contest in contests):
        with ExitStack() as stack:
            servers = start_servers(models_dir, precision, context.folder, stack)
            for contest in contests:
                if contest.precision == precision:
                    print(f"  {contest.title}", flush=True)
                    results[contest.title] = run_contest(servers, contest, context)
    return results


def link_translator(version: Path, models_dir: Path) -> Path:
    """Makes a model repository that holds this version alone."""
    name = version.parent.name
    (models_dir / name).mkdir(parents=True)
    (models_dir / name / version.name).symlink_to(version)
    return models_dir


def start_servers(models_dir: Path, precision: str, logs: Path, stack: ExitStack) -> list[Server]:
    """Starts one process of each kind: it is the batches that are compared."""
    command = [sys.executable, "-m", STATIC_SERVER, "--port", "{port}"]
    command += ["--models-dir", str(models_dir), "--precision", precision]
    flags = ("--workers", "1", *PATIENCE)
    servers = [
        enlist(start_ours(models_dir, precision, logs, CONTINUOUS, flags), stack),
        enlist(start(STATIC, command, {}, logs), stack),
        enlist(start(STATIC_DROPPING, [*command, "--drop-ended"], {}, logs), stack),
    ]
    for server in servers:
        server.wait_ready()
        server.pause()
    return servers


def run_contest(
    servers: Sequence[Server], contest: Contest, context: BenchContext
) -> list[dict[str, Any]]:
    mixed, short, long = write_bodies(contest, context)
    loads = {
        "mixed": [f"all:{NUM_CONNECTIONS}:{mixed}"],
        "among_long": [
            f"long:{NUM_CONNECTIONS - NUM_SHORT}:{long}",
            f"short:{NUM_SHORT}:{short}",
        ],
    }
    rounds = []
    for index in range(context.plan.num_rounds):
        found: dict[str, Any] = {}
        for server in rotate(servers, index):
            server.resume()
            found[server.name] = {
                load: run_load(server, groups, context.plan) for load, groups in loads.items()
            }
            server.pause()
        rounds.append(found)
    return rounds


def write_bodies(contest: Contest, context: BenchContext) -> tuple[Path, Path, Path]:
    """Bodies of the mixed load, of short and of long sentences."""
    model, num_texts = load_translator(contest.precision, 1), context.plan.num_served_sentences
    texts = {
        "mixed": make_sentences(model, draw_counts(num_texts)),
        "short": make_kind(model, "short", num_texts),
        "long": make_kind(model, "long", num_texts),
    }
    fields: dict[str, Any] = {"source": "en", "target": TARGET}
    if contest.beam_size is not None:
        fields["beam_size"] = contest.beam_size
    paths = []
    for kind, sentences in texts.items():
        path = context.folder / f"{kind}-{contest.beam_size}.jsonl"
        lines = [json.dumps({"q": sentence} | fields) + "\n" for sentence in sentences]
        path.write_text("".join(lines), encoding="utf-8")
        paths.append(path)
    mixed, short, long = paths
    return mixed, short, long


def run_load(server: Server, groups: Sequence[str], plan: BenchPlan) -> dict[str, Any]:
    """Returns the client's figures by group, and the output tokens per second meanwhile."""
    warm_up, seconds = plan.translation_warm_up_seconds, plan.translation_seconds
    command = [sys.executable, "-m", CLIENT, "--port", str(server.port)]
    command += ["--path", PATH, "--warm-up", f"{warm_up:g}", "--seconds", f"{seconds:g}"]
    command += ["--tail", f"{TAIL_SECONDS:g}"]
    for group in groups:
        command += ["--group", group]
    client = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    time.sleep(warm_up)
    started, num_tokens = time.monotonic(), read_tokens(server)
    time.sleep(seconds)
    num_tokens = read_tokens(server) - num_tokens
    elapsed = time.monotonic() - started
    output, _ = client.communicate()
    if client.returncode:
        raise RuntimeError("the closed-loop client failed; see above")
    found: dict[str, Any] = json.loads(output)
    return {"groups": found, "tokens_per_second": num_tokens / elapsed}


def read_tokens(server: Server) -> float:
    """Output tokens of all answers so far, by the server's own count."""
    with OPENER.open(server.url("/metrics"), timeout=30) as response:
        return count_output_tokens(response.read().decode())


def count_output_tokens(metrics: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "seqserve_tokens_total" and sample.labels["direction"] == "output"
    )


def summarize_translation(rounds: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Medians over the rounds by server."""
    summary = {}
    for name in rounds[0]:
        loads = [each[name] for each in rounds]
        whole = [each["mixed"]["groups"]["all"] for each in loads]
        short = [each["among_long"]["groups"]["short"] for each in loads]
        summary[name] = {
            "tokens_per_second": median([each["mixed"]["tokens_per_second"] for each in loads]),
            "requests_per_second": median([each["requests_per_second"] for each in whole]),
            "p50_ms": median([each["p50_ms"] or float("inf") for each in whole]),
            "p99_ms": median([each["p99_ms"] or float("inf") for each in whole]),
            "short_p50_ms": median([each["p50_ms"] or float("inf") for each in short]),
            "short_p99_ms": median([each["p99_ms"] or float("inf") for each in short]),
            "tokens_per_second_long": median(
                [each["among_long"]["tokens_per_second"] for each in loads]
            ),
            "num_failures": sum(
                group["num_failures"]
                for each in loads
                for load in each.values()
                for group in load["groups"].values()
            ),
        }
    return summary


def tokens_ratio(rounds: Sequence[dict[str, Any]]) -> float:
    return median_ratio(
        rounds, CONTINUOUS, STATIC, lambda each: float(each["mixed"]["tokens_per_second"])
    )


def short_ratio(rounds: Sequence[dict[str, Any]]) -> float:
    """How many times longer a short sentence takes with static batches."""
    return median_ratio(
        rounds,
        STATIC,
        CONTINUOUS,
        lambda each: float(each["among_long"]["groups"]["short"]["p50_ms"] or 0.0),
    )
