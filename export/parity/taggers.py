"""The graphs of a tagger compared with the torch model."""

from collections.abc import Mapping

import numpy as np
import torch

from export.parity.comparison import SEED, Comparison, Probabilities, pick
from models.networks.tagger import PAD_ID, StreamTagger, Tagger
from service.engine.batch import Batch
from service.engine.runtime.session import Session
from service.engine.search.decoder_session import STATES
from service.repository.manifest import Role
from service.repository.model import softmax


@torch.inference_mode()
def compare_tagger(
    model: Tagger | StreamTagger,
    sessions: Mapping[Role, Session],
    batch: Batch,
    comparison: Comparison,
) -> None:
    """Compares the labels of all tokens; of text as it comes in, step by step, too."""
    logits = model(torch.from_numpy(batch.input_ids), torch.from_numpy(batch.lengths))
    reference = logits.softmax(dim=-1).numpy()
    found = sessions["tagger"].run(batch.feeds)
    runs = [found["logits"]]
    if isinstance(model, StreamTagger):
        runs.append(step_through(model, sessions["stream_tagger"], batch))
    is_token = np.arange(batch.input_ids.shape[1]) < batch.lengths[:, None]
    for run in runs:
        ours, theirs = softmax(run)[is_token], reference[is_token]
        comparison.add(ours, theirs)
        comparison.add_choices(pick(theirs, ours.argmax(axis=-1)), theirs.max(axis=-1))


def step_through(model: StreamTagger, session: Session, batch: Batch) -> Probabilities:
    """The logits (B, T, C) of texts that are read a token at a time, in another order each time."""
    rng = np.random.default_rng(SEED)
    num_rows, num_tokens = batch.input_ids.shape
    steps = np.full((num_rows, num_tokens + model.lookahead), PAD_ID)
    is_token = np.arange(num_tokens) < batch.lengths[:, None]
    steps[:, :num_tokens] = np.where(is_token, batch.input_ids, PAD_ID)
    shape = (len(model.layers), num_rows, model.config.encoder_size)
    states = {name: np.zeros(shape, np.float32) for name in STATES}
    order, found = np.arange(num_rows), []
    for token_ids in steps.T:
        parents = rng.permutation(num_rows)
        order = order[parents]
        outputs = session.run({"token_ids": token_ids[order], "parents": parents, **states})
        states = {name: outputs[f"next_{name}"] for name in STATES if f"next_{name}" in outputs}
        found.append(outputs["logits"][np.argsort(order)])
    return np.stack(found[model.lookahead :], axis=1)
