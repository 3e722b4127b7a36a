import pytest
import torch

from models.config import Cell, ModelConfig
from models.networks.classifier import Classifier, max_pool, mean_pool

CELLS: list[Cell] = ["lstm", "gru", "rnn"]
MAX_LENGTH = 20


def make_classifier(cell: Cell) -> Classifier:
    torch.manual_seed(1)
    config = ModelConfig(
        cell=cell, vocab_size=50, embedding_size=8, encoder_size=6, encoder_layers=2, dropout=0.5
    )
    return Classifier(config, num_labels=3).eval()


@pytest.mark.parametrize("cell", CELLS)
def test_padding_and_other_rows_never_change_a_result(cell: Cell) -> None:
    model = make_classifier(cell)
    lengths = torch.arange(1, MAX_LENGTH + 1)
    input_ids = torch.randint(0, 50, (MAX_LENGTH, MAX_LENGTH + 30))  # padded with garbage

    batched = model(input_ids, lengths)

    for row, length in enumerate(lengths.tolist()):
        alone = model(input_ids[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(batched[row], alone[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_order_of_the_batch_does_not_matter(cell: Cell) -> None:
    model = make_classifier(cell)
    input_ids, lengths = torch.randint(0, 50, (5, 9)), torch.tensor([9, 1, 4, 2, 9])
    order = torch.tensor([3, 1, 4, 0, 2])

    torch.testing.assert_close(
        model(input_ids[order], lengths[order]), model(input_ids, lengths)[order]
    )


def test_order_of_the_words_does_matter() -> None:
    model = make_classifier("gru")
    lengths = torch.tensor([3])

    there, back = (model(torch.tensor([ids]), lengths) for ids in ([1, 2, 3], [3, 2, 1]))

    assert not torch.allclose(there, back, atol=1e-4)


def test_pooling_ignores_padding() -> None:
    outputs = torch.tensor([[[-2.0], [-4.0], [0.0]], [[1.0], [2.0], [6.0]]])
    lengths = torch.tensor([2, 3])

    assert mean_pool(outputs, lengths).tolist() == [[-3.0], [3.0]]
    assert max_pool(outputs, lengths).tolist() == [[-2.0], [6.0]]


def test_dropout_acts_in_training_only() -> None:
    model = make_classifier("lstm")
    input_ids, lengths = torch.randint(0, 50, (2, 5)), torch.tensor([5, 3])

    assert torch.equal(model(input_ids, lengths), model(input_ids, lengths))
    model.train()
    assert not torch.equal(model(input_ids, lengths), model(input_ids, lengths))
