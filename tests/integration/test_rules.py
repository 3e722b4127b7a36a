"""Alerts, recordings, queries, dashboard: read by promtool, then run by a real Prometheus.

promtool and prometheus come with Debian's package `prometheus`; without them only their tests are
skipped. `make rules` runs all.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from service.telemetry.metrics import SECONDS, Metrics
from tests.integration.charts import CHART, render
from tests.integration.dashboard import DASHBOARD, fill_variables, read_targets
from tests.integration.prometheus import SCRAPE_SECONDS, needs_prometheus, run_prometheus
from tests.integration.server import MODELS_DIR, Server, run_server

TESTS = Path(__file__).parent
RULES = sorted((CHART / "rules").glob("*.yaml"))
UNIT_TESTS = sorted(TESTS.glob("rules*_test.yaml"))
# Series of others that our expressions may use.
FOREIGN = {"up", "kube_pod_status_ready"}
LOAD_SECONDS = 15

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"),
    reason="promtool is not there (Debian: apt-get install prometheus)",
)


def read_rules() -> list[dict[str, Any]]:
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    return [rule for doc in documents for group in doc["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in read_rules() if "alert" in rule}
RECORDED = {rule["record"] for rule in read_rules() if "record" in rule}


def read_queries() -> list[tuple[str, str]]:
    """Every expression of the chart, by where it stands."""
    scaling = {"enabled": True, "source": "keda", "prometheusAddress": "http://p:9090"}
    triggers = render({"autoscaling": scaling})["scaledobject"]["spec"]["triggers"]
    queries = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in read_rules()]
    queries += [(title, fill_variables(target["expr"])) for title, target in read_targets()]
    queries += [("keda", each["metadata"]["query"]) for each in triggers if each["type"] != "cpu"]
    adapter = yaml.safe_load((CHART / "files/prometheus-adapter.yaml").read_text(encoding="utf-8"))
    for rule in adapter["rules"]["custom"]:
        query = rule["metricsQuery"].replace("<<.LabelMatchers>>", 'pod="a"')
        queries.append(("adapter", query.replace("<<.GroupBy>>", "pod")))
        queries.append(("adapter series", rule["seriesQuery"]))
    return queries


def known_series() -> set[str]:
    """Names that a scrape of the service may hold."""
    families = Metrics(CollectorRegistry()).registry.collect()
    names = {"process_start_time_seconds", "process_resident_memory_bytes"}
    names |= {"process_cpu_seconds_total"}
    for family in families:
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, ("",))}
    return names


QUERIES = read_queries()


@pytest.mark.parametrize(("place", "query"), QUERIES, ids=[place for place, _ in QUERIES])
def test_queries_parse_and_use_series_that_there_are(place: str, query: str) -> None:
    promql_parser.parse(query)
    words = re.findall(r"\b(?:job(?:_model)?:)?[a-z][a-z_]+[a-z0-9:_]*(?=\{)", query)

    assert words
    assert set(words) <= known_series() | RECORDED | FOREIGN


@pytest.mark.parametrize("name", ALERTS)
def test_alerts_say_what_is_wrong_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    notes = rule["annotations"]
    labels = set(re.findall(r"\$labels\.(\w+)", notes["summary"]))

    assert rule["labels"]["severity"] in ("warning", "critical")
    assert "for" in rule
    assert len(notes["description"]) > 40
    assert "job" in labels


def test_every_alert_is_seen_to_fire_and_to_stay_silent() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in UNIT_TESTS)
    tests = [test for path in UNIT_TESTS for test in yaml.safe_load(path.read_text())["tests"]]
    fired = {name for name in ALERTS if f'\'ALERTS{{alertname="{name}"' in text}
    silent = {
        name
        for test in tests
        for check in test["promql_expr_test"]
        for name in ALERTS
        if f'"{name}"' in check["expr"] and not check.get("exp_samples")
    }

    assert fired == set(ALERTS)
    # The rest is told from a neighbour that is well, in one and the same check.
    beside = {"SeqserveErrorsBurnSlowly", "SeqserveLatencyBurnsSlowly", "SeqserveRestarts"}
    assert silent | beside | {"SeqserveDown"} >= set(ALERTS)


def test_latency_of_the_objective_is_a_bucket() -> None:
    bounds = {
        float(bound)
        for _, query in QUERIES
        for bound in re.findall(r'request_duration_seconds_bucket\{[^}]*le="([^"]+)"', query)
    }

    assert bounds
    assert bounds <= set(SECONDS)


def run_promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_rules_are_rules(tmp_path: Path) -> None:
    monitoring = {"prometheusRule": {"enabled": True}}
    rendered = tmp_path / "rendered.yaml"
    spec = render({"monitoring": monitoring})["prometheusrule"]["spec"]
    rendered.write_text(yaml.safe_dump(spec), encoding="utf-8")

    assert "SUCCESS" in run_promtool("check", "rules", *map(str, RULES))
    assert f"{len(read_rules())} rules found" in run_promtool("check", "rules", str(rendered))


@pytest.mark.slow
@needs_promtool
@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_rules_pass_their_unit_tests(path: Path) -> None:
    assert "SUCCESS" in run_promtool("test", "rules", str(path))


def test_dashboard_is_one_that_grafana_can_draw() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells), "two panels overlap"
    assert max(x for x, _ in cells) < 24
    assert {each["name"] for each in dashboard["templating"]["list"]} >= {
        "namespace",
        "job",
        "model",
    }


def put_load(server: Server, seconds: float) -> None:
    """Requests of every kind, two clients at a time, wrong ones among them."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/classify", {"inputs": ["a delight from start to finish"] * 4}),
        ("/classify", {"inputs": "이 영화 정말 재미있어요"}),
        ("/translate", {"q": "Two dogs play in the snow.", "source": "en", "target": "de"}),
        ("/translate", {"q": "Where is the station?", "source": "en", "target": "ko"}),
        ("/generate", {"inputs": "To be", "parameters": {"max_new_tokens": 20}}),
        ("/tag", {"inputs": "나는학교에간다."}),
        ("/classify", {"inputs": 7}),
    ]
    end = time.monotonic() + seconds

    def ask(number: int) -> None:
        with server.open_client() as client:
            while time.monotonic() < end:
                path, body = bodies[number % len(bodies)]
                client.post(path, json=body)
                number += 1

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ask, range(2)))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        run_server(MODELS_DIR, folder / "log") as server,
        run_prometheus(server, folder, RULES) as client,
    ):
        put_load(server, LOAD_SECONDS)
        time.sleep(2 * SCRAPE_SECONDS)
        yield client


