"""Finds which tokens of a text speak for its label: each is left out once, and the rest is read.

Leave-one-out is the erasure of Li, Monroe and Jurafsky (2016, arXiv:1612.08220). It needs no
gradients, so it works on any graph. Knows no queue: sequences go out, results come in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from service.answers import Attribution
from service.arrays import FloatArray
from service.engine.batch import Result, TokenSequence
from service.repository.model import Model


@dataclass(frozen=True)
class Erasure:
    """A stretch of a text, and the text's sequence without its tokens.

    Attributes:
        start, end: in characters of the text.
        rest: None if there are no other tokens.
    """

    start: int
    end: int
    rest: TokenSequence | None


def erase_each(sequence: TokenSequence, spans: Sequence[tuple[int, int]]) -> list[Erasure]:
    """Leaves out each token of a sequence in turn; tokens of one character go together.

    Args:
        sequence: of the whole text.
        spans: of its tokens in the text, in characters.
    """
    return [
        Erasure(spans[first][0], max(end for _, end in spans[first:stop]), rest)
        for first, stop in group_tokens(spans)
        for rest in [leave_out(sequence, first, stop)]
    ]


def group_tokens(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Positions (first, stop) of tokens that share characters, such as the bytes of one.

    A token without characters, such as a space before a word, belongs to the next one.
    """
    first, reached = 0, 0
    for index, (start, end) in enumerate(spans):
        is_shared = start < reached or spans[index - 1] == (start, start)
        if index and not is_shared:
            yield first, index
            first = index
        reached = max(reached, end)
    if spans:
        yield first, len(spans)


def leave_out(sequence: TokenSequence, first: int, stop: int) -> TokenSequence | None:
    input_ids = sequence.input_ids[:first] + sequence.input_ids[stop:]
    return replace(sequence, input_ids=input_ids) if input_ids else None


def attribute(
    model: Model,
    text: str,
    sequence: TokenSequence,
    erasures: Sequence[Erasure],
    results: Mapping[TokenSequence, Result],
) -> list[Attribution]:
    """How much each stretch adds to the probability of the text's best label.

    The only stretch of a text is compared with knowing nothing: all labels are as likely.
    """
    probabilities = find_probabilities(model, results[sequence])
    best = int(probabilities.argmax())

    def weigh(rest: TokenSequence | None) -> float:
        if rest is None:
            return float(probabilities[best]) - 1 / len(probabilities)
        return float(probabilities[best] - find_probabilities(model, results[rest])[best])

    return [
        Attribution(text[each.start : each.end], each.start, each.end, weigh(each.rest))
        for each in erasures
    ]


def find_probabilities(model: Model, result: Result) -> FloatArray:
    assert isinstance(result, np.ndarray)
    return model.probabilities(result)
