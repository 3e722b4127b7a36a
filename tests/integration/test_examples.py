"""The commands of the documentation and the clients of `examples/`, against a real server."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from service.settings import unknown_variables
from tests.integration.pages import assert_alike, read_examples, run_curl
from tests.integration.server import MODELS_DIR, Server, run_server

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGES = ("README.md", "docs/index.md", "docs/quick-start.md", "docs/api.md")
COMMANDS = [(page, *example) for page in PAGES for example in read_examples(ROOT / page)]
SENTENCE = "Ein Mann fährt auf einem Fahrrad die Straße entlang."
KEY = "a-key"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(MODELS_DIR, tmp_path_factory.mktemp("server") / "log") as running:
        yield running


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize(("page", "command", "printed"), COMMANDS)
def test_a_command_prints_what_its_page_says(
    page: str, command: str, printed: str, server: Server
) -> None:
    assert_alike(run_curl(command, server.url), json.loads(printed))


def run_client(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
CLIENTS = [
    pytest.param((sys.executable, "client.py"), id="python"),
    pytest.param(("node", "client.mjs"), id="javascript", marks=needs_node),
]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_classifies_translates_and_streams(
    client: tuple[str, str], server: Server
) -> None:
    program, name = client

    done = run_client(program, str(EXAMPLES / name), server.url)

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "a delight from start to finish: positive 0.94",
        "a waste of two hours: negative 1.00",
        SENTENCE,
        SENTENCE,
    ]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_sends_its_key_and_reports_a_refusal(
    client: tuple[str, str], tmp_path: Path
) -> None:
    program, name = client
    variables = {"SEQSERVE_API_KEYS": KEY}
    with run_server(MODELS_DIR, tmp_path / "log", variables=variables) as locked:
        accepted = run_client(program, str(EXAMPLES / name), locked.url, KEY)
        refused = run_client(program, str(EXAMPLES / name), locked.url)

    assert accepted.returncode == 0
    assert refused.returncode == 1
    assert "401: " in refused.stderr


def test_the_readme_of_the_examples_shows_what_the_client_prints(server: Server) -> None:
    done = run_client(sys.executable, str(EXAMPLES / "client.py"), server.url)

    assert done.stdout in (EXAMPLES / "README.md").read_text(encoding="utf-8")


# --- compose ---


def test_compose_sets_known_settings_and_locks_the_service_down() -> None:
    services = yaml.safe_load((EXAMPLES / "compose.yaml").read_text(encoding="utf-8"))["services"]
    service = services["seqserve"]

    assert service["environment"]
    assert unknown_variables(service["environment"]) == []
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert all(
        port.startswith("127.0.0.1:") for each in services.values() for port in each["ports"]
    )


def test_compose_mounts_files_that_exist() -> None:
    services = yaml.safe_load((EXAMPLES / "compose.yaml").read_text(encoding="utf-8"))["services"]
    sources = [volume.partition(":")[0] for volume in services["prometheus"]["volumes"]]

    assert sources
    assert all((EXAMPLES / source).exists() for source in sources)


def test_the_prometheus_of_compose_scrapes_the_job_that_the_rules_look_for() -> None:
    config = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    rules = (ROOT / "helm/seqserve/rules/alerts.yaml").read_text(encoding="utf-8")

    assert f'job="{job["job_name"]}"' in rules


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_accepts_its_configuration() -> None:
    config = str(EXAMPLES / "prometheus.yml")
    done = run_client("promtool", "check", "config", "--syntax-only", config)

    assert done.returncode == 0, done.stderr
