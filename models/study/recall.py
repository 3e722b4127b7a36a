"""Recall: a symbol is shown, then others that do not matter; in the end it is asked for.

It is of the kind of experiment 2 in Hochreiter and Schmidhuber (1997), with a curriculum of growing
distances that every cell needs to learn anything about long ones.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.study.networks import SequenceModel, StudyCell, detach

NUM_SYMBOLS = 8  # to recall; chance is 1 in 8
NUM_FILLERS = 8
QUESTION = NUM_SYMBOLS + NUM_FILLERS
BATCH_SIZE = 32
LEARNT, GROWTH = 0.95, 1.25  # accuracy of a batch from which the distance grows, and by what


def draw_batch(distance: int, num_rows: int = BATCH_SIZE) -> tuple[Tensor, Tensor]:
    """Sequences in which the question comes `distance` steps after the symbol.

    Returns:
        ids (N, distance + 1) int64, and the symbols to recall (N) int64.
    """
    symbols = torch.randint(NUM_SYMBOLS, (num_rows, 1))
    fillers = torch.randint(NUM_SYMBOLS, QUESTION, (num_rows, distance - 1))
    question = torch.full((num_rows, 1), QUESTION)
    return torch.cat([symbols, fillers, question], dim=1), symbols[:, 0]


class RecallTrainer:
    """Trains a model to recall, the gradient being clipped to norm 1."""

    def __init__(self, cell: StudyCell, size: int, seed: int = 1, learning_rate: float = 5e-3):
        torch.manual_seed(seed)
        self.model = SequenceModel(cell, QUESTION + 1, size)
        self.optimizer = torch.optim.Adam(self.model.parameters(), learning_rate)

    def train_batch(self, distance: int, chunk: int | None = None) -> float:
        """Takes a step, and returns the share of the batch that was recalled before it.

        With `chunk`, the gradient goes back through that many steps at most, as in truncated
        back-propagation through time (Williams and Peng 1990).
        """
        ids, symbols = draw_batch(distance)
        state = None
        cut = max(0, ids.shape[1] - chunk) if chunk else 0
        if cut:
            with torch.no_grad():
                _, state = self.model(ids[:, :cut])
            state = detach(state)
        logits = self.model(ids[:, cut:], state)[0][:, -1, :NUM_SYMBOLS]
        self.optimizer.zero_grad()
        cross_entropy(logits, symbols).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return share_right(logits, symbols)

    def train_curriculum(self, max_distance: int, num_updates: int, seed: int = 1) -> int:
        """Lets the distance grow whenever it is learnt; returns the longest one learnt.

        Every other batch has a random distance up to the present one, so that shorter ones are not
        forgotten.
        """
        rng = random.Random(seed)
        distance, learnt = 2, 0
        for update in range(num_updates):
            if update % 2:
                self.train_batch(rng.randint(1, distance))
            elif self.train_batch(distance) >= LEARNT:
                learnt = max(learnt, distance)
                distance = min(max_distance, int(distance * GROWTH) + 1)
        return learnt

    @torch.inference_mode()
    def measure_accuracy(self, distances: Sequence[int], num_rows: int = 512) -> list[float]:
        """The share recalled at each distance."""
        shares = []
        for distance in distances:
            ids, symbols = draw_batch(distance, num_rows)
            shares.append(share_right(self.model(ids)[0][:, -1, :NUM_SYMBOLS], symbols))
        return shares


def share_right(logits: Tensor, symbols: Tensor) -> float:
    return float((logits.argmax(dim=-1) == symbols).float().mean())
