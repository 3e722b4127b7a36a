"""English sentences of a wanted number of tokens, for translation: one sentence each."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from service.repository.model import LoadedModel

SEED = 13
# Share of each kind, and the token counts (source, eos included) of the kind.
KINDS: dict[str, tuple[float, tuple[int, int]]] = {
    "short": (0.3, (5, 9)),
    "medium": (0.5, (12, 30)),
    "long": (0.2, (60, 75)),
}
SUBJECTS = (
    "a man in a blue shirt",
    "a young girl",
    "an old woman with a red hat",
    "a boy",
    "a brown dog",
    "a group of people",
    "a child in a yellow jacket",
    "a cyclist",
)
ACTIONS = (
    "is sitting on a bench",
    "is playing with a ball",
    "is walking down the street",
    "is reading a book",
    "is waiting for the bus",
    "is riding a bicycle",
    "is standing in front of a shop",
    "is jumping over a fence",
)
PLACES = ("near the river", "in the park", "beside a white house", "at the market", "on the beach")


def draw_counts(num_texts: int, seed: int = SEED) -> list[int]:
    """Token counts of the mixed load, by the shares in KINDS."""
    rng = np.random.default_rng(seed)
    shares = [share for share, _ in KINDS.values()]
    drawn = rng.choice(list(KINDS), num_texts, p=shares)
    return [draw_count(rng, kind) for kind in drawn]


def draw_count(rng: Generator, kind: str) -> int:
    low, high = KINDS[kind][1]
    return int(rng.integers(low, high, endpoint=True))


def make_kind(model: LoadedModel, kind: str, num_texts: int, seed: int = SEED) -> list[str]:
    """Sentences of one kind."""
    rng = np.random.default_rng(seed)
    return make_sentences(model, [draw_count(rng, kind) for _ in range(num_texts)], seed)


def make_sentences(model: LoadedModel, counts: Sequence[int], seed: int = SEED) -> list[str]:
    """Makes a sentence for each count: the shortest beginning that has that many tokens."""
    rng = np.random.default_rng(seed)
    return [make_sentence(model, rng, count) for count in counts]


def make_sentence(model: LoadedModel, rng: Generator, num_tokens: int) -> str:
    # No full stop inside: the service would cut it into several sentences.
    text, words = "", list[str]()
    while len(model.encode([text])[0]) < num_tokens:
        words = words or draw_clause(rng, is_first=not text)
        text = f"{text} {words.pop(0)}".lstrip()
    return text[0].upper() + text[1:]


def draw_clause(rng: Generator, *, is_first: bool) -> list[str]:
    clause = " ".join(str(rng.choice(parts)) for parts in (SUBJECTS, ACTIONS, PLACES))
    return (clause if is_first else f"while {clause}").split()
