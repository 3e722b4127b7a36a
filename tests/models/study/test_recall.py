import torch

from models.study.recall import NUM_SYMBOLS, QUESTION, RecallTrainer, draw_batch


def test_question_comes_as_many_steps_after_the_symbol_as_asked() -> None:
    ids, symbols = draw_batch(5, 20)

    assert ids.shape == (20, 6)
    assert torch.equal(ids[:, 0], symbols)
    assert symbols.max() < NUM_SYMBOLS <= ids[:, 1:-1].min()
    assert (ids[:, -1] == QUESTION).all()


def test_symbol_is_learnt_only_if_the_gradient_reaches_it() -> None:
    shares = []
    for chunk in (3, 4):  # the symbol is three steps before the question
        trainer = RecallTrainer("gru", 16, learning_rate=2e-2)
        for _ in range(80):
            trainer.train_batch(3, chunk)
        shares += trainer.measure_accuracy([3])

    assert shares[0] < 0.75
    assert shares[1] > 0.95
