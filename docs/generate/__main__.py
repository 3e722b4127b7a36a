"""Writes the generated parts of the documentation: `python -m docs.generate`.

A test compares every part with what is in git, so a changed setting, metric, route, manifest or
results file calls for another run.
"""

from pathlib import Path

from docs.generate.pages import PAGES, build_openapi, fill_page

ROOT = Path(__file__).parents[2]
OPENAPI = "docs/openapi.json"


def build_files(root: Path) -> dict[str, str]:
    """The generated text of each file, by its path below `root`."""
    files = {path: fill_page((root / path).read_text(encoding="utf-8"), root) for path in PAGES}
    return files | {OPENAPI: build_openapi()}


def main() -> None:
    for path, text in build_files(ROOT).items():
        (ROOT / path).write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
