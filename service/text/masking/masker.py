"""Masks the placeables of a sentence before a translator reads it, and puts them back afterwards.

Numbers and names become masks, which the model copies into its translation. Marks, such as emoji
and tags, are taken out and placed again by attention, as inline tags are. What stands at the ends
is copied. Pure functions.
"""

import html
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType
from typing import Literal, NamedTuple

import regex

from service.text.abbreviations import Reading
from service.text.korean.particles import choose_particle
from service.text.markup import Tag
from service.text.masking.placeables import Kind, Placeable, find_placeables
from service.text.masking.spelled_numbers import SpelledNumber
from service.text.masking.stretches import is_free
from service.text.masking.terms import NO_TERMS, Term, Terms
from service.text.masking.times.clock_times import ClockTime, span_with_words
from service.text.masking.units import find_counter_end, is_measured

TagKind = Literal["opening", "closing", "void"]
Masks = Mapping[Kind, str]
"""The mask characters of each kind that a model knows."""

PRIVATE = regex.compile("[\ue000-\uf8ff]")
HANGUL = regex.compile(r"\p{Hangul}+")
LETTER = regex.compile(r"\p{L}")
SPACES = regex.compile(r"\s{2,}|[^\S ]")
# Without width or meaning of their own; within a word they would hide it from the model.
INVISIBLE = regex.compile("[\u00ad\u200b\u2060\ufeff]+")
LEADING = regex.compile(r"\"?[\s,;:.!?…)\]}”»–—-]*+")
TRAILING = regex.compile(r"(?<!\s)\s++[(\[{„“«\u2018\"']{0,8}+$")
BLANK = regex.compile("[\\s\u00ad\u200b\u2060\ufeff]*+")
ELEMENT = regex.compile(r"<(/?)([\w:-]+)[^>]*?(/?)>")
# Elements of markup are numbered by their tokens; those of marks from here on.
FIRST_ELEMENT = 1_000_000


Given = ClockTime | SpelledNumber | Term
"""A stretch of a text, and what its translation has in its place."""
NOTHING: Mapping[str, str] = MappingProxyType({})


class Edit(NamedTuple):
    """A replacement of `text[start:end]`."""

    start: int
    end: int
    text: str


class Masked(NamedTuple):
    """A sentence as the model is to read it, and what goes back into its translation.

    Attributes:
        text: to be translated; empty if nothing is.
        before, after: copied; the ends of the sentence.
        originals: what each mask in the text stands for.
        times: the masks of times of day, whose originals have their words with them.
        tags: those of the sentence and its marks, at their offsets in the text.
    """

    text: str
    before: str = ""
    after: str = ""
    originals: Mapping[str, str] = NOTHING
    times: frozenset[str] = frozenset()
    tags: Sequence[Tag] = ()


