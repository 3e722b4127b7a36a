"""Masks the placeables that a sentence and its translation share, so that a model learns to copy.

Luong et al. 2015, "Addressing the rare word problem", section 3.1: copyable tokens, numbered in the
order of the source.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

from service.text.korean.hangul import is_syllable
from service.text.masking.korean_names import find_latin
from service.text.masking.latin_names import find_latin_names
from service.text.masking.masks import ALL_MASKS, MASKS, MASKS_PER_KIND
from service.text.masking.placeables import Kind, find_placeables
from service.text.masking.stretches import is_free

DIGIT = re.compile(r"\d")
CAPITALIZED = re.compile(r"(?<![\w'’-])[A-ZÄÖÜ][\w'’-]*[a-zäöüß](?![\w'’-])")
# Of the pairs with masks, those that do not begin with the first mask: all are learnt.
SHIFT_SHARE = 0.3
# Of the words with a capital that both sides share, mostly names.
NAME_SHARE = 0.3
# Of the pairs in which figures up to twenty are masked as well.
SMALL_NUMBERS_SHARE = 0.3


class Found(NamedTuple):
    """What may be masked: its place, and the key by which it is found again on the other side."""

    start: int
    end: int
    kind: Kind
    key: str


def mask_pair(source: str, target: str, rng: random.Random) -> tuple[str, str]:
    """Replaces by the same mask what stands equally often on both sides.

    Numbers are equal if their digits are: 1,234.5 and 1.234,5. What one side lacks stays as it is
    on the other, so that every mask of the source is one of the target. Pairs that were written
    with masks stay as they are.

    Args:
        source: sentence.
        target: its translation.
        rng: draws which small numbers and names are masked, and the first mask.
    """
    if any(mask in source for mask in ALL_MASKS):
        return source, target
    small_numbers = rng.random() < SMALL_NUMBERS_SHARE
    people = list_people(source, target)
    found = [find_maskable(text, small_numbers, people) for text in (source, target)]
    if not all(found):
        return source, target
    counts = [Counter(each.key for each in side) for side in found]
    keys = {key for key, count in counts[0].items() if counts[1][key] == count}
    masks = assign_masks([each for each in found[0] if each.key in keys], rng)
    return replace(source, found[0], masks), replace(target, found[1], masks)


def list_people(source: str, target: str) -> dict[str, str]:
    """The people that a pair names, by their names in Latin letters and in Hangul."""
    people: dict[str, str] = {}
    into = "ko" if any(map(is_syllable, source + target)) else "de"
    for text in (source, target):
        for each in find_latin(text, "ko"):
            people[text[each.start : each.end]] = people[each.translation] = each.translation
        for each in chain.from_iterable(find_latin_names(text, of, into) for of in ("en", "de")):
            name = text[each.start : each.end]
            if len(each.translation) > 1:  # 조 is Joe, but begins many words
                people[name] = people[each.translation] = people.get(name, name)
    return people


def find_maskable(
    text: str, small_numbers: bool, people: Mapping[str, str] = MappingProxyType({})
) -> list[Found]:
    """Names, placeables and words with a capital, in the order of the text; marks have no mask.

    Args:
        text: a side of a pair.
        small_numbers: whether figures up to twenty are found.
        people: see `list_people`.
    """
    found = list(find_people(text, people)) if people else []
    placeables = (
        Found(*each, key_of(text[each.start : each.end], each.kind))
        for each in find_placeables(text, small_numbers=small_numbers)
        if each.kind in MASKS
    )
    words = (
        Found(*match.span(), "name", f"word {match[0]}")
        for match in CAPITALIZED.finditer(text)
        if match.start()
    )
    for each in chain(placeables, words):
        if is_free(each, found):
            found.append(each)
    return sorted(found)


def find_people(text: str, people: Mapping[str, str]) -> Iterator[Found]:
    names = "|".join(map(re.escape, sorted(people, key=len, reverse=True)))
    for match in re.finditer(rf"\b(?:{names})", text):
        yield Found(*match.span(), "name", f"name {people[match[0]]}")


def key_of(text: str, kind: Kind) -> str:
    return "".join(DIGIT.findall(text)) if kind == "number" else text


def assign_masks(found: Sequence[Found], rng: random.Random) -> dict[str, list[str]]:
    """The masks of each key, one per occurrence, by their order in the source."""
    shift = rng.randrange(MASKS_PER_KIND) if rng.random() < SHIFT_SHARE else 0
    used: Counter[Kind] = Counter()
    masks: dict[str, list[str]] = defaultdict(list)
    dropped = {
        key
        for key in {each.key for each in found}
        if key.startswith("word ") and rng.random() > NAME_SHARE
    }
    for each in found:
        if each.key in dropped or used[each.kind] == MASKS_PER_KIND:
            continue
        masks[each.key].append(MASKS[each.kind][(used[each.kind] + shift) % MASKS_PER_KIND])
        used[each.kind] += 1
    # a key whose later occurrences found no mask left would stand on one side alone
    wanted = Counter(each.key for each in found)
    return {key: given for key, given in masks.items() if len(given) == wanted[key]}


def replace(text: str, found: Sequence[Found], masks: dict[str, list[str]]) -> str:
    parts: list[str] = []
    end, used = 0, Counter[str]()
    for each in found:
        if each.key in masks:
            parts += [text[end : each.start], masks[each.key][used[each.key]]]
            used[each.key] += 1
            end = each.end
    return "".join([*parts, text[end:]])
