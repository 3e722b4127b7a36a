"""The graphs of a language model compared with the torch model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch

from export.parity.comparison import NUM_STEPS, SEED, Comparison, pick
from models.networks.encoder import State
from models.networks.language_model import LanguageModel
from service.arrays import Array
from service.engine.batch import Batch
from service.engine.runtime.session import Session
from service.engine.search.decoder_session import STATES
from service.repository.manifest import Role
from service.repository.model import softmax


@torch.inference_mode()
def compare_generator(
    model: LanguageModel,
    sessions: Mapping[Role, Session],
    batch: Batch,
    forbidden_ids: Sequence[int],
    comparison: Comparison,
) -> None:
    """Reads prompts from random states, and runs several steps on the reference's choices.

    After the first step there is one row more than prompts, and each row goes on from the state of
    a random one.
    """
    rng = np.random.default_rng(SEED)
    num_texts = len(batch.lengths)
    states, state = start_states(model, sessions, num_texts, rng)
    feeds = batch.feeds
    states = next_states(sessions["prefill"].run({**feeds, **states}), states)
    state = [
        tuple(torch.cat(parts, dim=1) for parts in zip(*layers, strict=True))
        for layers in zip(*read_prompts(model, batch, state), strict=True)
    ]
    parents, token_ids = np.arange(num_texts), rng.integers(0, model.config.vocab_size, num_texts)
    for _ in range(NUM_STEPS):
        step = {"token_ids": token_ids, "parents": parents}
        outputs = sessions["generator"].run({**step, **states})
        states = next_states(outputs, states)
        state = [tuple(part[:, torch.from_numpy(parents)] for part in layer) for layer in state]
        logits, state = model(torch.from_numpy(token_ids)[:, None], state)
        logits = logits[:, 0]
        logits[:, list(forbidden_ids)] = -torch.inf
        reference = logits.softmax(dim=-1).numpy()
        comparison.add(softmax(outputs["logits"]), reference)
        chosen = pick(reference, outputs["logits"].argmax(axis=-1))
        comparison.add_choices(chosen, reference.max(axis=-1))
        parents = rng.integers(0, len(parents), num_texts + 1)
        token_ids = reference.argmax(axis=-1)[parents]


def start_states(
    model: LanguageModel,
    sessions: Mapping[Role, Session],
    num_texts: int,
    rng: np.random.Generator,
) -> tuple[dict[str, Array], State]:
    """The graphs' and torch's states before the prompts.

    Both are made from random features if the model takes a condition, else they are random.
    """
    if model.num_features:
        features = rng.uniform(-1.0, 1.0, (num_texts, model.num_features)).astype(np.float32)
        states = sessions["conditioner"].run({"features": features})
        return states, model.first_state(num_texts, torch.from_numpy(features))
    num_layers = model.config.num_layers
    names = STATES[: model.num_parts // num_layers]
    shape = (num_layers, num_texts, model.config.hidden_size)
    states = {name: rng.uniform(-1.0, 1.0, shape).astype(np.float32) for name in names}
    state = [
        tuple(torch.from_numpy(array[index : index + 1]) for array in states.values())
        for index in range(num_layers)
    ]
    return states, state


def next_states(outputs: Mapping[str, Array], names: Iterable[str]) -> dict[str, Array]:
    return {name: outputs[f"next_{name}"] for name in names}


def read_prompts(model: LanguageModel, batch: Batch, state: State) -> Iterator[State]:
    """Yields the states after each prompt, read alone and without padding."""
    for row, length in enumerate(batch.lengths.tolist()):
        before = [tuple(part[:, row : row + 1] for part in layer) for layer in state]
        yield model(torch.from_numpy(batch.input_ids[row : row + 1, :length]), before)[1]