def mask_sentence(
    sentence: str,
    masks: Masks,
    tags: Sequence[Tag] = (),
    *,
    terms: Terms = NO_TERMS,
    small_numbers: bool = False,
    given: Sequence[Given | Reading] = (),
    render: Callable[[str], str] = str,
) -> Masked | None:
    """Masks a sentence; None if it must be cut around its placeables instead.

    That is so if the model does not have enough masks, or if a mark joins two words, which
    would become one without it. A character reference within a word is read as its character.

    Args:
        sentence: without white space at its ends.
        masks: those of the model.
        tags: inline tags at their offsets in the sentence.
        terms: those whose translations are given.
        small_numbers: see `find_placeables`.
        given: names, times of day, large and spelled-out numbers, which are masked, too (see
            `find_all`), and what the model reads otherwise.
        render: makes the source of a tag from a mark.
    """
    readings = [each for each in given if isinstance(each, Reading)]
    masked = [each for each in given if not isinstance(each, Reading)]
    placeables = {
        each: text
        for each, text in find_all(sentence, terms, masked, small_numbers=small_numbers).items()
        if each.kind != "mark" or is_free(each, readings)
    }
    if not has_letters(sentence, placeables):
        edits = [Edit(*each[:2], text) for each, text in placeables.items()]
        return Masked("", edit(sentence, edits, 0, len(sentence))[0])
    if not (placeables or readings) and is_even(sentence):
        return Masked(sentence, tags=tags)
    elements = pair_marks(sentence, placeables) if not tags else {}
    core = find_core(sentence, find_void(placeables, elements))
    # marks within an element stay there
    is_crossed = any(tag.offset < core[0] or core[1] < tag.offset for tag in tags)
    start, end = (0, len(sentence)) if is_crossed else core
    inner = [each for each in placeables if start <= each.start and each.end <= end]
    chosen = choose_masks([each for each in inner if each.kind != "mark"], masks)
    joints = {each for each in find_void(inner, elements) if joins_words(sentence, each)}
    joined = {each: read_reference(sentence[each.start : each.end]) for each in joints}
    if chosen is None or not all(joined.values()):
        return None
    replaced = chosen | joined
    edits = [Edit(each.start, each.end, text) for each, text in replaced.items()]
    edits += [Edit(*each) for each in readings if is_free(each, placeables)]
    edits += [Edit(*match.span(), "") for match in INVISIBLE.finditer(sentence)]
    edits += [Edit(*match.span(), " ") for match in SPACES.finditer(sentence)]
    marks: list[Tag] = []
    ends = {tag.offset for tag in tags if tag.kind == "closing"}
    lasts = find_last_marks(sentence, find_void(inner, elements), core[1], ends)
    for each in (each for each in inner if each not in replaced):
        element, kind = elements.get(each.start, (FIRST_ELEMENT + each.start, "void"))
        is_void = kind == "void"
        first, last = widen_mark(sentence, each, each in lasts) if is_void else each[:2]
        marks.append(Tag(first, render(sentence[first:last]), kind, element))
        edits.append(Edit(first, last, ""))
    text, places = edit(sentence, merge_edits(edits, start, end), start, end)
    return Masked(
        text,
        sentence[:start],
        sentence[end:],
        {mask: placeables[each] for each, mask in chosen.items()},
        find_time_masks(chosen, masked),
        tuple(
            tag._replace(offset=places(tag.offset))
            for tag in sorted((*tags, *marks), key=lambda tag: tag.offset)
        ),
    )


def unmask(
    text: str, tags: Sequence[Tag], masked: Masked, language: str
) -> tuple[str, Sequence[Tag]]:
    """Puts the originals back into a translation that has each mask once.

    Args:
        text: translation of `masked.text`.
        tags: at their offsets in the translation.
        masked: the sentence.
        language: of the translation.

    Returns:
        The sentence's translation with what was copied at its ends, and its tags at their offsets.
    """
    if not (masked.originals or masked.before or masked.after):  # most sentences
        return text, tags
    edits = [
        each
        for place, character in enumerate(text)
        if character in masked.originals
        for each in put_back(text, place, masked, language)
    ]
    unmasked, places = edit(text, edits, 0, len(text))
    shift = len(masked.before)
    return (
        f"{masked.before}{unmasked}{masked.after}",
        [tag._replace(offset=shift + places(offset)) for tag, offset in leave(edits, tags)],
    )


def leave(edits: Sequence[Edit], tags: Iterable[Tag]) -> Iterator[tuple[Tag, int]]:
    """Tags with their offsets, behind the edit that one stands in if it closes an element."""
    last = 0
    for tag in tags:
        ends = (each.end for each in edits if each.start < tag.offset < each.end)
        last = max(last, next(ends, tag.offset) if tag.kind == "closing" else tag.offset)
        yield tag, last


def put_back(text: str, place: int, masked: Masked, language: str) -> list[Edit]:
    """The edits that replace a mask, and a Korean particle behind it by the form that fits.

    A model cannot know how what is masked ends: nor which particle fits, nor that what it counts
    has its unit. What has no sound of its own, like a placeholder, leaves the particle as it is.
    """
    original = masked.originals[text[place]]
    start, end = place, place + 1
    if text[place] in masked.times:
        start, end = span_with_words(text, place, language)
    elif is_measured(original):
        end = find_counter_end(text, end, language)
    edits = [Edit(start, end, original)]
    hangul = HANGUL.match(text, end)
    if hangul and (original[-1:].isalnum() or is_measured(original)):
        particle = choose_particle(original, hangul[0])
        if particle != hangul[0]:
            edits.append(Edit(*hangul.span(), particle))
    return edits


def carries_masks(text: str, masked: Masked) -> bool:
    """Whether a translation has each mask of its sentence once, and no other."""
    return sorted(PRIVATE.findall(text)) == sorted(masked.originals)


