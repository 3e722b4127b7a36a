import numpy as np
import pytest

from service.engine.batch import SamplingOptions, TokenSequence
from service.engine.generation.rows import Rows, open_row, stack_rows

VOCAB_SIZE = 6


def open_text(token_ids: list[int], max_new_tokens: int, penalty: float = 1.0) -> Rows:
    options = SamplingOptions(max_new_tokens, repetition_penalty=penalty)
    return open_row(TokenSequence([], 0.0, float("inf"), sampling=options), token_ids)


def favour(*token_ids: int) -> np.ndarray:
    """Logits by which each row takes the token named, greedily."""
    logits = np.zeros((len(token_ids), VOCAB_SIZE), np.float32)
    logits[np.arange(len(token_ids)), token_ids] = 5.0
    return logits


def test_rows_of_any_length_grow_side_by_side() -> None:
    rows = stack_rows([open_text([1, 2, 3], 2), open_text([1], 9)])
    assert rows.last_token_ids.tolist() == [3, 1]

    rows.append(favour(4, 5))
    rows.append(favour(2, 3))

    assert rows.text_of(0)[0] == [4, 2]
    assert rows.text_of(1)[0] == [5, 3]
    assert rows.is_full.tolist() == [True, False]


def test_a_row_that_joins_or_stays_keeps_its_text() -> None:
    rows = open_text([1, 2], 3)
    rows.append(favour(4))

    rows = stack_rows([rows, open_text([1] * 20, 30)])
    rows.append(favour(5, 3))
    first, second = rows.take([0]), rows.take([1])

    assert first.text_of(0)[0] == [4, 5]
    assert second.text_of(0)[0] == [3]
    assert second.last_token_ids.tolist() == [3]


def test_the_penalty_counts_prompt_and_text_and_nothing_else() -> None:
    rows = stack_rows([open_text([1, 2], 9, penalty=100.0), open_text([1], 30)])
    logits = np.tile(np.array([0.5, 1.0, 6.0, 5.0, 4.0, 3.0], np.float32), (2, 1))

    for _ in range(3):
        token_ids, log_probabilities = rows.append(logits)

    assert rows.text_of(0)[0] == [3, 4, 5]
    assert rows.text_of(1)[0] == [2, 2, 2]
    assert token_ids.tolist() == [5, 2]
    # by the model itself, without the penalty
    own = logits[0] - np.log(np.exp(logits[0]).sum())
    assert log_probabilities.tolist() == pytest.approx([own[5], own[2]], abs=1e-5)
