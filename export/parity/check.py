"""Parity check: exported graphs must agree with the float32 torch model.

Quantized graphs are compared twice: with the model as trained, which measures the cost of rounding,
and with the same model on rounded weights, which has a tight tolerance for errors of the graph.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from export.graphs.quantize import quantize_columns
from export.parity.comparison import NUM_STEPS, SEED, Comparison, Probabilities, pick
from export.parity.generators import compare_generator
from export.parity.scorers import compare_scorer
from export.parity.taggers import compare_tagger
from models.networks.classifier import Classifier
from models.networks.language_model import LanguageModel
from models.networks.seq2seq import Seq2Seq
from models.training.tasks.task import Network
from service.arrays import Array, IntArray
from service.engine.batch import Batch
from service.engine.runtime.session import Session
from service.engine.search.decoder_session import STATES
from service.engine.search.paged_memory import PagedMemory
from service.repository.manifest import Parity, Precision, Role
from service.repository.model import softmax

BATCH_SIZES = (1, 2, 7, 32)
NUM_CANDIDATES = 5


class ParityError(Exception):
    """An exported graph does not agree with its model."""


@dataclass(frozen=True)
class Tolerance:
    """Tolerance of the comparison.

    Attributes:
        max_difference: largest difference of a probability.
        min_agreement: minimum share of equal top choices, 0 to 1.
        tie: probabilities that differ by less count as equal choices.
    """

    max_difference: float
    min_agreement: float
    tie: float


# Only the order of sums may differ; measured on trained and random weights: 3e-6 at most.
EXACT = Tolerance(max_difference=2e-5, min_agreement=1.0, tie=1e-5)
# CUDA multiplies in TF32, with 10 bits of mantissa.
CUDA = Tolerance(max_difference=2e-2, min_agreement=0.99, tie=5e-3)
# float16 has 10 bits of mantissa, too; measured: 2e-3 with random weights.
HALF = Tolerance(max_difference=2e-2, min_agreement=0.99, tie=5e-3)
# The cost of rounding on real text is measured on the test sets. The ids here are random, unlike
# any text; measured on trained weights: 0.04 (w8) and 0.06 (int8).
ROUNDED: dict[Precision, Tolerance] = {
    "fp16": HALF,
    "w8": Tolerance(max_difference=0.15, min_agreement=0.97, tie=0.01),
    "int8": Tolerance(max_difference=0.25, min_agreement=0.95, tie=0.01),
}
# int8 against rounded weights: only activations are rounded; measured: 0.04 at most.
ACTIVATIONS = Tolerance(max_difference=0.15, min_agreement=0.97, tie=0.01)


def check_parity(
    model: Network,
    sessions: Mapping[Role, Session],
    precision: Precision,
    provider: str,
    max_length: int,
    forbidden_ids: Sequence[int] = (),
) -> Parity:
    """Compares both on random ids, batch sizes 1, 2, 7, 32, mixed lengths from 1 to `max_length`.

    Args:
        model: the torch model in float32, in eval mode.
        sessions: the graphs by role.
        precision: of the graphs; determines the tolerance.
        provider: `cpu` or `cuda`; named in the figures, and determines the tolerance.
        max_length: longest text, in tokens.
        forbidden_ids: ids that the decoder never returns; the first one starts each translation.

    Raises:
        ParityError: a figure is outside its tolerance.
    """

    def compare(reference: Network, tolerance: Tolerance, name: str) -> Comparison:
        comparison = Comparison(tolerance.tie)
        for batch in make_batches(model.config.vocab_size, max_length):
            if isinstance(reference, Classifier):
                compare_classifier(reference, sessions, batch, comparison)
            elif isinstance(reference, LanguageModel):
                compare_generator(reference, sessions, batch, forbidden_ids, comparison)
            elif isinstance(reference, Seq2Seq):
                compare_translator(reference, sessions, batch, forbidden_ids, comparison)
                if "scorer" in sessions:
                    compare_scorer(
                        reference, sessions["scorer"], batch, forbidden_ids[0], comparison
                    )
            else:
                compare_tagger(reference, sessions, batch, comparison)
        check_figures(comparison, tolerance, f"{precision} on {provider} differs from {name}")
        return comparison

    exact = EXACT if provider == "cpu" else CUDA
    figures = compare(model, ROUNDED.get(precision, exact), "torch")
    if precision != "fp32":
        tolerance = {"fp16": HALF, "w8": exact, "int8": ACTIVATIONS}[precision]
        compare(round_weights(model, precision), tolerance, "torch on rounded weights")
    return Parity(
        precision=precision,
        provider=provider,
        batch_sizes=BATCH_SIZES,
        max_difference=figures.max_difference,
        agreement=figures.agreement,
    )


def check_figures(comparison: Comparison, tolerance: Tolerance, claim: str) -> None:
    if (
        comparison.max_difference > tolerance.max_difference
        or comparison.agreement < tolerance.min_agreement
    ):
        raise ParityError(
            f"{claim} by up to {comparison.max_difference:.1e} (limit "
            f"{tolerance.max_difference:.0e}) and agrees on {comparison.agreement:.1%} of the top "
            f"choices (limit {tolerance.min_agreement:.1%})"
        )


@torch.inference_mode()
def round_weights(model: Network, precision: Precision) -> Network:
    """Copies the model with the weights that the graphs of a precision have.

    fp16 rounds everything; the others have dequantized int8 matrices, and biases as they are.
    """
    rounded = copy.deepcopy(model)
    for weights in rounded.parameters():
        if precision == "fp16":
            weights.copy_(weights.half().float())
        elif weights.ndim == 2:
            levels, scales = quantize_columns(weights.numpy().T)
            weights.copy_(torch.from_numpy((levels * scales).T))
    return rounded


def make_batches(vocab_size: int, max_length: int) -> Iterator[Batch]:
    """Yields seeded batches of each size, lengths 1 to `max_length`, padded with random ids."""
    rng = np.random.default_rng(SEED)
    for size in BATCH_SIZES:
        lengths = rng.integers(1, max_length + 1, size)
        lengths[-1], lengths[0] = max_length, 1  # the single row has one token
        yield Batch(rng.integers(0, vocab_size, (size, int(lengths.max()))), lengths)


@torch.inference_mode()
def compare_classifier(
    model: Classifier, sessions: Mapping[Role, Session], batch: Batch, comparison: Comparison
) -> None:
    logits = model(torch.from_numpy(batch.input_ids), torch.from_numpy(batch.lengths))
    reference = logits.softmax(dim=-1).numpy()
    outputs = sessions["classifier"].run(batch.feeds)
    ours = softmax(outputs["logits"])
    comparison.add(ours, reference)
    comparison.add_choices(pick(reference, ours.argmax(axis=-1)), reference.max(axis=-1))


@torch.inference_mode()
def compare_translator(
    model: Seq2Seq,
    sessions: Mapping[Role, Session],
    batch: Batch,
    forbidden_ids: Sequence[int],
    comparison: Comparison,
) -> None:
    """Runs several steps on the reference's choices.

    After the first step there is one row more than sentences, and each row reads a random state and
    a random sentence: stricter than beams, which keep them together.
    """
    rng = np.random.default_rng(SEED)
    encoded = sessions["encoder"].run(batch.feeds)
    paged = PagedMemory()
    handles = np.array(paged.add(encoded["keys"], encoded["values"], batch.lengths))
    states = {name: array for name, array in encoded.items() if name in STATES}
    keys, values, mask, state = model.encode(
        torch.from_numpy(batch.input_ids), torch.from_numpy(batch.lengths)
    )
    num_sentences = len(batch.lengths)
    parents = sentences = np.arange(num_sentences)
    token_ids = np.full(num_sentences, forbidden_ids[0])
    for _ in range(NUM_STEPS):
        feeds: dict[str, Array] = {
            "token_ids": token_ids,
            "parents": parents,
            "rows": assign_rows(paged, handles[sentences]),
            **states,
            "keys": paged.keys,
            "values": paged.values,
        }
        outputs = run_decoder(sessions, feeds)
        states = {name: outputs[f"next_{name}"] for name in states}
        embedded = model.embedding(torch.from_numpy(token_ids))[:, None]
        state = [tuple(part[:, torch.from_numpy(parents)] for part in layer) for layer in state]
        memory = [part[torch.from_numpy(sentences)] for part in (keys, values, mask)]
        readout, state, attention = model.decoder(embedded, state, *memory)
        logits = model.logits(readout[:, 0])
        logits[:, list(forbidden_ids)] = -torch.inf
        reference = logits.softmax(dim=-1)
        compare_step(outputs, reference.numpy(), comparison)
        if "attention" in outputs:
            weights = attention[:, 0].numpy()
            ours = join_pages(paged, handles[sentences], feeds["rows"], outputs["attention"])
            for row, length in enumerate(batch.lengths[sentences]):
                comparison.add(ours[row][:length], weights[row, :length])
        parents = rng.integers(0, len(parents), num_sentences + 1)
        sentences = rng.integers(0, num_sentences, num_sentences + 1)
        token_ids = reference.argmax(dim=-1).numpy()[parents]


def run_decoder(sessions: Mapping[Role, Session], feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Runs a decoder, or a writer, out of whose logits the best tokens are then searched."""
    if "decoder" in sessions:
        return sessions["decoder"].run({**feeds, "num_candidates": np.array([NUM_CANDIDATES])})
    outputs = sessions["writer"].run(feeds)
    probabilities = softmax(outputs["logits"])
    candidates = np.argsort(-probabilities, axis=-1, kind="stable")[:, :NUM_CANDIDATES]
    scores = np.log(np.take_along_axis(probabilities, candidates, axis=-1))
    return {**outputs, "candidates": candidates, "scores": scores}


