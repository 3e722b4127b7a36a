import numpy as np

from service.engine.runner import run_sequences
from tests.fakes import FakeRunner, make_sequence


def test_results_come_in_the_order_of_the_sequences() -> None:
    sequences = [make_sequence(length) for length in (9, 1, 5, 3, 7)]

    results = run_sequences(FakeRunner(max_rows=2), sequences, max_batch_tokens=9)

    assert [int(np.asarray(result)[1]) for result in results] == [9, 1, 5, 3, 7]
