import pytest
import torch

from models.study.recall import NUM_SYMBOLS, QUESTION, RecallTrainer, draw_batch


def test_question_comes_as_many_steps_after_the_symbol_as_asked() -> None:
    ids, symbols = draw_batch(5, 20)

    assert ids.shape == (20, 6)
    assert torch.equal(ids[:, 0], symbols)
    assert symbols.max() < NUM_SYMBOLS <= ids[:, 1:-1].min()
    assert (ids[:, -1] == QUESTION).all()


@pytest.mark.parametrize(("chunk", "reaches"), [(1, False), (3, False), (4, True), (None, True)])
def test_gradient_goes_back_as_many_steps_as_the_chunk_has(
    chunk: int | None, reaches: bool
) -> None:
    trainer = RecallTrainer("gru", 16)
    trainer.train_batch(3, chunk)  # the symbol is three steps before the question

    gradient = trainer.model.embedding.weight.grad
    assert gradient is not None
    assert bool(gradient[:NUM_SYMBOLS].any()) == reaches
    assert gradient[QUESTION].any()


def test_near_symbol_is_learnt() -> None:
    trainer = RecallTrainer("gru", 16, learning_rate=2e-2)

    longest = trainer.train_curriculum(4, 120)

    assert longest >= 3
    assert trainer.measure_accuracy([2]) > [0.9]
