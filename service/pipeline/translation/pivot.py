"""Translations that go through a pivot language: what goes on from the first half, and the choice.

The likeliest translation into the pivot language does not always lead to the best end. Several of
each sentence go on, and of all that come of them the one is taken whose two halves together have
the most merit: an n-best list of the pivot (Utiyama and Isahara 2007).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import NamedTuple

from service.answers import Timings, TranslateAnswer, TranslateOptions, Translation
from service.engine.batch import UNKNOWN_PRICE, Hypothesis, Result, TokenSequence
from service.pipeline.translation.documents import Document, assemble, score_text
from service.pipeline.translation.reader import Reader
from service.pipeline.translation.sentence import (
    Candidate,
    Sentence,
    choose_candidates,
    is_at_level,
    list_candidates,
    translate_sentence,
)
from service.text.markup import render_plain


class Way(NamedTuple):
    """One translation into the pivot language.

    Attributes:
        merit: of its hypothesis, see `find_merit`.
        score: the probability (0..1) that it is acceptable; None if the model cannot tell.
        is_complete: it was not cut and does not repeat itself.
    """

    text: str
    merit: float
    score: float | None
    is_complete: bool


class Stretch(NamedTuple):
    """What of a text goes on as one, and the white space after it."""

    ways: list[Way]
    space: str


Found = tuple[Way, Translation]
"""A way, and the translation that it led to."""


def whole_stretch(translation: Translation) -> Stretch:
    """A text that goes on as it is."""
    way = Way(translation.text, 0.0, translation.score, translation.is_complete)
    return Stretch([way], "")


def cut_stretches(
    document: Document, results: Mapping[TokenSequence, Result], max_ways: int
) -> list[Stretch]:
    """The stretches of a plain text, a sentence each, with up to `max_ways` ways.

    The pieces of a sentence that was cut around what must stay go on together, by one way.
    """
    assert document.reader is not None
    stretches = []
    for sentences in group_pieces(
        sentence for passage in document.passages for sentence in passage.sentences
    ):
        if len(sentences) == 1 and sentences[0].sequence:
            ways = list_ways(document.reader, sentences[0], results, max_ways)
        else:
            ways = [join_pieces(document.reader, sentences, results)]
        stretches.append(Stretch(ways, sentences[-1].space))
    return stretches


def group_pieces(sentences: Iterable[Sentence]) -> list[list[Sentence]]:
    """Sentences alone, and pieces of sentences with the pieces beside them."""
    groups: list[list[Sentence]] = []
    for sentence in sentences:
        if groups and is_piece(sentence) and is_piece(groups[-1][-1]):
            groups[-1].append(sentence)
        else:
            groups.append([sentence])
    return groups


def is_piece(sentence: Sentence) -> bool:
    is_copied = sentence.sequence is None and bool(sentence.text.strip())
    return is_copied or (sentence.is_retry and not sentence.earlier)


def list_ways(
    reader: Reader, sentence: Sentence, results: Mapping[TokenSequence, Result], max_ways: int
) -> list[Way]:
    """The ways of one sentence, best first; itself if no hypothesis is faithful."""
    fit = reader.score_fit
    ways: dict[str, Way] = {}
    for candidate in list_candidates(reader.model, sentence, results):
        text = render(reader, sentence, candidate)
        if text not in ways:
            ways[text] = Way(
                text,
                find_merit(candidate.hypothesis),
                fit.score(candidate.hypothesis.score) if fit else None,
                candidate.hypothesis.is_complete,
            )
        if len(ways) == max_ways:
            break
    return list(ways.values()) or [join_pieces(reader, [sentence], results)]


def find_merit(hypothesis: Hypothesis) -> float:
    """The merit of a hypothesis that goes on.

    The second half copies words that the first one made up, and is sure of them; so they count
    again.
    """
    return hypothesis.merit - UNKNOWN_PRICE * hypothesis.num_unknown


def join_pieces(
    reader: Reader, pieces: Sequence[Sentence], results: Mapping[TokenSequence, Result]
) -> Way:
    """The one way of several pieces: the best of each, as unsure as the worst."""
    best = choose_candidates(reader.model, pieces, results)
    texts = [
        render(reader, piece, best[piece.sequence] if piece.sequence else None) for piece in pieces
    ]
    return Way(
        join(texts, [*(piece.space for piece in pieces[:-1]), ""]),
        0.0,
        score_text(reader.score_fit, best),
        all(one is None or one.hypothesis.is_complete for one in best.values()),
    )


def render(reader: Reader, sentence: Sentence, candidate: Candidate | None) -> str:
    choices = {} if sentence.sequence is None else {sentence.sequence: candidate}
    rendered = translate_sentence(reader.model, sentence, choices)
    return render_plain(rendered.text, rendered.tags)


def choose_ways(
    stretches: Sequence[Sequence[Stretch]],
    documents: Iterable[Document],
    results: Mapping[TokenSequence, Result],
    options: TranslateOptions,
) -> list[list[Found]]:
    """The best way of each stretch of each text; `documents` are those of all ways, in order."""
    following = iter(documents)

    def choose(stretch: Stretch) -> Found:
        ends = [(way, next(following)) for way in stretch.ways]
        way, document = max(ends, key=lambda end: rank_end(end[0], end[1], results))
        return way, assemble(document, results, options)

    return [[choose(stretch) for stretch in each] for each in stretches]


def rank_end(
    way: Way, document: Document, results: Mapping[TokenSequence, Result]
) -> tuple[bool, bool, float]:
    """How good the end of a way is, for comparison.

    At the level asked for before others, then complete before cut or looping, then by the merit of
    both halves.
    """
    best = list(document.choose(results).values())
    found = [one for one in best if one]
    if len(found) < len(best):
        return False, False, -math.inf
    merits = [one.hypothesis.merit for one in found]
    return (
        all(is_at_level(one.sentence, one.text) for one in found),
        way.is_complete and all(one.hypothesis.is_complete for one in found),
        way.merit + (sum(merits) / len(merits) if merits else 0.0),
    )


def join_answers(
    first: TranslateAnswer,
    indices: Iterable[int],
    stretches: Sequence[Sequence[Stretch]],
    found: Sequence[Sequence[Found]],
    timings: Timings,
) -> TranslateAnswer:
    """The answer to all texts.

    Args:
        first: of all texts, some of them in the pivot language; names the models of both halves.
        indices: of those.
        stretches: of each of those.
        found: what each stretch has come to.
        timings: of the second half.
    """
    translations = list(first.translations)
    for index, parts, ends in zip(indices, stretches, found, strict=True):
        translations[index] = join_text(translations[index], parts, ends)
    timings = join_timings(first.timings, timings)
    return replace(first, translations=translations, timings=timings)


def join_text(
    half: Translation, stretches: Sequence[Stretch], found: Sequence[Found]
) -> Translation:
    """One text's translation; what is known of its source is that of its first half."""
    spaces = [stretch.space for stretch in stretches]
    ends = [end for _, end in found]
    text = join([end.text for end in ends], spaces)
    others = [
        join([other or end.text for other, end in zip(rank, ends, strict=True)], spaces)
        for rank in zip_longest(*(end.alternatives for end in ends))
    ]
    scores = [join_scores(way.score, end.score) for way, end in found]
    return replace(
        half,
        text=text,
        alternatives=list(dict.fromkeys(other for other in others if other != text)),
        is_complete=all(way.is_complete and end.is_complete for way, end in found),
        score=min((score for score in scores if score is not None), default=None),
    )


def join(texts: Sequence[str], spaces: Sequence[str]) -> str:
    return "".join(text + space for text, space in zip(texts, spaces, strict=True))


def join_scores(first: float | None, second: float | None) -> float | None:
    """The probability that both halves are acceptable; None if one of them cannot tell."""
    return None if first is None or second is None else first * second


def join_timings(first: Timings, second: Timings) -> Timings:
    """Where the time of both halves went, one after the other."""
    return Timings(
        tokenize_seconds=first.tokenize_seconds + second.tokenize_seconds,
        queue_seconds=first.queue_seconds + second.queue_seconds,
        inference_seconds=first.inference_seconds + second.inference_seconds,
        total_seconds=second.arrived_at + second.total_seconds - first.arrived_at,
        arrived_at=first.arrived_at,
        dispatched_at=min(first.dispatched_at, second.dispatched_at),
        finished_at=second.finished_at,
    )
