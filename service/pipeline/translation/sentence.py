"""One sentence on its way through a translator: what the model reads, and what it makes of it.

A translation is faithful if it has what must pass through unchanged. Where none of the hypotheses
is, the sentence is cut around that and read again; if that fails too, it comes back as it was.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import regex

from service.engine.batch import Hypothesis, Result, TokenSequence
from service.repository.model import Model
from service.text.alignment import Source, place_tags, weigh_words
from service.text.casing import is_in_capitals, is_short_title
from service.text.levels.speech_level import Level, level_of
from service.text.markup import Tag
from service.text.masking.fixed_spaces import has_fixed_spaces, keep_fixed_spaces
from service.text.masking.masker import LETTER, Masked, carries_masks, unmask
from service.text.masking.number_words import says_figure
from service.text.masking.spelled import says_figures
from service.text.ordinals import mend_ordinals, mend_singulars
from service.text.sentences.final_marks import match_final_marks

DIGITS = regex.compile(r"\d+")
BARE_WORD = regex.compile(r"\p{L}[\p{Ll}\p{M}'’-]+")
REPLACEMENT = "\ufffd"


class Candidate(NamedTuple):
    """A faithful hypothesis, its text, and the sentence as it was read for it."""

    hypothesis: Hypothesis
    text: str
    sentence: "Sentence"


Choices = Mapping[TokenSequence, Candidate | None]
"""What each sequence's translation is made of; None if no hypothesis is faithful."""


class Sentence(NamedTuple):
    """One sentence and the white space after it; copied if it has no sequence.

    Attributes:
        text: as it stands in the document.
        tags: inline tags within it; the other one of a pair may be elsewhere.
        masked: as it is to be translated.
        spelled: the masked text as the model reads it.
        numbers: the figures of its spelled-out numbers, which its translation must give.
        target: the language of the translation.
        space_tags: those before, within and after the white space.
        level: that its translation should have, if one was asked for.
        is_open: whether it may be read again for the level that its text asks for.
        is_retry: whether it was read another way before.
        earlier: the candidates of that reading: of a label they may be better, of others they lack
            figures, and are taken if this one has none.
    """

    text: str
    space: str
    masked: Masked
    tags: Sequence[Tag] = ()
    sequence: TokenSequence | None = None
    spelled: str = ""
    numbers: Sequence[str] = ()
    target: str = ""
    level: Level | None = None
    is_open: bool = False
    space_tags: Sequence[Tag] = ()
    is_retry: bool = False
    earlier: Sequence[Candidate] = ()

    @property
    def is_in_capitals(self) -> bool:
        """Whether its translation is to be in capitals, which the model does not see."""
        return self.spelled != self.masked.text and is_in_capitals(self.masked.text)

    @property
    def is_lowered(self) -> bool:
        """Whether its translation begins with a capital that the model does not see."""
        return self.spelled[:1].islower() and self.masked.text[:1].isupper()

    @property
    def is_plain(self) -> bool:
        """Whether its first hypothesis is its translation, whatever that is."""
        masked = self.masked
        has_numbers = bool(self.numbers) or DIGITS.search(masked.text)
        is_certain = not (self.level or self.is_open)
        is_whole = is_certain and not (masked.originals or masked.tags or has_numbers)
        is_spelled_otherwise = self.is_label or self.is_lowered
        return is_whole and not (is_spelled_otherwise or has_fixed_spaces(self.text))

    @property
    def is_label(self) -> bool:
        """Whether it is a word alone, or a few in Title Case, which may be read otherwise."""
        text = self.masked.text
        is_label = BARE_WORD.fullmatch(text) is not None or is_short_title(text)
        return is_label and not self.masked.tags


@dataclass(frozen=True)
class Rendered:
    """A sentence's translation, and its inline tags at their offsets."""

    text: str
    tags: Sequence[Tag] = ()


def hypotheses_of(
    results: Mapping[TokenSequence, Result], sequence: TokenSequence
) -> list[Hypothesis]:
    result = results[sequence]
    assert isinstance(result, list)
    return result


def find_candidates(
    model: Model,
    sentence: Sentence,
    results: Mapping[TokenSequence, Result],
    *,
    may_drop_figures: bool = False,
) -> Iterator[Candidate]:
    """The faithful hypotheses of a sentence that has a sequence, best first.

    Those that are cut or repeat themselves are left out if there are others, and those at another
    level than the one asked for come last.
    """
    assert sentence.sequence is not None
    hypotheses = hypotheses_of(results, sentence.sequence)
    usable = [one for one in hypotheses if one.is_complete] or hypotheses
    elsewhere: list[Candidate] = []
    for one in usable:
        text = decode(model, sentence, one)
        if is_faithful(sentence, text, may_drop_figures=may_drop_figures):
            candidate = Candidate(one, text, sentence)
            if is_at_level(sentence, text):
                yield candidate
            else:
                elsewhere.append(candidate)
    yield from elsewhere


