import random

import pytest

from service.engine.scheduling.step_cost import FIT_INTERVAL, MAX_RISE, BatchOverhead, StepCost

PRIOR = BatchOverhead()


def feed(
    cost: StepCost,
    fixed: float,
    per_position: float,
    per_cell: float,
    num_steps: int = 640,
    noise: float = 0.1,
) -> None:
    """Batches of a model with these seconds, each off by up to the noise."""
    rng = random.Random(num_steps)
    for _ in range(num_steps):
        num_rows, length = rng.randint(1, 32), rng.randint(2, 60)
        seconds = fixed + length * (per_position + per_cell * num_rows)
        cost.observe(num_rows, length, seconds * (1.0 + rng.uniform(-noise, noise)))


def test_before_the_first_fit_the_prior_holds() -> None:
    cost = StepCost()
    for _ in range(FIT_INTERVAL - 1):
        cost.observe(4, 10, 0.001)

    assert cost.overhead == PRIOR
    assert cost.predict_seconds(4, 10) is None


@pytest.mark.parametrize("rows_per_position", [0.5, 1.0, 2.0, 8.0])
def test_the_cost_of_a_position_is_learnt_in_rows(rows_per_position: float) -> None:
    cost = StepCost()
    feed(cost, 50e-6, rows_per_position * 10e-6, 10e-6)

    assert cost.overhead.per_position == pytest.approx(rows_per_position, rel=0.25, abs=0.2)
    assert cost.predict_seconds(8, 20) == pytest.approx(
        50e-6 + 20 * (rows_per_position * 10e-6 + 80e-6), rel=0.1
    )


def test_a_fixed_cost_per_batch_is_told_from_that_of_positions() -> None:
    cost = StepCost()
    feed(cost, 3e-3, 10e-6, 10e-6, num_steps=1920)

    assert cost.overhead.fixed == pytest.approx(300.0, rel=0.2)
    assert cost.overhead.cells(40) == pytest.approx(340.0, rel=0.2)


def test_batches_of_one_shape_leave_the_prior() -> None:
    cost = StepCost()
    for _ in range(10 * FIT_INTERVAL):
        cost.observe(1, 12, 0.001)

    assert cost.overhead == PRIOR


def test_a_model_that_grows_slower_is_learnt_anew() -> None:
    cost = StepCost()
    feed(cost, 0.0, 10e-6, 10e-6)
    feed(cost, 0.0, 40e-6, 10e-6, num_steps=6400)

    assert cost.overhead.per_position == pytest.approx(4.0, rel=0.2)


def test_a_process_that_stood_still_does_not_spoil_the_fit() -> None:
    cost = StepCost()
    feed(cost, 0.0, 20e-6, 10e-6)
    for _ in range(FIT_INTERVAL // 4):
        cost.observe(8, 20, 30.0)
    feed(cost, 0.0, 20e-6, 10e-6, num_steps=FIT_INTERVAL)

    predicted = cost.predict_seconds(8, 20)
    assert predicted is not None
    assert predicted < MAX_RISE * 20 * (20e-6 + 80e-6)
    assert cost.overhead.per_position < 8.0


def test_coefficients_are_never_negative() -> None:
    cost = StepCost()
    feed(cost, 0.0, 0.0, 10e-6, noise=0.3)

    assert cost.overhead.per_position >= 0.0
    assert cost.overhead.fixed >= 0.0
