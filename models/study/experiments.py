"""The experiments of the study, each a list of rows that a table and a plot are made of."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from models.study.gradients import measure_norms
from models.study.language import (
    NUM_STREAMS,
    VALID_SHARE,
    Corpus,
    build_model,
    cut_streams,
    measure_loss,
    scale_recurrent,
    train_language,
)
from models.study.networks import CELLS, StudyCell, count_recurrent
from models.study.recall import RecallTrainer

Row = dict[str, Any]

CLIP_NORM = 1.0
LEARNING_RATE = 5e-3
# Recurrent weights that lengthen states and gradients by this factor per step.
RADIUS = 1.5
NUM_TEXTS = 64  # that gradients are averaged over


@dataclass(frozen=True)
class Effort:
    """How much is computed: the defaults take a few minutes on one thread.

    Attributes:
        size: hidden units of every layer.
        distances: steps after which a symbol is asked for.
        reach: states that gradients are measured at.
        truncation_distance: steps between symbol and question when back-propagation is truncated.
    """

    size: int = 32
    num_sentences: int = 4000
    language_updates: int = 250
    bptt: int = 50
    recall_updates: int = 400
    distances: tuple[int, ...] = (5, 10, 20, 50, 100, 200)
    reach: int = 100
    clipping_updates: int = 80
    truncation_distance: int = 20
    truncation_updates: int = 250
    chunks: tuple[int, ...] = (5, 10, 20, 21)

    @property
    def min_characters(self) -> int:
        """The shortest text that has a chunk in each stream, and texts to measure gradients on."""
        to_train = NUM_STREAMS * (self.bptt + 1) / (1 - VALID_SHARE)
        to_measure = 4 * (self.reach + 1) / VALID_SHARE
        return math.ceil(max(to_train, to_measure))


QUICK = Effort(
    size=12,
    num_sentences=200,
    language_updates=5,
    bptt=10,
    recall_updates=6,
    distances=(2, 4),
    reach=8,
    clipping_updates=4,
    truncation_distance=4,
    truncation_updates=4,
    chunks=(2, 5),
)


def compare_language(corpus: Corpus, effort: Effort) -> tuple[list[Row], list[Row]]:
    """Trains a language model per cell, and measures gradients before and after.

    Returns:
        The rows of the losses, and those of the gradients.
    """
    texts = cut_streams(corpus.valid, len(corpus.valid) // (effort.reach + 1))
    texts = texts[:NUM_TEXTS, : effort.reach + 1]
    losses: list[Row] = []
    gradients: list[Row] = []
    for cell in CELLS:
        model = build_model(cell, corpus, effort.size)
        gradients.append({"cell": cell, "when": "start", "norms": measure_norms(model, texts)})
        training = train_language(
            model,
            corpus,
            torch.optim.Adam(model.parameters(), LEARNING_RATE),
            effort.language_updates,
            effort.bptt,
            CLIP_NORM,
        )
        gradients.append({"cell": cell, "when": "trained", "norms": measure_norms(model, texts)})
        loss = measure_loss(model, corpus)
        losses.append(
            {
                "cell": cell,
                "num_parameters": count_recurrent(model),
                "loss_nats": loss,
                "loss_bits": loss / math.log(2),
                "seconds": training.seconds,
            }
        )
    return losses, gradients


def compare_recall(effort: Effort) -> Iterator[Row]:
    """Trains a recall model per cell, and asks it at all distances."""
    for cell in CELLS:
        trainer = RecallTrainer(cell, effort.size)
        longest = trainer.train_curriculum(max(effort.distances), effort.recall_updates)
        accuracy = trainer.measure_accuracy(effort.distances)
        yield {
            "cell": cell,
            "longest_learnt": longest,
            "accuracy": dict(zip(map(str, effort.distances), accuracy, strict=True)),
        }


def compare_clipping(corpus: Corpus, effort: Effort) -> Iterator[Row]:
    """Trains vanilla cells whose gradients explode at first, with and without clipping.

    The optimizer is plain gradient descent: Adam divides by the gradient's own size and hides it.
    """
    cells: tuple[StudyCell, ...] = ("rnn-tanh", "rnn-relu")
    for cell in cells:
        for clip_norm in (math.inf, CLIP_NORM):
            model = build_model(cell, corpus, effort.size)
            scale_recurrent(model, RADIUS)
            optimizer = torch.optim.SGD(model.parameters(), 0.5)
            training = train_language(
                model, corpus, optimizer, effort.clipping_updates, effort.bptt, clip_norm
            )
            finite = [norm for norm in training.norms if math.isfinite(norm)]
            last = training.losses[-20:]
            loss = sum(last) / len(last)
            yield {
                "cell": cell,
                "clip_norm": clip_norm if math.isfinite(clip_norm) else None,
                "num_updates": len(training.losses),
                "largest_norm": max(finite, default=None),
                "first_loss": training.losses[0],
                "largest_loss": max(filter(math.isfinite, training.losses), default=None),
                "last_loss": loss if math.isfinite(loss) else None,
            }


def compare_truncation(effort: Effort) -> Iterator[Row]:
    """Trains a GRU to recall over a fixed distance, back-propagating through some steps only."""
    distance = effort.truncation_distance
    for chunk in effort.chunks:
        trainer = RecallTrainer("gru", effort.size)
        for _ in range(effort.truncation_updates):
            trainer.train_batch(distance, chunk)
        (accuracy,) = trainer.measure_accuracy([distance])
        yield {
            "chunk": chunk,
            "distance": distance,
            "reaches_symbol": chunk > distance,
            "accuracy": accuracy,
        }