def find_all(
    sentence: str, terms: Terms, given: Sequence[Given] = (), *, small_numbers: bool = False
) -> dict[Placeable, str]:
    """The placeables of a sentence, in its order, and what its translation has in their place.

    Terms stand in place of what is given that they overlap, and both of all others.

    Args:
        sentence: a sentence.
        terms: those whose translations are given.
        given: other stretches and what their translation is; the first of those that overlap.
        small_numbers: see `find_placeables`.
    """
    found = {Placeable(*each[:2], "name"): each.translation for each in terms.find(sentence)}
    for each in given:
        if is_free(each, found):
            kind: Kind = "name" if isinstance(each, Term) else "number"
            found[Placeable(*each[:2], kind)] = each[2]
    others = find_placeables(sentence, small_numbers=small_numbers)
    found |= {each: sentence[each.start : each.end] for each in others if is_free(each, found)}
    return dict(sorted(found.items()))


def find_time_masks(chosen: Mapping[Placeable, str], given: Iterable[Given]) -> frozenset[str]:
    """The masks of times of day."""
    times = {Placeable(*each[:2], "number") for each in given if isinstance(each, ClockTime)}
    return frozenset(mask for each, mask in chosen.items() if each in times)


def cut_at_placeables(sentence: str, terms: Terms = NO_TERMS) -> list[tuple[str, str]]:
    """The placeables of a sentence and what is between them, each with the white space behind it.

    Marks at the start of a piece (", good to see you!") go with that white space, and so do quotes
    and brackets that open at its end. For models without masks, and for translations that lost one.
    """
    pairs: list[tuple[str, str]] = [("", "")]
    end = 0
    for each in [*find_all(sentence, terms), Placeable(len(sentence), len(sentence), "mark")]:
        before, body, after = strip_piece(sentence[end : each.start])
        pairs[-1] = (pairs[-1][0], pairs[-1][1] + before)
        end = each.end
        pairs += [pair for pair in ((body, after), (sentence[each.start : end], "")) if pair[0]]
    return pairs[not pairs[0][1] :]


def strip_piece(piece: str) -> tuple[str, str, str]:
    """What stands between placeables, in what is copied, translated, and copied again."""
    leading = LEADING.match(piece)
    assert leading is not None
    trailing = TRAILING.search(piece, leading.end())
    end = trailing.start() if trailing else len(piece)
    return leading[0], piece[leading.end() : end], piece[end:]


def has_letters(text: str, placeables: Iterable[Placeable] = ()) -> bool:
    """Whether there is anything to translate beside the placeables."""
    end = 0
    for each in placeables:
        if LETTER.search(text, end, each.start):
            return True
        end = each.end
    return bool(LETTER.search(text, end))


def is_even(sentence: str) -> bool:
    """Whether all white space of a sentence is single spaces, and all its characters are visible.

    What a text has of `SPACES` is not printable unless it is spaces, nor is any of `INVISIBLE`.
    """
    return sentence.isprintable() and "  " not in sentence


def find_core(sentence: str, marks: Sequence[Placeable]) -> tuple[int, int]:
    """What is left of a sentence without the marks and blanks at its ends."""
    start, end = skip_blanks(sentence, 0), skip_back(sentence, len(sentence))
    for each in marks:
        if each.start != start:
            break
        start = skip_blanks(sentence, each.end)
    for each in reversed(marks):
        if each.end != end or each.start < start:
            break
        end = skip_back(sentence, each.start)
    return start, end


def find_void(placeables: Iterable[Placeable], elements: Mapping[int, object]) -> list[Placeable]:
    """The marks that do not form a pair."""
    return [each for each in placeables if each.kind == "mark" and each.start not in elements]


def joins_words(sentence: str, mark: Placeable) -> bool:
    """Whether a mark stands between two letters, like a bar or a line break's tag."""
    before, after = sentence[: mark.start][-1:], sentence[mark.end : mark.end + 1]
    return bool(LETTER.match(before) and LETTER.match(after))


def read_reference(mark: str) -> str:
    """The character of a character reference of HTML; empty for any other mark."""
    character = html.unescape(mark)
    return "" if character == mark else SPACES.sub(" ", character)


