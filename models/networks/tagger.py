"""Taggers (many-to-many in step): one label per token, of whole texts or of text as it comes in."""

import torch
from torch import Tensor, nn

from models.config import ModelConfig
from models.networks.dropout import LockedDropout, WordDropout
from models.networks.encoder import Encoder, build_layer, length_mask

# Of every vocabulary that is learnt here.
PAD_ID = 0


class Tagger(nn.Module):
    """Labels each token of a whole text, which it reads in both directions."""

    def __init__(self, config: ModelConfig, num_labels: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = build_embedding(config)
        self.encoder = Encoder(config)
        self.word_dropout = WordDropout(config.word_dropout)
        self.dropout = LockedDropout(config.dropout)
        self.output = nn.Linear(2 * config.encoder_size, num_labels)

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """input_ids (B, T) int64, padded, and lengths (B) int64, >= 1 -> logits (B, T, C)."""
        outputs = self.encoder(self.word_dropout(self.embedding(input_ids)), lengths)
        logits: Tensor = self.output(self.dropout(outputs))
        return logits


class StreamTagger(nn.Module):
    """Labels each token once it has read `lookahead` tokens beyond it.

    It reads forward alone. After the end of a text it reads padding, whose embedding is zero.
    """

    def __init__(self, config: ModelConfig, num_labels: int) -> None:
        super().__init__()
        assert config.lookahead is not None, "checked by the configuration"
        self.config = config
        self.lookahead = config.lookahead
        self.embedding = build_embedding(config)
        sizes = [config.embedding_size] + [config.encoder_size] * (config.encoder_layers - 1)
        self.layers = nn.ModuleList(
            build_layer(config.cell, size, config.encoder_size) for size in sizes
        )
        self.word_dropout = WordDropout(config.word_dropout)
        self.dropout = LockedDropout(config.dropout)
        self.output = nn.Linear(config.encoder_size, num_labels)

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """input_ids (B, T) int64, padded, and lengths (B) int64, >= 1 -> logits (B, T, C)."""
        mask = length_mask(lengths, input_ids.shape[1])[:, :, None]
        embedded = self.word_dropout(self.embedding(input_ids)) * mask
        outputs = nn.functional.pad(embedded, (0, 0, 0, self.lookahead))  # (B, T + lookahead, E)
        for layer in self.layers:
            outputs = layer(self.dropout(outputs))[0]
        logits: Tensor = self.output(self.dropout(outputs[:, self.lookahead :]))
        return logits


def build_embedding(config: ModelConfig) -> nn.Embedding:
    embedding = nn.Embedding(config.vocab_size, config.embedding_size, padding_idx=PAD_ID)
    nn.init.normal_(embedding.weight, std=0.1)
    with torch.no_grad():
        embedding.weight[PAD_ID] = 0.0
    return embedding


def build_tagger(config: ModelConfig, num_labels: int) -> Tagger | StreamTagger:
    """Builds the network that fits `config.lookahead`."""
    network = Tagger if config.lookahead is None else StreamTagger
    return network(config, num_labels)