def assign_rows(paged: PagedMemory, handles: IntArray) -> IntArray:
    """Builds the decoder's input `rows` (G, B) from the sentence that each row reads: (R)."""
    readers = [np.flatnonzero(handles == owner) for owner in paged.owners]
    rows = np.full((len(readers), max(map(len, readers))), len(handles))
    for page, reading in enumerate(readers):
        rows[page, : len(reading)] = reading
    return rows


def join_pages(
    paged: PagedMemory, handles: IntArray, rows: IntArray, attention: Probabilities
) -> list[Probabilities]:
    """Collects the decoder's output `attention` (G, B, W) per row."""
    joined = []
    for row, handle in enumerate(handles.tolist()):
        pages = [attention[page][rows[page] == row] for page in paged.find_pages(handle)]
        joined.append(np.concatenate(pages, axis=1)[0])
    return joined


def compare_step(
    outputs: Mapping[str, Array], reference: Probabilities, comparison: Comparison
) -> None:
    """Compares one decoder step with the reference's next tokens (R, V)."""
    candidates = outputs["candidates"]
    comparison.add(np.exp(outputs["scores"]), np.take_along_axis(reference, candidates, axis=-1))
    best = -np.sort(-reference, axis=-1)[:, :NUM_CANDIDATES]
    comparison.add(np.exp(outputs["scores"]), best)
    comparison.add_choices(pick(reference, candidates[:, 0]), best[:, 0])
