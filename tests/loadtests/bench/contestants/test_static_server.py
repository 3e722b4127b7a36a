import pytest

from loadtests.bench.contestants.runners import find_runners, wrap_runners
from loadtests.bench.contestants.static_server import StaticRunner
from service.engine.batch import TokenSequence
from tests.fakes import FakeRunner, make_manifest, make_model, make_sequence


def steps_of_length(sequence: TokenSequence) -> int:
    return sequence.num_tokens


@pytest.fixture
def inner() -> FakeRunner:
    return FakeRunner(num_steps=steps_of_length)


def test_batch_is_answered_with_its_last_sentence(inner: FakeRunner) -> None:
    runner = StaticRunner(inner)
    short, long = make_sequence(1), make_sequence(3)
    assert runner.step([short, long]) == []
    assert runner.step([]) == []
    assert {sequence for sequence, _ in runner.step([])} == {short, long}
    assert runner.num_running == 0


def test_nothing_is_admitted_until_the_batch_has_ended(inner: FakeRunner) -> None:
    runner = StaticRunner(inner)
    assert runner.free_rows == inner.free_rows > 0
    runner.step([make_sequence(1), make_sequence(2)])
    assert inner.free_rows > 0
    assert runner.free_rows == 0
    runner.step([])
    assert runner.free_rows == inner.free_rows


def test_answers_are_the_runners_own(inner: FakeRunner) -> None:
    sequence = make_sequence(1)
    ((_, static),) = StaticRunner(inner).step([sequence])
    ((_, alone),) = FakeRunner().step([sequence])
    assert list(static) == list(alone)


def test_reset_forgets_what_had_ended(inner: FakeRunner) -> None:
    runner = StaticRunner(inner)
    runner.step([make_sequence(1), make_sequence(2)])
    runner.reset()
    later = make_sequence(1)
    assert [sequence for sequence, _ in runner.step([later])] == [later]


def test_every_runner_of_a_model_is_wrapped() -> None:
    model = make_model(make_manifest("translation"))
    wrapped = find_runners(wrap_runners(model, StaticRunner))
    assert len(wrapped) == len(find_runners(model))
    assert all(isinstance(runner, StaticRunner) for runner in wrapped)
