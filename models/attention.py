"""Attention of the decoder over the encoder outputs."""

import math

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Scaled general attention: score = (W_q query) . (W_k output) / sqrt(A).

    Luong et al. 2015, eq. 8, with the scale of Vaswani et al. 2017.
    """

    def __init__(self, query_size: int, memory_size: int, attention_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, attention_size, bias=False)
        self.key = nn.Linear(memory_size, attention_size, bias=False)
        self.scale = 1.0 / math.sqrt(attention_size)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Weighs the memory for each query.

        Args:
            queries: (B, T, Q).
            keys: (B, S, A), from `self.key`.
            values: (B, S, M), the encoder outputs.
            mask: (B, S) bool, True at tokens.

        Returns:
            context (B, T, M) and weights (B, T, S), float32, zero at padding.
        """
        scores = (
            torch.bmm(self.query(queries), keys.transpose(1, 2)).float() * self.scale
        )  # (B, T, S)
        weights = scores.masked_fill(~mask[:, None, :], float("-inf")).softmax(dim=-1)
        return torch.bmm(weights.to(values.dtype), values), weights
