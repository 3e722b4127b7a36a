import itertools

import pytest

from loadtests.load.shapes import MAX_CELLS, Shape, find_step


def make_shape(name: str, seconds: float = 100.0) -> Shape:
    return Shape(name, load=10, peak=50, seconds=seconds, num_steps=5)


def list_loads(name: str) -> list[int]:
    return [step.load for step in make_shape(name).plan_steps()]


def test_shapes_have_their_loads() -> None:
    assert list_loads("steady") == [10]
    assert list_loads("ramp") == [10, 20, 30, 40, 50]
    assert list_loads("spike") == [10, 50, 10]
    assert list_loads("soak") == [10] * 10


@pytest.mark.parametrize("name", ["steady", "ramp", "spike", "soak"])
def test_steps_fill_the_duration_without_a_gap(name: str) -> None:
    steps = make_shape(name).plan_steps()

    assert steps[0].start == 0.0
    assert steps[-1].end == pytest.approx(100.0)
    assert all(one.end == pytest.approx(other.start) for one, other in itertools.pairwise(steps))


def test_moment_is_in_one_step() -> None:
    steps = make_shape("ramp").plan_steps()

    assert [find_step(steps, moment) for moment in (0.0, 20.0, 99.9)] == [
        steps[0],
        steps[1],
        steps[4],
    ]
    assert find_step(steps, 100.1) is None


def test_long_runs_keep_few_cells() -> None:
    assert make_shape("steady").seconds_per_cell == 1
    day = make_shape("soak", seconds=86400.0)
    assert day.seconds / day.seconds_per_cell <= MAX_CELLS


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Shape("steady", 0, 50, 10.0, 5), "--load must be at least 1"),
        (Shape("ramp", 50, 50, 10.0, 5), r"ramp needs a --peak above its --load \(50\)"),
        (Shape("spike", 9, 8, 10.0, 5), "spike needs a --peak"),
        (Shape("ramp", 1, 50, 10.0, 11), "must give each step 3 seconds"),
    ],
)
def test_shape_without_sense_is_refused(shape: Shape, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shape.check()
