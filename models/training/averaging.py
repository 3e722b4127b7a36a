"""Exponential moving average of the weights, less noisy than the weights of a single step."""

import copy

import torch
from torch import nn


class AverageModel:
    """Moving average of a model.

    Attributes:
        model: the average, in eval mode, which is validated and shipped.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Updates the average with the weights after `step` optimizer steps.

        The decay is smaller in the first steps, so that the initial weights are soon forgotten (as
        in tf.train.ExponentialMovingAverage).
        """
        decay = min(self.decay, (1.0 + step) / (10.0 + step))
        torch._foreach_lerp_(
            list(self.model.parameters()), list(model.parameters()), weight=1.0 - decay
        )
