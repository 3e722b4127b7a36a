"""What the pages name exists: files, make targets, settings, alerts, fields, labels."""

import re
from pathlib import Path

import pytest
import yaml

from service.http.schemas.classify import ClassifyParameters, ClassifyRequest
from service.http.schemas.translate import TranslateRequest
from service.settings import unknown_variables
from service.telemetry.metrics import OUTCOMES, REASONS, REFUSALS, STAGES

ROOT = Path(__file__).parents[2]
TOP = (
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"),
    "examples/README.md",
)
PAGES = [*TOP, *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]
# History may name what is gone.
LIVE_PAGES = [page for page in PAGES if page != "CHANGELOG.md"]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
CODE = re.compile(r"^ {4,}\S[^\n]*$|^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
FOLDERS = "deploy|docs|examples|export|helm|loadtests|models|service|tests"
# `models/repository/mine` is what a reader's own command writes.
REPOSITORY_PATH = re.compile(rf"^(?:{FOLDERS})/(?!repository/mine)[\w./-]+$")


def read_page(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def find_code(page: str) -> list[str]:
    """Everything on the page that is set as code."""
    return [found.strip("`") for found in CODE.findall(read_page(page))]


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file(page: str) -> None:
    folder = (ROOT / page).parent
    links = LINK.findall(read_page(page))

    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.parametrize("page", LIVE_PAGES)
def test_every_make_target_exists(page: str) -> None:
    makefile = read_page("Makefile")
    named = {
        target
        for code in find_code(page)
        for target in re.findall(r"\bmake (?:-\S+ )*([a-z][a-z-]*)", code)
    }

    assert {each for each in named if not re.search(rf"^{each}:", makefile, re.MULTILINE)} == set()


@pytest.mark.parametrize("page", LIVE_PAGES)
def test_every_setting_exists(page: str) -> None:
    assert unknown_variables(re.findall(r"SEQSERVE_[A-Z][A-Z_]*", read_page(page))) == []


@pytest.mark.parametrize("page", LIVE_PAGES)
def test_every_path_of_the_repository_exists(page: str) -> None:
    named = [code for code in find_code(page) if REPOSITORY_PATH.match(code)]

    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_module_of_the_architecture_exists() -> None:
    """It names them by the ends of their paths, such as `engine/worker`."""
    text = LINK.sub("", read_page("ARCHITECTURE.md"))
    named = set(re.findall(r"(?<![\w./-])[a-z_]+(?:/[a-z_]+)+", text))
    paths = [
        path.relative_to(ROOT).with_suffix("").parts
        for folder in FOLDERS.split("|")
        for path in (ROOT / folder).rglob("*")
    ]
    known = {"/".join(parts[start:]) for parts in paths for start in range(len(parts))}

    assert "engine/worker" in named
    assert named - known == set()


def test_the_pages_name_links_targets_settings_and_paths_at_all() -> None:
    """The searches above find what they look for."""
    code = find_code("docs/deploy/docker.md")

    assert "make image RUNTIME=gpu" in " ".join(code)
    assert "examples/compose.yaml" in code
    assert LINK.findall(read_page("README.md"))


def test_the_readme_is_short() -> None:
    assert len(read_page("README.md").splitlines()) <= 130


def test_every_alert_is_described() -> None:
    rules = yaml.safe_load(read_page("helm/seqserve/rules/alerts.yaml"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}

    assert set(re.findall(r"`(Seqserve\w+)`", read_page("docs/observability.md"))) == alerts


@pytest.mark.parametrize("label", [*OUTCOMES, *REASONS, *REFUSALS, *STAGES])
def test_every_value_of_a_label_is_described(label: str) -> None:
    assert f"`{label}`" in read_page("docs/observability.md")


@pytest.mark.parametrize(
    "field",
    [
        *TranslateRequest.model_fields,
        *sorted(ClassifyRequest.model_fields.keys() - {"api_key", "parameters"}),
        *(f"parameters.{name}" for name in ClassifyParameters.model_fields),
    ],
)
def test_every_field_of_a_request_is_described(field: str) -> None:
    assert f"\n| `{field}` |" in read_page("docs/api.md")
