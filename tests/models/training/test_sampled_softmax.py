"""Cross entropy over a sample of the vocabulary, compared with the one over all of it."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from models.training.sampled_softmax import Candidates, draw_candidates, sampled_cross_entropy

VOCAB, SIZE, ROWS = 900, 16, 60
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture
def inputs() -> Inputs:
    """Readout, weight and bias of an output layer, and targets."""
    torch.manual_seed(1)
    readout, weight, bias = (
        torch.randn(ROWS, SIZE),
        torch.randn(VOCAB, SIZE) / 4,
        torch.randn(VOCAB),
    )
    for tensor in (readout, weight, bias):
        tensor.requires_grad_()
    return readout, weight, bias, torch.randint(VOCAB, (ROWS,))


def find_exact_loss(inputs: Inputs, label_smoothing: float) -> Tensor:
    readout, weight, bias, targets = inputs
    logits = linear(readout, weight, bias)
    return cross_entropy(logits, targets, label_smoothing=label_smoothing)


def estimate_loss(inputs: Inputs, num_sampled: int, label_smoothing: float = 0.0) -> Tensor:
    *layer, targets = inputs
    return sampled_cross_entropy(
        *layer, draw_candidates(targets, len(layer[-1]), num_sampled), label_smoothing
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_loss_and_gradients_are_exact_if_all_tokens_are_drawn(
    inputs: Inputs, label_smoothing: float
) -> None:
    expected = find_exact_loss(inputs, label_smoothing)
    loss = estimate_loss(inputs, VOCAB, label_smoothing)

    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    gradients = torch.autograd.grad(loss, inputs[:3])
    for ours, theirs in zip(gradients, torch.autograd.grad(expected, inputs[:3]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_loss_and_gradients_are_estimates_if_some_are_drawn(
    inputs: Inputs, label_smoothing: float
) -> None:
    torch.manual_seed(2)
    draws = [estimate_loss(inputs, 300, label_smoothing) for _ in range(200)]
    mean = torch.stack(draws).mean()
    expected = find_exact_loss(inputs, label_smoothing)

    assert float(mean.detach()) == pytest.approx(float(expected.detach()), rel=0.02)
    (ours,) = torch.autograd.grad(mean, inputs[0])
    (theirs,) = torch.autograd.grad(expected, inputs[0])
    assert float((ours - theirs).norm() / theirs.norm()) < 0.05
    assert len({float(draw.detach()) for draw in draws}) == 200


def test_every_token_may_be_a_target() -> None:
    readout, weight, bias = torch.randn(5, 4), torch.randn(5, 4), torch.zeros(5)
    inputs = (readout, weight, bias, torch.arange(5))
    expected = find_exact_loss(inputs, 0.0)
    assert float(estimate_loss(inputs, 3)) == pytest.approx(float(expected))


def test_token_counts_for_as_many_as_it_stands_for() -> None:
    readout, weight, bias = torch.randn(2, 4), torch.randn(3, 4), torch.zeros(3)
    candidates = Candidates(torch.tensor([2, 0]), torch.tensor([1.0, 5.0]), torch.tensor([0, 0]))
    five_times = weight[[2, 0, 0, 0, 0, 0]]
    expected = cross_entropy(linear(readout, five_times), candidates.labels)
    loss = sampled_cross_entropy(readout, weight, bias, candidates)
    assert float(loss) == pytest.approx(float(expected))
