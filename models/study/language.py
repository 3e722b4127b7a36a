"""Character-level language models of a small text: the loss per cell, with and without clipping."""

import math
import random
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.study.networks import SequenceModel, StudyCell, detach
from models.synthesis.phrases import PATTERNS, read_grammar, write_sentences

NUM_STREAMS = 32
VALID_SHARE = 0.1


@dataclass(frozen=True)
class Corpus:
    """A text as symbols.

    Attributes:
        train, valid: (N) int64, the beginning of the text and its end.
    """

    characters: str
    train: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Training:
    """How a language model came out.

    Attributes:
        losses: of each update, nats per character.
        norms: of the gradient in each update, before clipping.
        seconds: of processor time.
    """

    losses: list[float]
    norms: list[float]
    seconds: float


def write_text(num_sentences: int) -> str:
    """Short English sentences of `models.synthesis.phrases`, one per line; always the same."""
    lines = write_sentences(read_grammar(PATTERNS), num_sentences, random.Random(1))
    return "\n".join(text for _, text in lines) + "\n"


def read_corpus(text: str) -> Corpus:
    """Numbers the characters of a text."""
    characters = "".join(sorted(set(text)))
    places = {character: place for place, character in enumerate(characters)}
    ids = torch.tensor([places[character] for character in text])
    num_valid = int(len(ids) * VALID_SHARE)
    return Corpus(characters, ids[:-num_valid], ids[-num_valid:])


def cut_streams(ids: Tensor, num_streams: int) -> Tensor:
    """(N) -> (num_streams, N // num_streams): parallel texts, each read on from chunk to chunk."""
    length = len(ids) // num_streams
    return ids[: num_streams * length].view(num_streams, length)


def train_language(
    model: SequenceModel,
    corpus: Corpus,
    optimizer: torch.optim.Optimizer,
    num_updates: int,
    bptt: int,
    clip_norm: float = math.inf,
) -> Training:
    """Trains by truncated back-propagation: chunks of `bptt` characters, the state carried on.

    Ends early when the loss is not finite.
    """
    streams = cut_streams(corpus.train, NUM_STREAMS)
    num_chunks = (streams.shape[1] - 1) // bptt
    losses, norms, state = [], [], None
    started = time.process_time()
    for update in range(num_updates):
        start = update % num_chunks * bptt
        if start == 0:
            state = None
        logits, state = model(streams[:, start : start + bptt], state)
        state = detach(state)
        targets = streams[:, start + 1 : start + 1 + bptt]
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach()))
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), clip_norm)))
        if not math.isfinite(losses[-1]) or not math.isfinite(norms[-1]):
            break
        optimizer.step()
    return Training(losses, norms, time.process_time() - started)


@torch.inference_mode()
def measure_loss(model: SequenceModel, corpus: Corpus) -> float:
    """Loss of the validation text in nats per character."""
    streams = cut_streams(corpus.valid, 4)
    logits, _ = model(streams[:, :-1])
    return float(cross_entropy(logits.flatten(0, 1), streams[:, 1:].flatten()))


def build_model(cell: StudyCell, corpus: Corpus, size: int, seed: int = 1) -> SequenceModel:
    torch.manual_seed(seed)
    return SequenceModel(cell, len(corpus.characters), size)


def scale_recurrent(model: SequenceModel, radius: float) -> None:
    """Makes the recurrent weights of a vanilla layer orthogonal, times `radius`."""
    with torch.no_grad():
        weights = dict(model.layer.named_parameters())["weight_hh_l0"]
        nn.init.orthogonal_(weights)
        weights.mul_(radius)
