import tomllib
from pathlib import Path

from docs.generate.__main__ import ROOT
from docs.generate.clients import JAVASCRIPT, PYTHON, describe_clients


def read_extra(root: Path) -> set[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return {name.partition(">")[0] for name in project["optional-dependencies"]["clients"]}


def test_every_client_is_installed_by_the_extra() -> None:
    assert PYTHON.keys() <= read_extra(ROOT)


def test_a_client_has_the_version_that_is_installed() -> None:
    table = describe_clients(ROOT)

    assert "| `httpx-sse` | 0." in table
    assert all(f"| `{name}` |" in table for name in [*PYTHON, *JAVASCRIPT])
