"""The gate: exported graphs must answer as the float32 torch model does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.classifier import Classifier
from models.seq2seq import Seq2Seq
from service.batch import Batch
from service.engine import Array, Session
from service.loader import softmax
from service.manifest import Parity, Precision, Role
from service.search import STATES

BATCH_SIZES = (1, 2, 7, 32)
NUM_STEPS = 4
NUM_CANDIDATES = 5

Probabilities = NDArray[np.float32]


class ParityError(Exception):
    """An exported graph does not answer as the model it came from."""


@dataclass(frozen=True)
class Tolerance:
    """What passes.

    Attributes:
        max_difference: largest difference of a probability.
        min_agreement: least share of equal top choices, 0 to 1.
        tie: probabilities that differ by less are equal choices.
    """

    max_difference: float
    min_agreement: float
    tie: float


# float32 differs by the order of sums alone. What int8 rounding costs on real text is measured on
# the test sets; on the
# random ids used here, far from any text, these bounds separate rounding from a wrong graph.
TOLERANCES: dict[Precision, Tolerance] = {
    "fp32": Tolerance(1e-4, 1.0, 1e-5),
    "w8": Tolerance(0.15, 0.97, 0.01),
    "int8": Tolerance(0.25, 0.95, 0.01),
}


class Comparison:
    """Collects rows of probabilities, ours and the reference's."""

    def __init__(self, tie: float) -> None:
        self.max_difference = 0.0
        self._tie = tie
        self._equal = 0
        self._total = 0

    def add(self, ours: Probabilities, reference: Probabilities, best: Probabilities) -> None:
        """Compares one batch.

        Args:
            ours: (R, C).
            reference: (R, C), the reference's probabilities of the same choices.
            best: (R), the reference's highest of all; our choice is right if it comes within a tie
                of it.
        """
        self.max_difference = max(self.max_difference, float(np.abs(ours - reference).max()))
        chosen = np.take_along_axis(reference, ours.argmax(axis=-1)[:, None], axis=-1)[:, 0]
        self._equal += int((chosen >= best - self._tie).sum())
        self._total += len(ours)

    @property
    def agreement(self) -> float:
        return self._equal / self._total


def check_parity(
    model: Classifier | Seq2Seq,
    sessions: Mapping[Role, Session],
    precision: Precision,
    provider: str,
    max_length: int,
    forbidden_ids: Sequence[int] = (),
) -> Parity:
    """Runs both over random ids, batch sizes 1, 2, 7, 32 and lengths mixed from 1 to `max_length`.

    Args:
        model: the torch model in float32, in eval mode.
        sessions: the graphs by role.
        precision: of the graphs; chooses the tolerance.
        provider: named in the figures.
        max_length: longest text, in tokens.
        forbidden_ids: what the decoder never gives; the first one starts each translation.

    Raises:
        ParityError: a figure is outside its tolerance.
    """
    tolerance = TOLERANCES[precision]
    comparison = Comparison(tolerance.tie)
    for batch in make_batches(model.config.vocab_size, max_length):
        if isinstance(model, Classifier):
            compare_classifier(model, sessions, batch, comparison)
        else:
            compare_translator(model, sessions, batch, forbidden_ids, comparison)
    if (
        comparison.max_difference > tolerance.max_difference
        or comparison.agreement < tolerance.min_agreement
    ):
        raise ParityError(
            f"{precision} on {provider} differs from torch by up to "
            f"{comparison.max_difference:.2e} (limit "
            f"{tolerance.max_difference:.0e}) and agrees on {comparison.agreement:.1%} of "
            f"the top choices (limit "
            f"{tolerance.min_agreement:.1%})"
        )
    return Parity(
        precision=precision,
        provider=provider,
        batch_sizes=BATCH_SIZES,
        max_difference=comparison.max_difference,
        agreement=comparison.agreement,
    )


def make_batches(vocab_size: int, max_length: int) -> Iterator[Batch]:
    """Seeded batches of each size, lengths from 1 to `max_length`, padded with random junk."""
    rng = np.random.default_rng(7)
    for size in BATCH_SIZES:
        lengths = rng.integers(1, max_length + 1, size)
        lengths[0], lengths[-1] = 1, max_length
        input_ids = rng.integers(0, vocab_size, (size, max_length))
        yield Batch(input_ids, lengths)


@torch.inference_mode()
def compare_classifier(
    model: Classifier, sessions: Mapping[Role, Session], batch: Batch, comparison: Comparison
) -> None:
    logits = model(torch.from_numpy(batch.input_ids), torch.from_numpy(batch.lengths))
    reference = logits.softmax(dim=-1).numpy()
    outputs = sessions["classifier"].run({"input_ids": batch.input_ids, "lengths": batch.lengths})
    comparison.add(softmax(outputs["logits"]), reference, reference.max(axis=-1))


@torch.inference_mode()
def compare_translator(
    model: Seq2Seq,
    sessions: Mapping[Role, Session],
    batch: Batch,
    forbidden_ids: Sequence[int],
    comparison: Comparison,
) -> None:
    """Takes some steps on the reference's choices; rows swap states, as beams do."""
    encoded = sessions["encoder"].run({"input_ids": batch.input_ids, "lengths": batch.lengths})
    states = {name: array for name, array in encoded.items() if name in STATES}
    keys, values, mask, state = model.encode(
        torch.from_numpy(batch.input_ids), torch.from_numpy(batch.lengths)
    )
    rows = np.arange(len(batch.lengths))
    parents, token_ids = rows, np.full(len(rows), forbidden_ids[0])
    for _ in range(NUM_STEPS):
        feeds: dict[str, Array] = {
            "token_ids": token_ids,
            "parents": parents,
            "sentences": parents,
            **states,
        }
        memory = {"keys": encoded["keys"], "values": encoded["values"], "lengths": batch.lengths}
        outputs = sessions["decoder"].run(
            {**feeds, **memory, "num_candidates": np.array([NUM_CANDIDATES])}
        )
        states = {name: outputs[f"next_{name}"] for name in states}
        order = torch.from_numpy(parents)
        embedded = model.embedding(torch.from_numpy(token_ids))[:, None]
        state = [tuple(part[:, order] for part in layer) for layer in state]
        readout, state, _ = model.decoder(embedded, state, keys[order], values[order], mask[order])
        logits = model.logits(readout[:, 0])
        logits[:, list(forbidden_ids)] = -torch.inf
        reference = logits.softmax(dim=-1).numpy()
        same_choices = np.take_along_axis(reference, outputs["candidates"], axis=-1)
        comparison.add(np.exp(outputs["scores"]), same_choices, reference.max(axis=-1))
        token_ids, parents = reference.argmax(axis=-1), rows[::-1].copy()
