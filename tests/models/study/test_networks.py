import pytest
import torch

from models.study.networks import CELLS, SequenceModel, StudyCell, count_recurrent


@pytest.mark.parametrize("cell", CELLS)
def test_reading_in_two_parts_is_reading_at_once(cell: StudyCell) -> None:
    torch.manual_seed(1)
    model = SequenceModel(cell, 7, 6)
    ids = torch.randint(7, (3, 9))

    whole, _ = model(ids)
    first, state = model(ids[:, :4])
    second, _ = model(ids[:, 4:], state)

    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


def test_sigmoid_layer_follows_its_equation() -> None:
    torch.manual_seed(1)
    layer = SequenceModel("rnn-sigmoid", 3, 4).layer
    weights = dict(layer.named_parameters())
    inputs = torch.randn(1, 2, 4)

    outputs, last = layer(inputs)

    hidden = torch.zeros(4)
    for step in inputs[0]:
        summed = weights["inputs.weight"] @ step + weights["inputs.bias"]
        hidden = torch.sigmoid(summed + weights["recurrent.weight"] @ hidden)
    torch.testing.assert_close(outputs[0, -1], hidden)
    torch.testing.assert_close(last[0, 0], hidden)


def test_gates_multiply_the_weights() -> None:
    sizes = {cell: count_recurrent(SequenceModel(cell, 5, 8)) for cell in CELLS}

    assert sizes["gru"] == 3 * sizes["rnn-tanh"]
    assert sizes["lstm"] == 4 * sizes["rnn-tanh"]
