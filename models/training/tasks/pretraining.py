"""Language-model pretraining of embedding and encoder on the training texts, without labels.

Each direction of the encoder's first layer learns to predict the token that it reads next; the
classifier starts from these weights (SA-LSTM, Dai and Le 2015, in both directions).
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from models.config import ModelConfig, RunConfig
from models.networks.dropout import LockedDropout
from models.networks.encoder import Encoder, length_mask
from models.training.data.held_out import read_training
from models.training.data.sources import (
    Example,
    Row,
    batch_examples,
    bucket_batches,
    pad_ids,
    read_source,
)
from models.training.sampled_softmax import Candidates, sampled_cross_entropy
from models.training.vocabulary.subwords import PAD
from service.text.tokenizer import Tokenizer

VALID_BATCH_TOKENS = 2048
DROPOUT = 0.1  # low: a few passes over the whole text do not overfit


class LanguageModel(nn.Module):
    """Predicts the next and the previous token of each position, in embedding space.

    Embedding and encoder are named as in `Classifier`, which loads their weights.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.encoder = Encoder(replace(config, encoder_layers=1, dropout=DROPOUT))
        self.dropout = LockedDropout(DROPOUT)
        self.ahead = nn.Linear(config.encoder_size, config.embedding_size)
        self.back = nn.Linear(config.encoder_size, config.embedding_size)
        self.output_bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, input_ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Returns predictions and their targets.

        Args:
            input_ids: (B, T) int64, padded.
            lengths: (B) int64, >= 1.

        Returns:
            readout (N, E) and token ids (N): first all tokens with a predecessor, then all tokens
            with a successor.
        """
        outputs = self.dropout(self.encoder(self.embedding(input_ids), lengths))
        ahead, back = outputs.chunk(2, dim=-1)  # (B, T, H) each
        mask = length_mask(lengths, input_ids.shape[1])[:, 1:]
        readout = torch.cat([self.ahead(ahead[:, :-1][mask]), self.back(back[:, 1:][mask])])
        return readout, torch.cat([input_ids[:, 1:][mask], input_ids[:, :-1][mask]])

    def logits(self, readout: Tensor) -> Tensor:
        """Scores all tokens: (N, E) -> (N, V)."""
        return linear(readout, self.embedding.weight, self.output_bias)


class PretrainingTask:
    """Language modelling over the texts of every source with a weight, each text once."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, data: Path) -> None:
        self.config, self.tokenizer = config, tokenizer
        self.pad_id = tokenizer.token_id(PAD)
        self.training = config.pretraining or config.training
        self._train = self._encode([row for _, rows in read_training(config, data) for row in rows])
        limit = self.training.valid_limit
        self._valid = self._encode(
            [
                row
                for source in config.sources
                if source.weight and source.has_valid
                for row in read_source(config, source, data, "valid")[:limit]
            ]
        )
        if not self._train or not self._valid:
            raise ValueError("pretraining needs texts of two tokens or more to train and validate")
        self._frequencies = self._count_tokens()

    def build_model(self) -> nn.Module:
        model = LanguageModel(self.config.model)
        # starts from the shares: tokens that occur in no text are never drawn, and stay unlikely
        model.output_bias.data.copy_(self._frequencies.log())
        return model

    def sample_batches(self, rng: random.Random) -> list[list[Example]]:
        return batch_examples(self.sample_epoch(rng), self.training.batch_tokens, rng)

    def sample_epoch(self, rng: random.Random) -> list[Example]:
        """Splits all texts into windows, at different places in each epoch."""
        size = self.training.crop_tokens
        return [
            Example(window, [0])
            for ids in self._train
            for window in cut_windows(ids, size, rng.randint(1, size))
            if len(window) > 1
        ]

    def loss(self, model: nn.Module, examples: Sequence[Example], device: torch.device) -> Tensor:
        """Computes the cross entropy over the tokens of the batch, a sample of the vocabulary.

        A softmax over all tokens would cost ten times the encoder. The probability of a token to be
        in a batch of this size is that of its share of the texts.
        """
        assert isinstance(model, LanguageModel)
        input_ids, lengths = pad_ids([example.input_ids for example in examples], self.pad_id)
        readout, token_ids = model(input_ids.to(device), lengths.to(device))
        candidates, labels = token_ids.unique(return_inverse=True)
        shares = self._frequencies.to(device)[candidates]
        chances = -torch.expm1(int(lengths.sum()) * torch.log1p(-shares))
        return sampled_cross_entropy(
            readout,
            model.embedding.weight,
            model.output_bias,
            Candidates(candidates, 1.0 / chances, labels),
        )

    @torch.inference_mode()
    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Measures perplexity over the whole vocabulary, averaged over both directions."""
        assert isinstance(model, LanguageModel)
        total, count = 0.0, 0
        for batch in bucket_batches([len(ids) for ids in self._valid], VALID_BATCH_TOKENS):
            input_ids, lengths = pad_ids([self._valid[index] for index in batch], self.pad_id)
            readout, token_ids = model(input_ids.to(device), lengths.to(device))
            logits = model.logits(readout).float()
            total += float(cross_entropy(logits, token_ids, reduction="sum"))
            count += len(token_ids)
        return {"score": -total / count, "perplexity": math.exp(total / count)}

    def _encode(self, rows: Sequence[Row]) -> list[list[int]]:
        encoded = self.tokenizer.encode_batch([text for _, text in rows])
        return [ids for ids in encoded if len(ids) > 1]

    def _count_tokens(self) -> Tensor:
        """Returns the share of each token in the training texts, with add-one smoothing."""
        counts = Counter(token_id for ids in self._train for token_id in ids)
        size = self.config.model.vocab_size
        shares = torch.tensor([counts[token_id] + 1.0 for token_id in range(size)])
        return shares / shares.sum()


def cut_windows(ids: list[int], size: int, first: int) -> list[list[int]]:
    """Splits a text longer than `size` into windows of that size; the first one is shorter."""
    if len(ids) <= size:
        return [ids]
    return [ids[:first], *(ids[start : start + size] for start in range(first, len(ids), size))]
