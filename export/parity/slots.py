"""Decoding in slots compared with the torch model, and in beams with the search over pages."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from export.parity.check import ParityError
from export.parity.comparison import Comparison, pick
from models.networks.seq2seq import Seq2Seq
from service.engine.batch import Batch, SearchOptions, TokenSequence
from service.engine.runner import run_sequences
from service.engine.slots.buckets import STEPS, choose_bucket, list_buckets
from service.engine.slots.session import SlotSession
from service.engine.slots.translator import SlotTranslatorRunner
from service.repository.manifest import SLOT_STEPS

MAX_ROWS = 64
BUCKETS = list_buckets(MAX_ROWS)
BEAM_SIZES = [size for size in SLOT_STEPS if size > 1]
BEAM_TOKENS = 8
# Nats per token; float16 computes them within 0.003.
BEAM_TIE, MIN_EQUAL_BEAMS = 0.02, 0.9


@torch.inference_mode()
def compare_slots(
    model: Seq2Seq,
    slots: SlotSession,
    batch: Batch,
    start_id: int,
    eos_id: int,
    forbidden_ids: Sequence[int],
    comparison: Comparison,
) -> None:
    """Compares each choice of one call, of one step and of several, until the slot has ended.

    Args:
        model: the reference; it is given the tokens that the slots chose.
        slots: over `BUCKETS`.
        batch: at most `MAX_ROWS` texts.
        start_id: starts all translations.
        eos_id: ends them.
        forbidden_ids: that are never chosen.
        comparison: collects the figures.
    """
    count = len(batch.lengths)
    sequences = [
        TokenSequence(row[:length].tolist(), 0.0, 0.0, start_id=start_id)
        for row, length in zip(batch.input_ids, batch.lengths, strict=True)
    ]
    bucket = choose_bucket(BUCKETS, count, batch.input_ids.shape[1])
    for num_steps in STEPS:
        sources = np.zeros(bucket.rows, np.int64)
        sources[:count] = slots.bucket.rows + np.arange(count)
        slots.join(bucket, sequences, sources)
        outputs = slots.step(num_steps)
        tokens, scores = (outputs[name][:count] for name in ("tokens", "scores"))
        keys, values, mask, state = model.encode(
            torch.from_numpy(batch.input_ids), torch.from_numpy(batch.lengths)
        )
        fed, is_live = np.full(count, start_id), np.ones(count, np.bool_)
        for step in range(num_steps):
            embedded = model.embedding(torch.from_numpy(fed))[:, None]
            readout, state, _ = model.decoder(embedded, state, keys, values, mask)
            logits = model.logits(readout[:, 0])
            logits[:, list(forbidden_ids)] = -torch.inf
            reference = logits.softmax(dim=-1).numpy()
            fed = tokens[:, step]
            chosen = pick(reference, fed)[is_live]
            if chosen.size:
                comparison.add(np.exp(scores[is_live, step]), chosen)
                comparison.add_choices(chosen, reference.max(axis=-1)[is_live])
            is_live &= fed != eos_id


def compare_beams(runner: SlotTranslatorRunner, batch: Batch, start_id: int) -> list[float]:
    """Compares the best hypotheses of all beam sizes.

    The search over pages, whose steps have been compared with torch, is the reference.

    Returns:
        How much the mean log-probabilities of their tokens differ.
    """
    differences: list[float] = []
    for beam_size in BEAM_SIZES:
        options = SearchOptions(beam_size, BEAM_TOKENS)
        found, expected = (
            run_sequences(
                each,
                [
                    TokenSequence(row[:length].tolist(), 0.0, math.inf, options, start_id)
                    for row, length in zip(batch.input_ids, batch.lengths, strict=True)
                ],
            )
            for each in (runner, runner.paged)
        )
        for one, other in zip(found, expected, strict=True):
            assert isinstance(one, list)
            assert isinstance(other, list)
            differences.append(abs(one[0].score - other[0].score))
    return differences


def judge_beams(differences: Sequence[float], claim: str) -> None:
    """Refuses beams that find other translations; float16 turns near ties.

    Raises:
        ParityError: too many differ.
    """
    share = sum(difference <= BEAM_TIE for difference in differences) / len(differences)
    if share < MIN_EQUAL_BEAMS:
        raise ParityError(
            f"{claim}: {share:.1%} of the best hypotheses are as likely (at least "
            f"{MIN_EQUAL_BEAMS:.0%} must be)"
        )
