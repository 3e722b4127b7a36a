"""Dropout for recurrent networks: one mask for all time steps, and dropout of whole words."""

import torch
from torch import Tensor, nn


class LockedDropout(nn.Module):
    """Drops the same units at every time step of a sequence (Gal and Ghahramani 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, T, H) -> (B, T, H)."""
        if not self.training or self.rate == 0.0:
            return inputs
        mask = torch.empty(
            inputs.shape[0], 1, inputs.shape[2], device=inputs.device, dtype=inputs.dtype
        )
        return inputs * mask.bernoulli_(1.0 - self.rate).div_(1.0 - self.rate)


class WordDropout(nn.Module):
    """Drops whole tokens: sets their embedding to zero at that position (Iyyer et al. 2015)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, embedded: Tensor) -> Tensor:
        """(B, T, E) -> (B, T, E)."""
        if not self.training or self.rate == 0.0:
            return embedded
        keep = torch.empty(*embedded.shape[:2], 1, device=embedded.device, dtype=embedded.dtype)
        return embedded * keep.bernoulli_(1.0 - self.rate)
