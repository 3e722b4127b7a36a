"""The graph that scores whole translations, compared with the torch model."""

import numpy as np
import torch

from export.parity.comparison import NUM_STEPS, Comparison, pick
from models.networks.seq2seq import Seq2Seq
from service.engine.batch import Batch
from service.engine.runtime.session import Session

NEVER_ID = -1


@torch.inference_mode()
def compare_scorer(
    model: Seq2Seq, session: Session, batch: Batch, start_id: int, comparison: Comparison
) -> None:
    """Compares the probabilities of the model's own translations, which no token ends.

    Those of random tokens are so small that an error would hide in the tolerance.
    """
    input_ids, lengths = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.lengths)
    likely = model.translate(input_ids, lengths, start_id, NEVER_ID, NUM_STEPS)
    target_ids = np.array([[start_id, *row] for row in likely])
    scores = session.run({**batch.feeds, "target_ids": target_ids})["scores"]
    logits = model(input_ids, lengths, torch.from_numpy(target_ids[:, :-1]))
    reference = logits.softmax(dim=-1).flatten(0, 1).numpy()
    ours = np.exp(scores).ravel()
    comparison.add(ours, pick(reference, target_ids[:, 1:].ravel()))
