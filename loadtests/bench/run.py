"""Measures the engine alone, the service against its peers over HTTP, and continuous decoding.

Everything runs on this machine, on loopback addresses, on the processor. `--only` chooses parts:
engine (texts per second against batch size, length mix, instances and threads), decoder (output
tokens per second likewise), peer (the same against CTranslate2 with a Transformer of equal size),
http (closed loop at 1 to 128 connections), open (open loop at 60 % of each server's own maximum),
overload (open loop at three times the maximum), topology (whole servers per process against front
ends of one engine process), translation (continuous against static batches), generation (the same
for a language model's engine alone). Prints tables
and writes loadtests/results/NAME.json after every part, and NAME.png at the end.
"""

import argparse
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from loadtests.bench.contestants.lineup import PEERS, Contestants, start_contestants
from loadtests.bench.overload import WORKLOADS, measure_workloads
from loadtests.bench.parts.decoder import find_translator, measure_decoder
from loadtests.bench.parts.engine import measure_ceilings, measure_engine
from loadtests.bench.parts.generation import find_generator, measure_generation
from loadtests.bench.parts.open_load import LOAD_SHARE, find_maximum, measure_open, summarize_open
from loadtests.bench.parts.peer import measure_peer
from loadtests.bench.parts.throughput import measure_http, summarize
from loadtests.bench.parts.topologies import measure_topologies
from loadtests.bench.parts.translation import measure_translation, summarize_translation
from loadtests.bench.plan import OVER_HTTP, PARTS, WITH_WRK, BenchContext, BenchPlan, make_context
from loadtests.bench.reporting.plot import plot_results
from loadtests.bench.reporting.report import (
    describe_run,
    print_decoder,
    print_engine,
    print_generation,
    print_goals,
    print_http,
    print_open,
    print_overload,
    print_peer,
    print_topologies,
    print_translation,
)
from loadtests.bench.reporting.results import ResultsFile
from loadtests.clients.wrk import MISSING, require_wrk
from loadtests.measuring.places import RESULTS
from loadtests.measuring.processes import raise_file_limit
from service.engine.runtime.device import available_cpus

CTRANSLATE2 = "CTranslate2"
PEER_NAMES = (*PEERS, CTRANSLATE2)

Pythons = Mapping[str, Path]
"""The interpreters of the peers' own environments; a peer without one is left out."""


def main() -> None:
    given = parse_arguments()
    plan = make_plan(given)
    pythons = find_pythons(given)
    skipped = find_missing(plan, pythons) | (find_skipped(plan) if given.smoke else {})
    plan = plan.leave_out(skipped)
    if set(WITH_WRK) & set(plan.parts):
        require_wrk()
    # a stop is an exception: the servers, some of them standing still, are stopped on the way out
    signal.signal(signal.SIGTERM, stop)
    raise_file_limit()  # for the servers, too
    about = describe_run(available_cpus(), pythons) | {"skipped": skipped}
    results = ResultsFile(RESULTS / f"{given.name}.json", about)
    with tempfile.TemporaryDirectory(prefix="seqserve-bench-") as scratch:
        run_parts(make_context(plan, Path(scratch)), pythons, results)
    print_goals(results.with_goals())
    plot_results(results.figures, RESULTS / f"{given.name}.png")
    print(f"wrote {RESULTS}/{given.name}.json and .png in {results.seconds:.0f} s")


def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler
    raise SystemExit(128 + signum)


def find_skipped(plan: BenchPlan) -> dict[str, str]:
    """Finds the parts that cannot run here; prints and returns why, by part."""
    if shutil.which("wrk"):
        return {}
    skipped = {part: MISSING for part in plan.parts if part in WITH_WRK}
    for part, reason in skipped.items():
        print(f"{part} is skipped: {reason}", flush=True)
    return skipped


def find_pythons(given: argparse.Namespace) -> Pythons:
    """The interpreters of the peers' own environments, of those that are given."""
    return {
        # not resolved: an environment's interpreter is a link to another one
        name: python.absolute()
        for name in PEER_NAMES
        if (python := getattr(given, name.lower()))
    }


def find_missing(plan: BenchPlan, pythons: Pythons) -> dict[str, str]:
    """Finds the parts whose models or peers are not there; prints and returns why, by part."""
    reasons = {}
    if "generation" in plan.parts and not find_generator():
        reasons["generation"] = "the repository has no language model"
    if "peer" in plan.parts and CTRANSLATE2 not in pythons:
        reasons["peer"] = "no environment with CTranslate2 is given (--ctranslate2)"
    for part, reason in reasons.items():
        print(f"{part} is skipped: {reason}", flush=True)
    return reasons


def run_parts(context: BenchContext, pythons: Pythons, results: ResultsFile) -> None:
    """Runs the parts of the plan in turn; each prints its tables when it is done."""
    parts = context.plan.parts
    for part, run_first in FIRST_PARTS.items():
        if part in parts:
            run_first(context, pythons, results)
    if set(OVER_HTTP) & set(parts):
        with ExitStack() as stack:
            print("starting the servers", flush=True)
            contestants = start_contestants(context, pythons, stack)
            results.figures["about"]["left_out"] = contestants.left_out
            for part, compare in HTTP_PARTS.items():
                if part in parts:
                    compare(context, contestants, results)
    for part, measure in LAST_PARTS.items():
        if part in parts:
            measure(context, results)


