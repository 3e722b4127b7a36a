"""What training has in common wherever a text is made of another one: examples, batches, loss."""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.config import RunConfig
from models.networks.seq2seq import Seq2Seq
from models.training.data.held_out import read_training
from models.training.data.rarity import rate_pairs, sample_rated
from models.training.data.sources import (
    Example,
    Pair,
    Row,
    batch_examples,
    check_splits,
    limit_rows,
    pad_ids,
    read_source,
    sample_weighted,
)
from models.training.sampled_softmax import draw_candidates, sampled_cross_entropy
from models.training.vocabulary.subwords import EOS, PAD, drop_merges, start_token
from service.text.tokenizer import Tokenizer


class Seq2SeqTask(ABC):
    """A text out of another one; the start token selects the language that it is in."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, data: Path) -> None:
        self.config, self.tokenizer = config, tokenizer
        self.pad_id, self.eos_id = tokenizer.token_id(PAD), tokenizer.token_id(EOS)
        self.start_ids = [
            tokenizer.token_id(start_token(language)) for language in config.languages
        ]
        rate = config.training.bpe_dropout
        self._train_tokenizer = drop_merges(tokenizer, rate) if rate else tokenizer
        self._train = [
            (source.weight, self.make_pairs(rows)) for source, rows in read_training(config, data)
        ]
        self._valid = {
            source.path: limit_rows(
                read_source(config, source, data, "valid"), config.training.valid_limit
            )
            for source in config.sources
            if source.has_valid
        }
        check_splits(self._train, self._valid)
        power = config.training.rarity
        self._rates = rate_pairs([pairs for _, pairs in self._train], power) if power else None

    def build_model(self) -> nn.Module:
        return Seq2Seq(self.config.model)

    def sample_batches(self, rng: random.Random) -> list[list[Example]]:
        return batch_examples(self.sample_epoch(rng), self.config.training.batch_tokens, rng)

    def sample_epoch(self, rng: random.Random) -> list[Example]:
        pairs = self.sample_pairs(rng)
        return self.encode_pairs(pairs, [self.start_ids[pair.side] for pair in pairs])

    def sample_pairs(self, rng: random.Random) -> list[Pair]:
        """Draws the pairs of one epoch."""
        if self._rates:
            return [
                pair
                for (weight, pairs), rates in zip(self._train, self._rates, strict=True)
                for pair in sample_rated(pairs, rates, weight, rng)
            ]
        return [
            pair for weight, pairs in self._train for pair in sample_weighted(pairs, weight, rng)
        ]

    def encode_pairs(
        self,
        pairs: Sequence[Pair],
        start_ids: Sequence[int],
        end_ids: Sequence[int] | None = None,
    ) -> list[Example]:
        """Examples of pairs; sources end with eos, unless other tokens are given to end them."""
        sources = self._train_tokenizer.encode_batch([pair.source for pair in pairs])
        targets = self._train_tokenizer.encode_batch([pair.target for pair in pairs])
        limit = self.config.model.max_tokens - 1  # eos
        return [
            Example([*source[:limit], end_id], [start_id, *target[:limit]])
            for source, target, start_id, end_id in zip(
                sources, targets, start_ids, end_ids or [self.eos_id] * len(pairs), strict=True
            )
        ]

    def loss(self, model: nn.Module, examples: Sequence[Example], device: torch.device) -> Tensor:
        """Mean loss per token of the targets in nats."""
        assert isinstance(model, Seq2Seq)
        training = self.config.training
        if not training.sampled_tokens:
            return cross_entropy(
                *self._predict(model, examples, device),
                ignore_index=self.pad_id,
                label_smoothing=training.label_smoothing,
            )
        *inputs, outputs = self._pad(examples, device)
        real = outputs != self.pad_id
        weight, bias = model.embedding.weight, model.output_bias
        return sampled_cross_entropy(
            model.readout(*inputs)[real],
            weight,
            bias,
            draw_candidates(outputs[real], len(bias), training.sampled_tokens),
            training.label_smoothing,
        )

    @abstractmethod
    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Measures the validation split; "score", higher is better, selects the checkpoint."""

    @abstractmethod
    def list_pairs(self, row: Row) -> list[Pair]:
        """What a row is trained on."""

    def make_pairs(self, rows: Sequence[Row]) -> list[Pair]:
        """The pairs of the rows that are neither empty nor too long."""
        texts = [[row[side] for row in rows] for side in (0, 1)]
        lengths = [[len(ids) for ids in self.tokenizer.encode_batch(side)] for side in texts]
        limit = self.config.model.max_tokens - 1  # eos
        return [
            pair
            for row, *sizes in zip(rows, *lengths, strict=True)
            if min(sizes) > 0 and max(sizes) <= limit
            for pair in self.list_pairs(row)
        ]

    def _predict(
        self, model: nn.Module, examples: Sequence[Example], device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Logits (B x T, V), and the tokens that they should be of (B x T), padded."""
        *inputs, outputs = self._pad(examples, device)
        return model(*inputs).float().flatten(0, 1), outputs.flatten()

    def _pad(
        self, examples: Sequence[Example], device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Sources (B, S), their lengths (B), what the decoder reads (B, T) and should write."""
        input_ids, lengths = pad_ids([example.input_ids for example in examples], self.pad_id)
        inputs, _ = pad_ids([example.target_ids for example in examples], self.pad_id)
        outputs, _ = pad_ids(
            [[*example.target_ids[1:], self.eos_id] for example in examples], self.pad_id
        )
        return input_ids.to(device), lengths.to(device), inputs.to(device), outputs.to(device)
