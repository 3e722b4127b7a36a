"""Measures the engine alone, the service against its peers over HTTP, and continuous decoding.

Everything runs on this machine, on loopback addresses, on the processor. `--only` chooses parts:
engine (texts and tokens per second against batch size, length mix, instances and threads), http
(closed loop at 1 to 128 connections), open (open loop at 60 % of each server's own maximum),
overload (open loop at three times the maximum), translation (continuous against static batches).
Prints tables and writes loadtests/results/NAME.json and NAME.png.
"""

import argparse
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from loadtests.bench.contestants.lineup import Lineup, start_lineup
from loadtests.bench.decoder import measure_decoder
from loadtests.bench.engine import measure_ceiling, measure_engine
from loadtests.bench.goals import find_goals
from loadtests.bench.overload import (
    LOAD_SHARE,
    find_maximum,
    measure_open,
    measure_overload,
    summarize_open,
)
from loadtests.bench.plan import PARTS, Plan, Stage, make_stage
from loadtests.bench.plot import plot_results
from loadtests.bench.report import (
    describe_run,
    print_decoder,
    print_engine,
    print_goals,
    print_http,
    print_open,
    print_overload,
    print_translation,
)
from loadtests.bench.throughput import measure_http, summarize
from loadtests.bench.translation import measure_translation, summarize_translation
from loadtests.clients.wrk import require_wrk
from loadtests.measuring.places import RESULTS
from loadtests.measuring.processes import raise_file_limit
from loadtests.measuring.tables import write_json
from service.engine.device import available_cpus

OVER_HTTP = {"http", "open", "overload"}


def main() -> None:
    given = parse_arguments()
    plan = make_plan(given)
    # not resolved: an environment's interpreter is a link to another one
    litserve = given.litserve.absolute() if given.litserve else None
    if OVER_HTTP & set(plan.parts):
        require_wrk()
    # a stop is an exception: the servers, some of them standing still, are stopped on the way out
    signal.signal(signal.SIGTERM, stop)
    raise_file_limit()  # for the servers, too
    started = time.monotonic()
    results: dict[str, Any] = {"about": describe_run(available_cpus(), litserve)}
    with tempfile.TemporaryDirectory(prefix="seqserve-bench-") as scratch:
        run_parts(make_stage(plan, Path(scratch)), litserve, results)
    results["about"]["seconds"] = time.monotonic() - started
    results["goals"] = find_goals(results)
    print_goals(results)
    write_json(results, RESULTS / f"{given.name}.json")
    plot_results(results, RESULTS / f"{given.name}.png")
    print(f"wrote {RESULTS}/{given.name}.json and .png in {time.monotonic() - started:.0f} s")


def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler
    raise SystemExit(128 + signum)


def run_parts(stage: Stage, litserve: Path | None, results: dict[str, Any]) -> None:
    """Fills the results, and prints each part's tables when it is done."""
    parts = stage.plan.parts
    if "engine" in parts:
        run_engine(stage, results)
    if OVER_HTTP & set(parts):
        with ExitStack() as stack:
            print("starting the servers", flush=True)
            lineup = start_lineup(stage, litserve, stack)
            results["about"]["plain_endpoint"] = lineup.plain_endpoint
            run_http(stage, lineup, results)
    if "translation" in parts:
        run_translation(stage, results)


def run_engine(stage: Stage, results: dict[str, Any]) -> None:
    plan, num_cpus = stage.plan, available_cpus()
    print("engine alone", flush=True)
    lengths = stage.lengths[: plan.num_texts // 2]
    results["engine"] = measure_engine(stage.shapes, lengths, plan.num_rounds, num_cpus)
    results["decoder"] = measure_decoder(plan.num_rounds, plan.num_sentences, num_cpus)
    print_engine(results["engine"])
    print_decoder(results["decoder"])


def run_http(stage: Stage, lineup: Lineup, results: dict[str, Any]) -> None:
    """The parts that need the servers, in turn."""
    plan, maxima = stage.plan, dict[str, float]()
    if "http" in plan.parts:
        print("over HTTP, closed loop", flush=True)
        found = measure_http(lineup.servers, stage, lambda: measure_ceiling(stage))
        summary = summarize(found["rounds"])
        results["http"] = found | {"summary": summary}
        maxima = {
            name: max(each["requests_per_second"] for each in levels.values())
            for name, levels in summary.items()
        }
        print_http(summary)
    if "open" in plan.parts:
        print(f"open loop at {LOAD_SHARE:.0%} of own maximum", flush=True)
        for server in lineup.contestants:
            if server.name not in maxima:
                maxima[server.name] = find_maximum(server, stage.bodies, plan.seconds)
        rounds = measure_open(lineup.contestants, stage, maxima)
        results["open"] = {"rounds": rounds, "summary": summarize_open(rounds)}
        print_open(results["open"]["summary"], LOAD_SHARE)
    if "overload" in plan.parts:
        print("overload", flush=True)
        results["overload"] = {
            server.name: measure_overload(server, stage) for server in lineup.ours
        }
        print_overload(results["overload"])


def run_translation(stage: Stage, results: dict[str, Any]) -> None:
    print("translation", flush=True)
    rounds = measure_translation(stage)
    summary = {title: summarize_translation(each) for title, each in rounds.items()}
    results["translation"] = {"rounds": rounds, "summary": summary}
    print_translation(summary)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--rounds", type=int, default=3, help="of everything; default 3")
    parser.add_argument("--seconds", type=int, default=3, help="of one turn of wrk; default 3")
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--timeout-ms", type=int, default=0, help="deadline of overload's requests")
    parser.add_argument("--quick", action="store_true", help="a smoke: one short round")
    parser.add_argument("--litserve", type=Path, help="python of an environment with LitServe")
    parser.add_argument("--name", default="bench", help="of the files in loadtests/results")
    return parser.parse_args()


def make_plan(given: argparse.Namespace) -> Plan:
    parts = tuple(part for part in PARTS if part in given.only)
    plan = Plan(parts, given.rounds, given.seconds, tuple(given.levels), given.timeout_ms)
    return plan.shorten() if given.quick else plan


if __name__ == "__main__":
    main()
