"""Attention of the decoder to the encoded source."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

INITIAL_SHARPNESS = 5.0


class Attention(nn.Module):
    """Cosine attention: score = sharpness * cos(W_q query, W_k memory).

    General attention (Luong et al. 2015, eq. 8) over normalised queries and keys with a learnt
    scale (Henry et al. 2020, QKNorm). Scores stay bounded, so that an early wrong alignment is
    less likely to saturate the softmax and cut off its own gradient.
    """

    def __init__(self, query_size: int, memory_size: int, attention_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, attention_size, bias=False)
        self.key = nn.Linear(memory_size, attention_size, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(INITIAL_SHARPNESS))

    def project_keys(self, memory: Tensor) -> Tensor:
        """Projects memory (B, S, M) to unit keys (B, S, A), once per source."""
        return normalize(self.key(memory), dim=-1)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Weighs the memory for each query.

        Args:
            queries: (B, T, Q).
            keys: (B, S, A), from `project_keys`.
            values: (B, S, M), the memory.
            mask: (B, S) bool, True at tokens.

        Returns:
            context (B, T, M) and weights (B, T, S), float32, zero at padding.
        """
        unit_queries = normalize(self.query(queries), dim=-1)
        scores = torch.bmm(unit_queries, keys.transpose(1, 2)).float() * self.sharpness  # (B, T, S)
        weights = scores.masked_fill(~mask[:, None, :], float("-inf")).softmax(dim=-1)
        return torch.bmm(weights.to(values.dtype), values), weights
