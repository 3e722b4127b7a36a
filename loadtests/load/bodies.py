"""Requests of each kind of user: the path and the JSON body, of the length that such users send.

The numbers of sentences are log-normal, as those of real texts are: most short, a few long.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from loadtests.load.options import parse_number, split_pairs
from loadtests.load.texts import LENGTH_WEIGHTS, REVIEWS, SENTENCES

CLASSIFY, TRANSLATE, GENERATE = "/classify", "/translate", "/generate"
TAG, TAG_STREAM = "/tag", "/tag/stream"
DEFAULT_MIX = "chat=40,review=35,page=5,batch=5,document=3,stream=12"
PAGE_REVIEWS = 16

Pair = tuple[str, str]


@dataclass(frozen=True)
class Draft:
    """A request that could be sent.

    Attributes:
        answer_key: member of the answer that must not be empty; None if the answer is a list.
        gaps: seconds before each frame of a WebSocket, whose frames are in the body; none of a
            request that is posted.
    """

    path: str
    body: dict[str, Any]
    answer_key: str | None = None
    gaps: tuple[float, ...] = ()


@dataclass(frozen=True)
class Lengths:
    """How many parts a text has: a log-normal distribution within bounds."""

    median: float
    spread: float
    most: int
    least: int = 1

    def draw(self, rng: Random) -> int:
        drawn = round(rng.lognormvariate(math.log(self.median), self.spread))
        return min(self.most, max(self.least, drawn))


CHAT = Lengths(1.0, 0.4, 3)
REVIEW = Lengths(1.6, 0.7, 10)
BATCH = Lengths(8, 0.5, 32, least=2)
DOCUMENT = Lengths(12, 0.5, 40, least=4)
STREAM = Lengths(3, 0.6, 10)
# In tokens; a prompt is cut to what every model reads.
GENERATION = Lengths(60, 0.6, 200, least=8)
PROMPT_TOKENS = 32
TAGGED = Lengths(2, 0.6, 10)
CHARS_PER_SECOND = 5.0  # of a person who types


def draft_chat(rng: Random, pairs: Sequence[Pair]) -> Draft:
    """A message to translate: a few words, or a sentence or two."""
    return draft_text(rng, pairs, CHAT)


def draft_document(rng: Random, pairs: Sequence[Pair]) -> Draft:
    """A page to translate, in paragraphs."""
    return draft_text(rng, pairs, DOCUMENT)


def draft_stream(rng: Random, pairs: Sequence[Pair]) -> Draft:
    """Drafts a paragraph to translate for a reader who reads along."""
    draft = draft_text(rng, pairs, STREAM)
    return Draft(draft.path, draft.body | {"stream": True}, draft.answer_key)


def draft_text(rng: Random, pairs: Sequence[Pair], lengths: Lengths) -> Draft:
    source, target = rng.choice(pairs)
    text = join_sentences(rng, SENTENCES[source], lengths.draw(rng))
    return draft_translation(source, target, text)


def draft_batch(rng: Random, pairs: Sequence[Pair]) -> Draft:
    """Drafts an array of messages, translated in one request."""
    source, target = rng.choice(pairs)
    texts = [choose_text(rng, SENTENCES[source]) for _ in range(BATCH.draw(rng))]
    return draft_translation(source, target, texts)


def draft_translation(source: str, target: str, q: str | list[str]) -> Draft:
    return Draft(TRANSLATE, {"q": q, "source": source, "target": target}, "translatedText")


def draft_review(rng: Random, pairs: Sequence[Pair]) -> Draft:  # noqa: ARG001 - as the others
    """A review to classify."""
    return Draft(CLASSIFY, {"inputs": make_review(rng)})


def draft_page(rng: Random, pairs: Sequence[Pair]) -> Draft:  # noqa: ARG001 - as the others
    """A page of reviews, classified in one request."""
    return Draft(CLASSIFY, {"inputs": [make_review(rng) for _ in range(PAGE_REVIEWS)]})


def draft_generation(rng: Random, pairs: Sequence[Pair]) -> Draft:  # noqa: ARG001 - as the others
    """Drafts a text to go on from, by drawing."""
    parameters = {
        "max_new_tokens": GENERATION.draw(rng),
        "temperature": 0.8,
        "seed": rng.getrandbits(32),
        "truncate": PROMPT_TOKENS,
        # a text that ends at once is one, too
        "return_full_text": True,
    }
    inputs = choose_text(rng, REVIEWS["en"])
    return Draft(GENERATE, {"inputs": inputs, "parameters": parameters}, "generated_text")


def draft_tagging(rng: Random, pairs: Sequence[Pair]) -> Draft:  # noqa: ARG001 - as the others
    """Drafts a Korean text without its spaces, to label."""
    # every token is asked for: there are texts with nothing to label
    return Draft(TAG, {"inputs": make_unspaced(rng), "parameters": {"ignore_labels": []}})


def draft_typing(rng: Random, pairs: Sequence[Pair]) -> Draft:  # noqa: ARG001 - as the others
    """Drafts such a text as a person types it: a character at a time, and an empty frame."""
    frames = [*choose_text(rng, REVIEWS["ko"]).replace(" ", ""), ""]
    gaps = tuple(rng.expovariate(CHARS_PER_SECOND) for _ in frames)
    return Draft(TAG_STREAM, {"frames": frames}, gaps=gaps)


def make_unspaced(rng: Random) -> str:
    text = join_sentences(rng, REVIEWS["ko"], TAGGED.draw(rng))
    return text.replace(" ", "")


def make_review(rng: Random) -> str:
    return join_sentences(rng, REVIEWS[rng.choice(list(REVIEWS))], REVIEW.draw(rng))


def join_sentences(rng: Random, texts: Sequence[Sequence[str]], number: int) -> str:
    """Joins `number` texts, mostly on one line."""
    parts = [choose_text(rng, texts) for _ in range(number)]
    return "".join(
        part if index == 0 else f"{rng.choices((' ', chr(10)), (5, 1))[0]}{part}"
        for index, part in enumerate(parts)
    )


def choose_text(rng: Random, texts: Sequence[Sequence[str]]) -> str:
    """One text, its length class drawn by LENGTH_WEIGHTS."""
    return rng.choice(rng.choices(texts, LENGTH_WEIGHTS)[0])


KINDS: dict[str, Callable[[Random, Sequence[Pair]], Draft]] = {
    "chat": draft_chat,
    "review": draft_review,
    "page": draft_page,
    "batch": draft_batch,
    "document": draft_document,
    "stream": draft_stream,
    "generate": draft_generation,
    "tag": draft_tagging,
    "tag_stream": draft_typing,
}


def parse_mix(text: str) -> dict[str, float]:
    """Weights of all kinds; those that are not named get none.

    Raises:
        ValueError: the text is malformed, names an unknown kind, or has no weight above 0.
    """
    weights = dict.fromkeys(KINDS, 0.0)
    for name, value in split_pairs(text):
        if name not in KINDS:
            raise ValueError(f"unknown kind {name!r}; known are {', '.join(KINDS)}")
        weights[name] = parse_number(value)
    if not any(weights.values()):
        raise ValueError("no kind has a weight above 0")
    return weights


def find_pairs(languages: Sequence[dict[str, Any]]) -> list[Pair]:
    """Language pairs that we have sentences for and the service translates.

    Args:
        languages: as GET /languages gives them.
    """
    served = {item["code"]: item["targets"] for item in languages}
    return [
        (source, target)
        for source in SENTENCES
        for target in served.get(source, [])
        if target != source
    ]
