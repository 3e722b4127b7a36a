"""Scores models on the everyday sentences in `models/everyday`, which its README.md explains."""

import re
from collections.abc import Sequence

import numpy as np

from export.quality.answers import answer_texts
from export.quality.translate import translate_texts
from models.training.data.held_out import read_everyday
from models.training.metrics import Figure
from service.engine.runner import run_sequences
from service.pipeline.tagging.pieces import locate_tokens, make_pieces, render_text
from service.repository.model import LoadedModel, make_sequences
from service.text.tags import SPACE

UNSURE, MAX_UNSURE_SCORE = "unsure", 0.8


def judge_labels(model: LoadedModel) -> dict[str, Figure]:
    """Measures the share of sentences labelled as expected, by kind; empty if no label applies."""
    rows = [row for row in read_everyday("classification") if row[0] in model.manifest.languages]
    labels = model.manifest.labels
    if not {expected for _, expected, _, _ in rows} <= {*labels, UNSURE}:
        return {}
    results = run_sequences(model.runner, make_sequences(model, [text for _, _, text, _ in rows]))
    judged: dict[str, list[bool]] = {}
    for (_, expected, _, kind), result in zip(rows, results, strict=True):
        assert isinstance(result, np.ndarray), "a classifier answers with an array"
        probabilities = model.probabilities(result)
        if expected == UNSURE:
            is_right = bool(probabilities.max() <= MAX_UNSURE_SCORE)
        else:
            is_right = labels[int(probabilities.argmax())] == expected
        judged.setdefault(kind, []).append(is_right)
    return {kind: describe_share(sum(each), len(each)) for kind, each in judged.items()}


def judge_spacing(model: LoadedModel) -> tuple[Figure, list[tuple[str, str]]] | None:
    """Measures the share of texts that get white space where it belongs, and lists the misses.

    Returns:
        The figure and (text, as it was spaced) of each miss; None if the labels do not apply.
    """
    rows = [
        (expected, text)
        for language, expected, text in read_everyday("tagging")
        if language in model.manifest.languages
    ]
    if not rows or SPACE not in model.manifest.labels:
        return None
    results = run_sequences(model.runner, make_sequences(model, [text for _, text in rows]))
    misses = []
    for (expected, text), result in zip(rows, results, strict=True):
        assert isinstance(result, np.ndarray), "a tagger answers with arrays"
        pieces = make_pieces(model, locate_tokens(model, text), result)
        spaced = render_text(text, pieces, model.manifest.labels)
        if spaced != expected:
            misses.append((expected, spaced))
    return describe_share(len(rows) - len(misses), len(rows)), misses


def read_direction(source: str, target: str) -> list[tuple[str, str]]:
    """The sentences of a direction, each with the words expected in its translation."""
    return [
        (text, words)
        for first, second, text, words in read_everyday("translation")
        if (first, second) == (source, target)
    ]


def judge_translations(
    model: LoadedModel, source: str, target: str, beam_size: int
) -> tuple[Figure, list[tuple[str, str]]] | None:
    """Measures the share of translations with the expected words, and lists the misses.

    Returns:
        The figure and (text, translation) of each miss; None if there are no sentences.
    """
    rows = read_direction(source, target)
    if not rows:
        return None
    translations = translate_texts(model, [text for text, _ in rows], source, target, beam_size)
    misses = []
    for (text, words), translation in zip(rows, translations, strict=True):
        if not has_words(translation, words):
            misses.append((text, translation))
    return describe_share(len(rows) - len(misses), len(rows)), misses


def judge_answers(model: LoadedModel) -> tuple[Figure, list[tuple[str, str]]] | None:
    """Measures the share of greedy answers with a word that fits, and lists the misses.

    Returns:
        The figure and (text, answer) of each miss; None if there are no sentences.
    """
    rows = [row[2:] for row in read_everyday("text2text") if row[0] in model.manifest.languages]
    if not rows:
        return None
    answers = answer_texts(model, [text for text, _ in rows])
    misses = [
        (text, answer)
        for (text, words), answer in zip(rows, answers, strict=True)
        if not has_words(answer, words)
    ]
    return describe_share(len(rows) - len(misses), len(rows)), misses


def has_words(translation: str, words: str) -> bool:
    """Tells whether the translation contains an alternative of every group in `a|b;c`."""
    return all(
        any(re.search(word_pattern(word), translation, re.IGNORECASE) for word in group.split("|"))
        for group in words.split(";")
    )


def word_pattern(word: str) -> str:
    is_latin = "a" <= word[0].lower() <= "z"
    return (r"\b" if is_latin else "") + re.escape(word)


def describe_share(right: int, count: int) -> Figure:
    return Figure(
        "right", 100.0 * right / count, f"percent of {count} sentences of models/everyday"
    )


def list_misses(misses: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"  {text} -> {translation}" for text, translation in misses)
