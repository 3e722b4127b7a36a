from loadtests.bench.reporting.report import find_other_cpus, pivot
from tests.loadtests.samples import make_results


def test_pivot_makes_columns_of_the_last_part() -> None:
    headings, rows = pivot({"int8|mixed|1": [1.0, 3.0, 2.0], "int8|mixed|8": [5.0]})
    assert headings == ["", "1", "8"]
    assert rows == [["int8, mixed", 2.0, 5.0]]


def test_disturbed_runs_are_told() -> None:
    assert find_other_cpus(make_results()) == 0.25
    assert find_other_cpus({}) == 0.0
