"""The site builds strictly, as `make docs` does, and without reaching out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a browser would fetch by itself; links are followed by people.
FETCHED = re.compile(r"<(?:script|img|link)[^>]+(?:src|href)=\"?(https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"]
    done = subprocess.run(
        [*command, "--site-dir", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_built_and_no_program(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}

    assert all((site / page.with_suffix(".html")).is_file() for page in pages)
    assert (site / "openapi.json").is_file()
    assert list(site.rglob("*.py")) == []


def test_pictures_from_elsewhere_in_the_repository_are_copied(site: Path) -> None:
    page = (site / "performance.html").read_text(encoding="utf-8")

    assert 'src="pictures/reference.png"' in page
    assert (site / "pictures" / "reference.png").is_file()


def test_pages_fetch_nothing_from_other_hosts(site: Path) -> None:
    pages = list(site.rglob("*.html"))

    assert pages
    assert [page for page in pages if FETCHED.search(page.read_text(encoding="utf-8"))] == []