def find_last_marks(
    sentence: str, marks: Sequence[Placeable], core_end: int, ends: Container[int]
) -> set[Placeable]:
    """The marks with which a sentence or an element ends.

    Args:
        sentence: the sentence.
        marks: in its order.
        core_end: where all but marks ends.
        ends: where elements end.
    """
    lasts: set[Placeable] = set()
    next_start = -1  # of the mark behind, if that is one of them
    for each in reversed(marks):
        if each.start >= core_end or each.end in ends or each.end == next_start:
            lasts.add(each)
            next_start = skip_back(sentence, each.start)
    return lasts


def widen_mark(sentence: str, mark: Placeable, is_last: bool) -> tuple[int, int]:
    """A mark with the white space that goes with it.

    That is the space before it if it is the last of an element or a sentence, and else the space
    behind it if there is some before it, too.
    """
    if is_last:
        return skip_back(sentence, mark.start), mark.end
    if mark.start and not sentence[mark.start - 1].isspace():
        return mark.start, mark.end
    return mark.start, skip_blanks(sentence, mark.end)


def skip_blanks(text: str, start: int) -> int:
    """Where white space and invisible characters end that may begin at an offset."""
    match = BLANK.match(text, start)
    assert match is not None
    return match.end()


def skip_back(text: str, end: int) -> int:
    """Where white space and invisible characters begin that may end at an offset."""
    while end and BLANK.fullmatch(text, end - 1, end):
        end -= 1
    return end


def pair_marks(sentence: str, placeables: Iterable[Placeable]) -> dict[int, tuple[int, TagKind]]:
    """The element and kind of each mark that opens or closes one, by its offset."""
    opened: list[tuple[str, int]] = []
    elements: dict[int, tuple[int, TagKind]] = {}
    for start, end, kind in placeables:
        if kind != "mark":
            continue
        name, is_opening, is_closing = read_mark(sentence[start:end])
        if is_closing and opened and opened[-1][0] == name:
            _, first = opened.pop()
            elements[first] = (FIRST_ELEMENT + first, "opening")
            elements[start] = (FIRST_ELEMENT + first, "closing")
        elif is_opening:
            opened.append((name, start))
    return elements


def read_mark(mark: str) -> tuple[str, bool, bool]:
    """The name of a mark, and whether it can open and close an element."""
    match = ELEMENT.fullmatch(mark)
    if match:
        return match[2], not match[1] and not match[3], bool(match[1])
    if mark == "[" or mark.startswith("]("):
        return "[", mark == "[", mark != "["
    if mark.startswith("{\\"):
        return mark.rstrip("}0123456789"), not mark.endswith("0}"), mark.endswith("0}")
    is_pair = mark.strip("*_~=") == "" and len(mark) <= 3
    return mark, is_pair, is_pair


def choose_masks(placeables: Sequence[Placeable], masks: Masks) -> dict[Placeable, str] | None:
    """The mask of each placeable, in the order of the sentence; None if there are not enough."""
    used: Counter[Kind] = Counter()
    chosen = {}
    for each in placeables:
        known = masks.get(each.kind, "")
        if used[each.kind] == len(known):
            return None
        chosen[each] = known[used[each.kind]]
        used[each.kind] += 1
    return chosen


def merge_edits(edits: Iterable[Edit], start: int, end: int) -> list[Edit]:
    """The edits within a stretch in their order, without those that begin inside another."""
    merged: list[Edit] = []
    for each in sorted(edits, key=lambda each: (each.start, -each.end)):
        if start <= each.start and each.end <= end and not (merged and each.start < merged[-1].end):
            merged.append(each)
    return merged


def edit(
    text: str, edits: Sequence[Edit], start: int, end: int
) -> tuple[str, Callable[[int], int]]:
    """Edits `text[start:end]`, and says where each of its offsets is afterwards."""
    parts: list[str] = []
    ends, gains = [start], [0]
    for each in edits:
        parts += [text[ends[-1] : each.start], each.text]
        ends.append(each.end)
        gains.append(len(each.text) - (each.end - each.start))
    parts.append(text[ends[-1] : end])
    shifts = list(accumulate(gains))
    edited = "".join(parts)

    def place(offset: int) -> int:
        index = bisect_right(ends, offset) - 1
        if index < 0:
            return 0
        moved = offset - start + shifts[index]
        if index < len(edits) and edits[index].start < offset:  # inside the next edit
            moved = edits[index].start - start + shifts[index]
        return min(max(moved, 0), len(edited))

    return edited, place
