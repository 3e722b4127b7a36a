"""Joins the two halves of translations that go through a pivot language.

A text that no model translates directly is translated into the pivot first, and that translation is
then translated like any other text, by the same deadline.
"""

from collections.abc import Iterable
from dataclasses import replace

from service.answers import Timings, TranslateAnswer


def join_halves(
    first: TranslateAnswer, second: TranslateAnswer, indices: Iterable[int]
) -> TranslateAnswer:
    """The answer to all texts.

    Args:
        first: of all texts, some of them in the pivot language; names the models of both halves.
        second: of those, into the target language.
        indices: of those in the first answer.
    """
    translations = list(first.translations)
    for index, found in zip(indices, second.translations, strict=True):
        half = translations[index]
        translations[index] = replace(
            found,
            detected=half.detected,
            states=half.states,
            is_complete=half.is_complete and found.is_complete,
            score=join_scores(half.score, found.score),
        )
    timings = join_timings(first.timings, second.timings)
    return replace(first, translations=translations, timings=timings)


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
