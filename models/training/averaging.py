"""An exponential moving average of the weights, less noisy than the weights of any one step."""

import copy

import torch
from torch import nn


class AverageModel:
    """A copy of a model that follows it slowly.

    Attributes:
        model: the average, in eval mode; what is validated and shipped.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Moves the average towards the weights after `step` optimizer steps.

        The first steps weigh more than the decay says, so that the initial weights are forgotten
        soon (as in tf.train.ExponentialMovingAverage).
        """
        decay = min(self.decay, (1.0 + step) / (10.0 + step))
        torch._foreach_lerp_(
            list(self.model.parameters()), list(model.parameters()), weight=1.0 - decay
        )
