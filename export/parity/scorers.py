"""The graph that scores whole translations, compared with the torch model."""

import numpy as np
import torch

from export.parity.comparison import SEED, Comparison, pick
from models.networks.seq2seq import Seq2Seq
from service.engine.batch import Batch
from service.engine.runtime.session import Session

NUM_TARGETS = 6


@torch.inference_mode()
def compare_scorer(model: Seq2Seq, session: Session, batch: Batch, comparison: Comparison) -> None:
    """Compares the probabilities of random translations, token by token."""
    rng = np.random.default_rng(SEED)
    shape = (len(batch.lengths), NUM_TARGETS + 1)
    target_ids = rng.integers(0, model.config.vocab_size, shape)
    scores = session.run({**batch.feeds, "target_ids": target_ids})["scores"]
    inputs = (batch.input_ids, batch.lengths, target_ids[:, :-1])
    reference = model(*map(torch.from_numpy, inputs)).softmax(dim=-1).numpy()
    rows = reference.reshape(-1, reference.shape[-1])
    comparison.add(np.exp(scores).ravel(), pick(rows, target_ids[:, 1:].ravel()))
