"""Language modelling as seen by training: streams of text, state carried on, nats per character.

Without a condition a source is one long text, cut into streams that are read side by side. Each
step reads a stretch of every stream and starts from the states that the stretch before has left;
the gradient ends at the stretch's start (truncated back-propagation through time, Williams and Peng
1990; contiguous streams as in Zaremba et al. 2014). With a condition a source is a table of short
texts, each read from its start to its end.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.config import RunConfig
from models.networks.encoder import State
from models.networks.language_model import LanguageModel
from models.training.data.sources import Example, batch_examples, pad_ids, sample_weighted
from models.training.data.texts import (
    Stream,
    count_characters,
    count_features,
    cut_streams,
    cut_valid,
    read_texts,
)
from models.training.metrics import text_figures
from models.training.vocabulary.subwords import PAD
from models.training.vocabulary.text_subwords import BOS, UNK
from service.text.tokenizer import Tokenizer

RESET_RATE = 0.05  # of the stretches that start anew, so that the model also knows first words
VALID_STRETCH = 256
VALID_BATCH_TOKENS = 8192


class LanguageTask:
    """Prediction of the next token."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, data: Path) -> None:
        self.config = config
        self.pad_id, self.bos_id, self.unk_id = map(tokenizer.token_id, (PAD, BOS, UNK))
        self._carried: State = []
        self._train: list[tuple[float, list[Example]]] = []
        for source in config.sources:
            if source.weight:
                texts = read_texts(config, source, data, tokenizer, "train")
                self._train.append((source.weight, texts))
        self._valid: dict[str, tuple[list[Example], int]] = {}
        for source in config.sources:
            if source.has_valid:
                limit = config.training.valid_limit if config.condition else None
                texts = read_texts(config, source, data, tokenizer, "valid", limit)
                self._valid[source.path] = texts, count_characters(texts, tokenizer)
        if not any(text.target_ids for _, texts in self._train for text in texts):
            raise ValueError("no source with a weight above 0 has text to train on")
        if not self._valid:
            raise ValueError(
                "no source has a validation split, which is needed to select the best weights"
            )

    def build_model(self) -> nn.Module:
        return LanguageModel(self.config.model, count_features(self.config))

    def sample_batches(self, rng: random.Random) -> list[list[Example]]:
        training = self.config.training
        texts = [
            text for weight, texts in self._train for text in sample_weighted(texts, weight, rng)
        ]
        if self.config.condition:
            return batch_examples(texts, training.batch_tokens, rng)
        tokens = np.concatenate([np.array(text.target_ids) for text in texts])
        num_streams = max(1, training.batch_tokens // training.bptt_tokens)
        streams = cut_streams(tokens, num_streams, training.bptt_tokens, self.pad_id)
        return self._cut_stretches(streams, rng)

    def loss(self, model: nn.Module, examples: Sequence[Example], device: torch.device) -> Tensor:
        """Mean loss per token in nats; keeps the states for the next stretch."""
        assert isinstance(model, LanguageModel)
        inputs, targets, features = self._collate(examples, device)
        if self.config.training.condition_weight and features is not None:
            return self._contrast(model, inputs, targets, features)
        state = self._carry_on(model, inputs, features)
        logits, after = model(inputs, state)
        self._carried = [tuple(part.detach() for part in layer) for layer in after]
        return cross_entropy(
            logits.float().flatten(0, 1),
            targets.flatten(),
            ignore_index=self.pad_id,
            label_smoothing=self.config.training.label_smoothing,
        )

    def _contrast(
        self, model: LanguageModel, inputs: Tensor, targets: Tensor, features: Tensor
    ) -> Tensor:
        """Adds the loss of telling the label of each text, by how likely the text is with each.

        Otherwise a label is felt only as far as it makes texts likelier, word by word.
        """
        num_texts, num_labels = features.shape
        labels = torch.eye(num_labels, device=features.device)
        every = labels.repeat_interleave(num_texts, dim=0)  # (K x B, K)
        logits, _ = model(inputs.repeat(num_labels, 1), model.first_state(len(every), every))
        nats = cross_entropy(
            logits.float().flatten(0, 1),
            targets.repeat(num_labels, 1).flatten(),
            ignore_index=self.pad_id,
            reduction="none",
        )
        nats = nats.view(num_labels, num_texts, -1).sum(dim=-1).T  # (B, K)
        right = features.argmax(dim=-1)
        own = nats.gather(1, right[:, None]).sum() / (targets != self.pad_id).sum()
        return own + self.config.training.condition_weight * cross_entropy(-nats, right)

    @torch.inference_mode()
    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Measures nats and bits per character, an end of a text counting as one."""
        assert isinstance(model, LanguageModel)
        figures: dict[str, float] = {}
        scores = []
        for path, (texts, num_characters) in self._valid.items():
            nats = self._sum_losses(model, texts, device)
            scores.append(-nats / num_characters)
            for figure in text_figures(nats, num_characters):
                figures[f"{path} {figure.metric}"] = figure.value
        return {"score": sum(scores) / len(scores), **figures}

    def _sum_losses(
        self, model: LanguageModel, texts: Sequence[Example], device: torch.device
    ) -> float:
        total = 0.0
        for batch in self._valid_batches(texts):
            inputs, targets, features = self._collate(batch, device)
            state = model.first_state(len(batch), features)
            for start in range(0, inputs.shape[1], VALID_STRETCH):
                stretch = slice(start, start + VALID_STRETCH)
                logits, state = model(inputs[:, stretch], state)
                total += float(
                    cross_entropy(
                        logits.float().flatten(0, 1),
                        targets[:, stretch].flatten(),
                        ignore_index=self.pad_id,
                        reduction="sum",
                    )
                )
        return total

    def _valid_batches(self, texts: Sequence[Example]) -> list[list[Example]]:
        if self.config.condition:
            return batch_examples(texts, VALID_BATCH_TOKENS)
        return [cut_valid(text, self.bos_id, self.pad_id) for text in texts]

    def _cut_stretches(self, streams: Stream, rng: random.Random) -> list[list[Example]]:
        """Cuts streams (B, n) into stretches, at different places in each epoch."""
        inputs = np.concatenate([np.full((len(streams), 1), self.bos_id), streams[:, :-1]], axis=1)
        size = self.config.training.bptt_tokens
        starts = range(rng.randint(1, size) - size, streams.shape[1], size)
        batches = []
        for start in starts:
            stretch = slice(max(0, start), start + size)
            read, expected = inputs[:, stretch].tolist(), streams[:, stretch].tolist()
            for row in read:
                if rng.random() < RESET_RATE:
                    row[0] = self.bos_id
            batches.append([Example(*pair) for pair in zip(read, expected, strict=True)])
        return batches

    def _collate(
        self, examples: Sequence[Example], device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Inputs and targets (B, T), features (B, F)."""
        inputs, _ = pad_ids([example.input_ids for example in examples], self.pad_id)
        targets, _ = pad_ids([example.target_ids for example in examples], self.pad_id)
        targets[targets == self.unk_id] = self.pad_id  # is read, but never written
        features = None
        if self.config.condition:
            features = torch.tensor([example.features for example in examples]).to(device)
        return inputs.to(device), targets.to(device), features

    def _carry_on(self, model: LanguageModel, inputs: Tensor, features: Tensor | None) -> State:
        """The states before each row: new at bos, else those of the stretch before.

        A resumed run has none of the latter and starts all rows anew.
        """
        state = model.first_state(len(inputs), features)
        if not self._carried or self._carried[0][0].shape != state[0][0].shape:
            return state
        is_new = (inputs[:, 0] == self.bos_id)[None, :, None]
        return [
            tuple(torch.where(is_new, *parts) for parts in zip(first, carried, strict=True))
            for first, carried in zip(state, self._carried, strict=True)
        ]
