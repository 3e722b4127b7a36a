"""What is generated equals what is in git."""

from pathlib import Path

import pytest

from docs.generate.__main__ import ROOT, build_files

FILES = build_files(ROOT)


@pytest.mark.parametrize("path", FILES)
def test_a_generated_file_is_up_to_date(path: str) -> None:
    written = (ROOT / path).read_text(encoding="utf-8")

    assert written == FILES[path], "run `make docs-generate`"


def test_pages_and_the_openapi_document_are_generated() -> None:
    assert {"README.md", "docs/settings.md", "docs/openapi.json"} <= FILES.keys()
    assert all((ROOT / path).is_relative_to(ROOT) for path in map(Path, FILES))
