"""Decoding in slots compared with the torch model, by the engine's own session."""

from collections.abc import Sequence

import numpy as np
import torch

from export.comparison import Comparison, pick
from models.networks.seq2seq import Seq2Seq
from service.engine.batch import Batch, TokenSequence
from service.engine.slots.buckets import STEPS, choose_bucket, list_buckets
from service.engine.slots.session import SlotSession

MAX_ROWS = 64
BUCKETS = list_buckets(MAX_ROWS)


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
