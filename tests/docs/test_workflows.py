"""The workflows call make targets only, pin what they use, and may write nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(path.name for path in FOLDER.glob("*.yml"))


def read_workflow(name: str) -> dict[str, Any]:
    workflow: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return workflow


def list_steps(name: str) -> Iterator[dict[str, Any]]:
    for job in read_workflow(name)["jobs"].values():
        yield from job["steps"]


def test_there_is_a_workflow_for_each_concern() -> None:
    assert WORKFLOWS == ["chart.yml", "image.yml", "release.yml", "test.yml"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_read_only(name: str) -> None:
    workflow = read_workflow(name)

    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow["jobs"].values())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_action_is_pinned_by_commit_with_its_version(name: str) -> None:
    used = re.findall(r"uses: (.*)", (FOLDER / name).read_text(encoding="utf-8"))

    assert used
    for action in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_command_is_a_make_target(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = [step["run"] for step in list_steps(name) if "run" in step]

    assert commands
    for command in commands:
        found = re.fullmatch(r"make ([a-z-]+)(?: [A-Z]+=\w+)?", command)
        assert found, command
        assert re.search(rf"^{found[1]}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_checkout_leaves_no_credentials_behind(name: str) -> None:
    checkouts = [step for step in list_steps(name) if "actions/checkout" in step.get("uses", "")]

    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_dependabot_watches_python_actions_and_the_image() -> None:
    text = (ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8")
    watched = {update["package-ecosystem"] for update in yaml.safe_load(text)["updates"]}

    assert watched == {"pip", "github-actions", "docker"}


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")))
def test_an_issue_template_is_valid_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)