def ask_prometheus(client: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return [sample for sample in found if sample["value"][1] != "NaN"]


@pytest.mark.slow
@needs_prometheus
def test_every_panel_shows_data_of_a_service_under_load(prometheus: httpx.Client) -> None:
    empty = [
        title
        for title, target in read_targets()
        if not ask_prometheus(prometheus, fill_variables(target["expr"]))
    ]

    assert empty == []


@pytest.mark.slow
@needs_prometheus
def test_scaling_goes_by_numbers_that_prometheus_has(prometheus: httpx.Client) -> None:
    queries = [
        query.replace('job="demo-seqserve"', 'job="seqserve"').replace('pod="a"', 'pod=~".*"')
        for place, query in QUERIES
        if place in ("keda", "adapter")
    ]

    assert len(queries) == 4
    for query in queries:
        (sample,) = ask_prometheus(prometheus, query)
        assert 0 <= float(sample["value"][1]) < 1


@pytest.mark.slow
@needs_prometheus
def test_recording_rules_record_and_no_rule_fails(prometheus: httpx.Client) -> None:
    deadline = time.monotonic() + 60  # the groups of the objectives are evaluated twice a minute
    missing = set(RECORDED)
    while missing and time.monotonic() < deadline:
        missing = {name for name in missing if not ask_prometheus(prometheus, name)}
        time.sleep(1)
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    faults = [
        rule["lastError"] for group in groups for rule in group["rules"] if "lastError" in rule
    ]

    assert missing == set()
    assert faults == []


@pytest.mark.slow
@needs_prometheus
def test_a_service_that_is_well_fires_no_alert(prometheus: httpx.Client) -> None:
    assert prometheus.get("/api/v1/alerts").json()["data"]["alerts"] == []


@pytest.mark.slow
@needs_prometheus
@needs_promtool
def test_promtool_finds_nothing_wrong_with_the_metrics(prometheus: httpx.Client) -> None:
    (target,) = prometheus.get("/api/v1/targets").json()["data"]["activeTargets"]
    text = httpx.get(target["scrapeUrl"], trust_env=False).text
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