def run_engine(context: BenchContext, _: Pythons, results: ResultsFile) -> None:
    plan = context.plan
    print("classifier's engine alone", flush=True)
    lengths = context.lengths[: plan.num_texts // 2]
    found = measure_engine(context.shapes, lengths, plan.num_rounds, available_cpus())
    results.add("engine", found)
    print_engine(found)


def run_decoder(context: BenchContext, _: Pythons, results: ResultsFile) -> None:
    plan = context.plan
    print("translator's engine alone", flush=True)
    found = measure_decoder(plan.num_rounds, plan.num_sentences, available_cpus())
    results.add("decoder", found)
    print_decoder(found)


def run_peer(context: BenchContext, pythons: Pythons, results: ResultsFile) -> None:
    plan, python = context.plan, pythons[CTRANSLATE2]
    print("translator's engine against CTranslate2", flush=True)
    found = measure_peer(python, plan.num_rounds, plan.num_sentences, available_cpus())
    results.add("peer", {"model_version": find_translator().name, **found})
    print_peer(found)


def run_http(context: BenchContext, contestants: Contestants, results: ResultsFile) -> None:
    print("over HTTP, closed loop", flush=True)
    found = measure_http(contestants.servers, context, lambda: measure_ceilings(context))
    summary = summarize(found["rounds"])
    results.add("http", found | {"summary": summary})
    print_http(summary)


def run_open(context: BenchContext, contestants: Contestants, results: ResultsFile) -> None:
    print(f"open loop at {LOAD_SHARE:.0%} of own maximum", flush=True)
    maxima = {
        name: max(each["requests_per_second"] for each in levels.values())
        for name, levels in results.figures.get("http", {}).get("summary", {}).items()
    }
    for server in contestants.classifiers:
        if server.name not in maxima:
            maxima[server.name] = find_maximum(server, context)
    rounds = measure_open(contestants.classifiers, context, maxima)
    results.add("open", {"rounds": rounds, "summary": summarize_open(rounds)})
    print_open(results.figures["open"]["summary"], LOAD_SHARE)


def run_overload(context: BenchContext, results: ResultsFile) -> None:
    print("overload", flush=True)
    found = measure_workloads(context, WORKLOADS)
    results.add("overload", found)
    print_overload(found)


def run_topology(context: BenchContext, results: ResultsFile) -> None:
    print("topologies", flush=True)
    found: dict[str, Any] = {}
    for load, figures in measure_topologies(context):
        found[load] = figures
        results.add("topology", found)
    print_topologies(found)


def run_translation(context: BenchContext, results: ResultsFile) -> None:
    print("translation", flush=True)
    rounds = measure_translation(context)
    summary = {title: summarize_translation(each) for title, each in rounds.items()}
    version = find_translator().name
    results.add("translation", {"model_version": version, "rounds": rounds, "summary": summary})
    print_translation(summary)


def run_generation(context: BenchContext, results: ResultsFile) -> None:
    plan = context.plan
    folder = find_generator()
    assert folder is not None, "the part is left out without a language model"
    print("language model's engine alone", flush=True)
    found = measure_generation(folder, plan.num_rounds, plan.num_texts_per_row)
    results.add("generation", found)
    print_generation(found)


Run = Callable[[BenchContext, ResultsFile], None]

FIRST_PARTS: dict[str, Callable[[BenchContext, Pythons, ResultsFile], None]] = {
    "engine": run_engine,
    "decoder": run_decoder,
    "peer": run_peer,
}

HTTP_PARTS: dict[str, Callable[[BenchContext, Contestants, ResultsFile], None]] = {
    "http": run_http,
    "open": run_open,
}

LAST_PARTS: dict[str, Run] = {
    "overload": run_overload,
    "topology": run_topology,
    "translation": run_translation,
    "generation": run_generation,
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--rounds", type=int, default=3, help="of everything; default 3")
    parser.add_argument("--seconds", type=int, default=3, help="of one turn of wrk; default 3")
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--timeout-ms", type=int, default=0, help="deadline of overload's requests")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="one short round")
    length.add_argument(
        "--smoke",
        action="store_true",
        help="only show that every part runs; skip those whose programs are not installed",
    )
    for name in PEER_NAMES:
        help_text = f"python of an environment with {name}"
        parser.add_argument(f"--{name.lower()}", type=Path, help=help_text)
    parser.add_argument("--name", default="bench", help="of the files in loadtests/results")
    return parser.parse_args()


def make_plan(given: argparse.Namespace) -> BenchPlan:
    parts = tuple(part for part in PARTS if part in given.only)
    plan = BenchPlan(parts, given.rounds, given.seconds, tuple(given.levels), given.timeout_ms)
    if given.smoke:
        return plan.shorten_to_smoke()
    return plan.shorten() if given.quick else plan


if __name__ == "__main__":
    main()
