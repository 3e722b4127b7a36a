"""A module of the service has its tests in the file of the same place and name."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# They have no behaviour of their own: types of values, and the way into the command line.
DATA = {
    "__main__.py",
    "answers.py",
    "arrays.py",
    "http/schemas/languages.py",
    "http/schemas/models.py",
    "http/schemas/probes.py",
    "http/schemas/problem.py",
}
MODULES = sorted(
    path.relative_to(ROOT / "service")
    for path in (ROOT / "service").rglob("*.py")
    if path.name != "__init__.py"
)


def test_packages_hold_no_code() -> None:
    packages = (ROOT / "service").rglob("__init__.py")

    assert [path for path in packages if "def " in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("module", [each for each in MODULES if str(each) not in DATA], ids=str)
def test_a_module_has_a_test_file(module: Path) -> None:
    assert (ROOT / "tests" / "service" / module.with_name(f"test_{module.name}")).is_file()


def test_a_module_without_one_is_still_there() -> None:
    assert {Path(name) for name in DATA} <= set(MODULES)