def is_at_level(sentence: Sentence, translation: str) -> bool:
    """Whether a translation is at the level asked for, or tells none."""
    level = sentence.level and level_of(translation, sentence.target)
    return level in (None, sentence.level)


def carries_some_masks(
    model: Model, sentence: Sentence, results: Mapping[TokenSequence, Result]
) -> bool:
    """Whether some hypothesis has each mask once, whatever else it lacks."""
    assert sentence.sequence is not None
    texts = (decode(model, sentence, one) for one in hypotheses_of(results, sentence.sequence))
    return any(carries_masks(text, sentence.masked) for text in texts)


def decode(model: Model, sentence: Sentence, hypothesis: Hypothesis) -> str:
    return model.decode(hypothesis.token_ids, in_capitals=sentence.is_in_capitals)


def is_faithful(sentence: Sentence, translation: str, *, may_drop_figures: bool = False) -> bool:
    """Whether a translation says something, has each mask once, and the right numbers."""
    return (
        LETTER.search(translation) is not None
        and carries_masks(translation, sentence.masked)
        and has_figures(
            sentence.masked.text, translation, "" if may_drop_figures else sentence.target
        )
        and (may_drop_figures or has_numbers(sentence, translation))
    )


def has_numbers(sentence: Sentence, translation: str) -> bool:
    return all(says_figures(translation, figures, sentence.target) for figures in sentence.numbers)


def has_figures(source: str, translation: str, language: str) -> bool:
    """Whether each figure of the source is in the translation, as it is or as a word.

    In a language whose words for figures are not known, a missing one may be a word.
    """
    figures = DIGITS.findall(source)
    if not figures:
        return True
    wanted, found = Counter(figures), Counter(DIGITS.findall(translation))
    missing = wanted - found
    if missing and found - wanted:
        return False
    return all(says_figure(translation, figure, language) for figure in missing)


def choose_candidates(
    model: Model,
    sentences: Iterable[Sentence],
    results: Mapping[TokenSequence, Result],
    rank: int = 0,
) -> Choices:
    """The candidate of a rank for each sentence that has a sequence."""
    return {
        sentence.sequence: choose_candidate(model, sentence, results, rank)
        for sentence in sentences
        if sentence.sequence
    }


def choose_candidate(
    model: Model, sentence: Sentence, results: Mapping[TokenSequence, Result], rank: int
) -> Candidate | None:
    """The candidate of a rank, or the last before it; None if there is none."""
    if not (rank or sentence.earlier):
        return next(find_candidates(model, sentence, results), None)
    candidates = list_candidates(model, sentence, results)
    return candidates[min(rank, len(candidates) - 1)] if candidates else None


def list_candidates(
    model: Model, sentence: Sentence, results: Mapping[TokenSequence, Result]
) -> list[Candidate]:
    """As `find_candidates`, with those of an earlier reading."""
    candidates = list(find_candidates(model, sentence, results))
    if sentence.is_label:
        readings = [each for each in (candidates, sentence.earlier) if each]
        readings.sort(
            key=lambda each: (each[0].hypothesis.is_complete, each[0].hypothesis.score),
            reverse=True,
        )
        candidates = [candidate for each in readings for candidate in each]
    return candidates or list(sentence.earlier)


def translate_sentence(model: Model, sentence: Sentence, choices: Choices) -> Rendered:
    """The sentence's translation by the candidate that was chosen; itself if there is none."""
    if sentence.sequence is None:
        return Rendered(sentence.masked.before, sentence.tags)
    candidate = choices[sentence.sequence]
    if candidate is None:
        return Rendered(sentence.text, sentence.tags)
    hypothesis, text, sentence = candidate
    masked = sentence.masked
    tags: Sequence[Tag] = ()
    if masked.tags:
        assert hypothesis.attention is not None
        source = Source(masked.text, model.tokenizer.spans(sentence.spelled))
        ends = model.ends(hypothesis.token_ids, in_capitals=sentence.is_in_capitals)
        words = weigh_words(text, ends, hypothesis.attention, len(source.spans))
        tags = place_tags(masked.tags, source, words)
    text, tags = unmask(*finish(text, tags, sentence), masked, sentence.target)
    if sentence.target == "en" and not sentence.is_plain:  # else a stream has given it
        text = mend_ordinals(text, sentence.text)
        text = text if tags else mend_singulars(text)
    return Rendered(keep_fixed_spaces(sentence.text, text), tags)


def finish(text: str, tags: Sequence[Tag], sentence: Sentence) -> tuple[str, Sequence[Tag]]:
    """A translation with the capital and marks of its source, and without broken characters."""
    if sentence.is_lowered:
        text = text[:1].upper() + text[1:]
    if REPLACEMENT in text and REPLACEMENT not in sentence.text and not tags:
        text = text.replace(REPLACEMENT, "")
    finished = match_final_marks(sentence.masked.text, text)
    shortest = min(len(text), len(finished))
    return finished, [tag._replace(offset=min(tag.offset, shortest)) for tag in tags]
