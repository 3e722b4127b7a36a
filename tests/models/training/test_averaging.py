import pytest
import torch
from torch import nn

from models.training.averaging import AverageModel


def make_layer(value: float) -> nn.Linear:
    layer = nn.Linear(3, 2)
    for parameter in layer.parameters():
        nn.init.constant_(parameter, value)
    return layer


def test_average_moves_by_one_minus_the_decay() -> None:
    average = AverageModel(make_layer(1.0), 0.75)
    average.update(make_layer(5.0), step=1000)
    assert torch.equal(average.model.state_dict()["weight"], torch.full((2, 3), 2.0))


def test_first_steps_have_a_smaller_decay() -> None:
    average = AverageModel(make_layer(0.0), 0.999)
    average.update(make_layer(11.0), step=1)
    assert float(average.model.state_dict()["bias"][0]) == pytest.approx(9.0)  # 1 - 2 / 11


def test_average_is_neither_trained_nor_tied_to_the_model() -> None:
    model = make_layer(1.0)
    average = AverageModel(model, 0.9)
    nn.init.zeros_(model.weight)
    assert float(average.model.state_dict()["weight"].sum()) == 6.0
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
