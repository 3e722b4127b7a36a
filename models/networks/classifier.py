"""Classifier (many-to-one): embedding, bidirectional encoder, masked pooling, linear layer."""

import torch
from torch import Tensor, nn

from models.config import ModelConfig
from models.networks.dropout import LockedDropout, WordDropout
from models.networks.encoder import Encoder, length_mask


class Classifier(nn.Module):
    """Classifies padded token ids by mean and maximum over the tokens of each text."""

    def __init__(self, config: ModelConfig, num_labels: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.encoder = Encoder(config)
        self.word_dropout = WordDropout(config.word_dropout)
        self.dropout = LockedDropout(config.dropout)
        self.output = nn.Linear(4 * config.encoder_size, num_labels)

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """input_ids (B, T) int64, padded, and lengths (B) int64, >= 1 -> logits (B, C)."""
        return self.read(self.embedding(input_ids), lengths)

    def read(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Embedded tokens (B, T, E), padded, and lengths (B) int64, >= 1 -> logits (B, C)."""
        outputs = self.encoder(self.word_dropout(embedded), lengths)
        pooled = torch.cat([mean_pool(outputs, lengths), max_pool(outputs, lengths)], dim=-1)
        logits: Tensor = self.output(self.dropout(pooled[:, None])[:, 0])
        return logits


def mean_pool(outputs: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, H), zero beyond each length -> (B, H)."""
    return outputs.sum(dim=1) / lengths[:, None]


def max_pool(outputs: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, H) -> (B, H), over tokens only."""
    mask = length_mask(lengths, outputs.shape[1])[:, :, None]
    return outputs.masked_fill(~mask, torch.finfo(outputs.dtype).min).amax(dim=1)
