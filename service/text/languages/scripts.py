"""Tells the script of a text by that of its letters."""

import re
from collections import Counter
from functools import lru_cache

import regex

# Enough to be sure; the time is linear in the length, and texts may be long.
SAMPLE_CHARS = 2000
LETTER = re.compile(r"[^\W\d_]")

# A syllable or an ideogram carries as much as about three letters: a Korean sentence that contains
# an English brand name remains Korean.
SCRIPT_WEIGHTS = {"hangul": 3, "han": 3, "kana": 2}

# The other scripts in everyday use (Unicode Standard Annex 31, table 5) besides the two of kana.
SCRIPT_NAMES = (
    *("Latin", "Cyrillic", "Greek", "Armenian", "Georgian", "Hebrew", "Arabic", "Thaana"),
    *("Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada"),
    *("Malayalam", "Sinhala", "Thai", "Lao", "Tibetan", "Myanmar", "Khmer", "Ethiopic"),
    *("Hangul", "Han", "Bopomofo"),
)


def compile_scripts() -> "regex.Pattern[str]":
    """Compiles a pattern for one letter, in which the group that matches is named by the script."""
    groups = [
        r"(?P<kana>[\p{Script=Hiragana}\p{Script=Katakana}])",
        *(rf"(?P<{name.lower()}>\p{{Script={name}}})" for name in SCRIPT_NAMES),
        # Common letters belong to several scripts or to formulas: the long-vowel mark of kana, µ.
        r"(?P<unknown>[^\p{Script=Common}\p{Script=Inherited}])",
    ]
    letter = r"[\p{L}--[ªº\p{Lm}]]"  # ordinals and modifiers (5º, xⁿ) do not tell the script
    return regex.compile(f"(?={letter})(?:{'|'.join(groups)})", regex.VERSION1)


SCRIPT = compile_scripts()


def dominant_script(text: str) -> str:
    """Names the script of most letters in a sample, like "latin"; "" without letters."""
    script, _ = find_script(take_sample(text))
    return script


def take_sample(text: str) -> str:
    """Returns the start of the text from its first letter on: pages of figures may precede it."""
    first = LETTER.search(text)
    return text[first.start() : first.start() + SAMPLE_CHARS] if first else ""


def count_letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def find_script(sample: str) -> tuple[str, float]:
    """Returns the most frequent script and its share (0..1) of the letters; "" without letters."""
    if sample.isascii():  # a sample begins with a letter
        return ("latin", 1.0) if sample else ("", 0.0)
    weights = weigh_scripts(sample)
    if not weights:
        return "", 0.0
    script, weight = weights.most_common(1)[0]
    return script, weight / weights.total()


def weigh_scripts(text: str) -> Counter[str]:
    weights: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if script := script_of(character):
            weights[script] += count * SCRIPT_WEIGHTS.get(script, 1)
    return weights


@lru_cache(maxsize=4096)
def script_of(character: str) -> str:
    """Names the script of a letter; "" for other characters, including ordinals and modifiers."""
    match = SCRIPT.match(character)
    return (match and match.lastgroup) or ""
