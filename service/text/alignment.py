"""Places the inline tags of a sentence around the words of its translation, by attention.

Pure functions over offsets and weights. For any weights, each tag is placed exactly once and
elements keep their nesting; poor weights only put them around the wrong words.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from service.arrays import BoolArray, FloatArray, ScoreArray
from service.text.markup import Tag

Span = tuple[int, int]

MARKS = r"!-/:-@\[-`{-~\u00a1\u00a7\u00ab\u00b6\u00b7\u00bb\u00bf\u2010-\u205e\u3001-\u303f"
# A word including inner punctuation ("don't", "3.14", "dog-house"), or a punctuation mark.
WORD = re.compile(rf"[^\s{MARKS}]+(?:['\u2019.,-][^\s{MARKS}]+)*|[{MARKS}]")
IS_MARK = re.compile(rf"[{MARKS}]")

# Attention at punctuation marks is unreliable, so a mark joins the words beside it: at a small gain
# if the element had such a mark, at a cost if not. Word scores range from -1 to 1.
SAME_MARK, OTHER_MARK = 0.05, -0.5
# Score of a word that belongs to another element: prohibitive for any run.
TAKEN = -1e6


@dataclass(frozen=True)
class Words:
    """Words of a translation with their attention to the source.

    Attributes:
        text: the translation.
        spans: where each of W words starts and ends in it.
        weights: (W, S) attention of each word to the source tokens without eos.
    """

    text: str
    spans: list[Span]
    weights: FloatArray


@dataclass(frozen=True)
class Source:
    """Source sentence: its text, and where each of its S tokens starts and ends."""

    text: str
    spans: list[Span]


def weigh_words(text: str, ends: Sequence[int], attention: FloatArray, num_tokens: int) -> Words:
    """Averages the attention of a translation's tokens over each of its words.

    Args:
        text: the translation.
        ends: where each of its T tokens ends in it.
        attention: (>= T, >= S) float32; further rows and columns belong to eos.
        num_tokens: S.
    """
    spans = [match.span() for match in WORD.finditer(text)]
    words = np.array(spans, dtype=np.int64).reshape(-1, 2, 1)
    lasts = np.array(ends, dtype=np.int64)
    firsts = np.concatenate([[0], lasts[:-1]])
    shares = (words[:, 0] < lasts) & (words[:, 1] > firsts)  # (W, T)
    counts = np.maximum(shares.sum(axis=1, keepdims=True), 1)
    weights = shares.astype(np.float32) @ attention[: len(lasts), :num_tokens] / counts
    return Words(text, spans, weights.astype(np.float32))


def share_tags(tags: Sequence[Tag], segments: Sequence[str]) -> list[list[Tag]]:
    """Assigns the tags of a text to its segments, with offsets relative to each.

    A tag between a sentence and white space is assigned to the white space, so that it stays in
    place, unless its partner is inside that sentence.

    Args:
        tags: in order.
        segments: sentence, white space, sentence and so on; the first sentence is empty.
    """
    starts = [0, *accumulate(map(len, segments[:-1]))]
    slots = []
    for tag in tags:
        slot = bisect_right(starts, tag.offset) - 1
        slots.append(slot if slot % 2 or starts[slot] < tag.offset else slot - 1)
    openings = {tag.element: index for index, tag in enumerate(tags) if tag.kind == "opening"}
    for last, tag in enumerate(tags):
        first = openings[tag.element] if tag.kind == "closing" else last
        if slots[last] == slots[first] + 1:
            # an odd slot is white space; the other one is a sentence
            slots[first] = slots[last] = slots[first] + slots[first] % 2
    shared: list[list[Tag]] = [[] for _ in segments]
    for tag, slot in zip(tags, slots, strict=True):
        offset = min(max(tag.offset - starts[slot], 0), len(segments[slot]))
        shared[slot].append(tag._replace(offset=offset))
    return shared


def place_tags(tags: Sequence[Tag], source: Source, words: Words) -> list[Tag]:
    """Returns the tags of a sentence at their offsets in the translation, in order.

    An element that starts or ends outside the sentence extends to that end of the translation.
    """
    return Placement(source, words).place(balance_tags(tags, len(source.text)))


def balance_tags(tags: Sequence[Tag], length: int) -> list[Tag]:
    """Adds missing partners, with an empty source, at the ends of the sentence."""
    opened = {tag.element for tag in tags if tag.kind != "closing"}
    closed = {tag.element for tag in tags if tag.kind != "opening"}
    before = [Tag(0, "", "opening", tag.element) for tag in tags if tag.element not in opened]
    after = [Tag(length, "", "closing", tag.element) for tag in tags if tag.element not in closed]
    return [*reversed(before), *tags, *reversed(after)]


@dataclass(frozen=True)
class Element:
    """Element that has been assigned words.

    Attributes:
        closing: its end tag, at its offset in the source.
        extras: tags without words, placed before the end tag.
    """

    closing: Tag
    extras: list[Tag] = field(default_factory=list)


class Placement:
    """Assigns each element, outer before inner, a run of its parent's free words.

    This keeps elements nested. An element that gets no words is moved as a whole, with all tags
    inside it.
    """

    def __init__(self, source: Source, words: Words) -> None:
        self.source, self.words = source, words
        spans = np.array(source.spans, dtype=np.int64).reshape(-1, 2)
        self.token_starts, self.token_ends = spans[:, 0], spans[:, 1]
        chars = [words.text[start] for start, _ in words.spans]
        self.marks = {word: char for word, char in enumerate(chars) if IS_MARK.match(char)}
        self.root = Element(Tag(len(source.text), "", "closing", -1))
        # per word: the innermost element around it, the tags before it, and the elements that end
        # with it, outer first
        self.owners = np.full(len(words.spans), self.root.closing.element)
        self.before: list[list[Tag]] = [[] for _ in words.spans]
        self.after: list[list[Element]] = [[] for _ in words.spans]

    def place(self, tags: Sequence[Tag]) -> list[Tag]:
        """Returns the tags at their new offsets.

        Args:
            tags: balanced.
        """
        lasts = {tag.element: index for index, tag in enumerate(tags)}
        around, index = [self.root], 0
        while index < len(tags):
            opening, last = tags[index], lasts[tags[index].element]
            if opening.kind == "closing":
                around.pop()
                index += 1
                continue
            parent = around[-1]
            word = self.find_word_before(opening) if opening.kind == "void" else None
            if word is not None:
                # behind what has ended with the word, but inside the elements that are still open
                place = sum(element in around for element in self.after[word])
                self.after[word].insert(place, Element(opening))
                index += 1
                continue
            run = self.find_place(opening, tags[last], parent.closing)
            if run is not None and run[0] < run[1]:
                around.append(self.give_words(opening, tags[last], run))
                index += 1
            else:
                beside = parent.extras if run is None else self.before[run[0]]
                beside += tags[index : last + 1]
                index = last + 1
        return self.collect()

    def find_place(self, opening: Tag, closing: Tag, parent: Tag) -> Span | None:
        """Finds a run of words; an empty run is a position before a word, None the parent's end."""
        is_free = self.owners == parent.element
        if not is_free.any():
            return None
        is_inside = (self.token_starts < closing.offset) & (self.token_ends > opening.offset)
        has_text = bool(self.source.text[opening.offset : closing.offset].strip())
        reaches_out = not (opening.source and closing.source)
        if reaches_out or (has_text and is_inside.any()):
            return self.find_words(opening, closing, is_inside, is_free)
        is_after = (self.token_ends > opening.offset) & (self.token_ends > self.token_starts)
        following = int(is_after.argmax())
        if not is_after[following] or self.token_starts[following] >= parent.offset:
            return None
        word = int(np.where(is_free, self.words.weights[:, following], -1.0).argmax())
        return word, word

    def find_word_before(self, tag: Tag) -> int | None:
        """The word for the source word that a tag is attached to from behind, like a note's."""
        before, rest = self.source.text[: tag.offset], self.source.text[tag.offset :]
        if not before or before[-1].isspace() or IS_MARK.match(before[-1]) or rest[:1].isalnum():
            return None
        is_before = (self.token_starts < tag.offset) & (self.token_ends >= tag.offset)
        if not is_before.any() or not len(self.words.spans):
            return None
        weights = self.words.weights[:, int(is_before.argmax())].copy()
        weights[list(self.marks)] = -1.0
        return int(weights.argmax())

    def find_words(
        self, opening: Tag, closing: Tag, is_inside: BoolArray, is_free: BoolArray
    ) -> Span | None:
        """Finds the run of words for an element; None if only foreign marks are available.

        The run extends to the start or end of the sentence if that tag has no source. `is_inside`
        (S) marks the source tokens inside the element, `is_free` (W) the words available to it.
        """
        text = self.source.text[opening.offset : closing.offset].strip()
        scores = self.score_words(is_inside, is_free, text)
        start, end = find_run(scores, not opening.source, not closing.source)
        # it may start or end with a mark only if it did so in the source
        while opening.source and start < end - 1 and self.marks.get(start, text[0]) != text[0]:
            start += 1
        while closing.source and start < end - 1 and self.marks.get(end - 1, text[-1]) != text[-1]:
            end -= 1
        return (start, end) if scores[start:end].min() > TAKEN else None

    def score_words(self, is_inside: BoolArray, is_free: BoolArray, text: str) -> ScoreArray:
        """Scores how much more each word (W) attends to the element than to the rest, -1 to 1."""
        weights = self.words.weights.astype(np.float64)
        scores: ScoreArray = 2.0 * weights[:, is_inside].sum(axis=1) - weights.sum(axis=1)
        own = [word for word, mark in self.marks.items() if mark in text]
        foreign = [word for word, mark in self.marks.items() if mark not in text]
        scores[own], scores[foreign] = SAME_MARK, TAKEN
        scores[~is_free] = TAKEN
        if scores.max() > OTHER_MARK:  # otherwise it would be assigned a mark for lack of words
            scores[foreign] = np.where(is_free[foreign], OTHER_MARK, TAKEN)
        return scores

    def give_words(self, opening: Tag, closing: Tag, run: Span) -> Element:
        element = Element(closing)
        self.owners[slice(*run)] = closing.element
        self.before[run[0]].append(opening)
        self.after[run[1] - 1].append(element)
        return element

    def collect(self) -> list[Tag]:
        """Collects all tags in order, without the placeholders of missing partners."""
        placed: list[Tag] = []
        for (start, end), before, after in zip(
            self.words.spans, self.before, self.after, strict=True
        ):
            placed += [tag._replace(offset=start) for tag in before]
            for element in reversed(after):
                tags = [*element.extras, element.closing]
                placed += [tag._replace(offset=end) for tag in tags]
        end = len(self.words.text)
        placed += [tag._replace(offset=end) for tag in self.root.extras]
        return [tag for tag in placed if tag.source]


def find_run(scores: ScoreArray, is_first: bool, is_last: bool) -> Span:
    """Finds the run of >= 1 words with the greatest sum of scores.

    Args:
        scores: (W), W >= 1.
        is_first: whether it must start with the first word.
        is_last: whether it must end with the last word.
    """
    sums = np.concatenate([[0.0], scores.cumsum()])
    if is_first:
        return 0, int(sums[1:].argmax()) + 1
    if is_last:
        return int(sums[:-1].argmin()), len(scores)
    end = int((sums[1:] - np.minimum.accumulate(sums[:-1])).argmax()) + 1
    return int(sums[:end].argmin()), end
