"""Splits a text into sentences without losing a character. Independent of models.

sentencex has the rules of each language (abbreviations, quotes); `sentence_ends` mends its ends.
"""

from itertools import accumulate, pairwise

import regex
import sentencex

from service.text.sentences.enclosures import find_enclosed
from service.text.sentences.ends import mend_segments

EMOJI = regex.compile(
    r"[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\ufe0f\u200d]"
)


def is_emoji(character: str) -> bool:
    return bool(EMOJI.fullmatch(character)) and character not in "©®™"


# One character replaces one, so that lengths stay. Surrogates are not valid Unicode, and sentencex
# 1.0.32 panics if non-ASCII white space and a full stop follow a capital letter.
# Emoji and symbols are space, too: a sentence that follows one behind a full stop is another one.
SUBSTITUTES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd") | {
    code: " "
    for code in (*range(0x80, 0x3001), *range(0x1F000, 0x1FB00))
    if chr(code).isspace() or is_emoji(chr(code))
}

# What begins a line of a list, a heading, a quotation or a comment is copied.
LINE_BREAKS = dict.fromkeys(map(ord, "\n\r\t\v\f"), " ")
LINE_MARK = regex.compile(
    r"\s*(?:(?:[-*+•‣▪◦·–—>]|\#{1,6}|\d{1,3}[.)]|[a-z]\)|[A-Z]\d?:|\[[ xX]\]|//+)\s+)+(?=\S)"
)
BREAK = regex.compile(r"(?P<mark>[,;:–—…)]?)(?P<space>\s+)(?=\S)")
# A bar alone separates the cells of a table and the items of a menu, and other signs do so between
# words. Between figures and letters they make a formula.
BAR = r"(?:(?<!\s)\s++)?+(?<!\S)\|(?!\S)\s*+"
SIGN = (
    r"(?<=\p{Hangul}|\p{L}{2}|\p{L}[\"'”’)\]])\s++[=+/>→⇒]\s++"
    r"(?=[\"'“‘„(\[]?(?:\p{Hangul}|\p{L}{2}|[Aa]\s\p{L}{2}))"
)
SEPARATOR = regex.compile(rf"(\t+|{BAR}|{SIGN})")
SIGN_SEPARATOR = regex.compile(rf"({BAR}|{SIGN})")
SEPARATOR_HINT = regex.compile(r"[\t|=+/>→⇒]")

# sentencex is quadratic in the length of a line full of opening quotes, so it gets a window at a
# time. No sentence that a model accepts is longer.
WINDOW_CHARS = 4000


def split(text: str, language: str, *, has_lines: bool = True) -> list[tuple[str, str]]:
    """Splits a text into sentences, each with the white space that follows it.

    Concatenating all parts gives the text back exactly. Leading white space and empty lines become
    pairs with an empty sentence, and so do the marks that begin a line. A line break, a tab, a bar
    between spaces and a lone sign between words (`=`, `+`, `/`, `>`) always end a sentence.
    Brackets and quotation marks around a whole sentence go with the white space.

    Args:
        text: any string.
        language: code; the general rules apply if it has none of its own.
        has_lines: whether line breaks and tabs are more than a space.
    """
    pairs: list[tuple[str, str]] = []
    if not has_lines:
        append_line(pairs, text, language, SIGN_SEPARATOR)
        return pairs
    for line in text.splitlines(keepends=True):
        mark = LINE_MARK.match(line)
        if mark:
            append_space(pairs, mark[0])
        append_line(pairs, line[mark.end() if mark else 0 :], language, SEPARATOR)
    return pairs


def append_line(
    pairs: list[tuple[str, str]], line: str, language: str, separator: "regex.Pattern[str]"
) -> None:
    """Appends the sentences of each cell of a line."""
    has_cells = SEPARATOR_HINT.search(line) is not None  # nearly no line has
    for index, cell in enumerate(separator.split(line) if has_cells else [line]):
        if index % 2:
            append_space(pairs, cell)
        else:
            for segment in segment_line(cell, language):
                append_segment(pairs, segment, language)


def cut_in_two(sentence: str) -> list[tuple[str, str]]:
    """The halves of a sentence, each with the white space that follows it.

    It is cut behind a mark between clauses if there is one near its middle, else between words; a
    single word stays whole.
    """
    middle = len(sentence) / 2
    places = [
        (abs(match.start() - middle) * (1.0 if match["mark"] else 3.0), match)
        for match in BREAK.finditer(sentence)
    ]
    if not places:
        return [(sentence, "")]
    _, match = min(places, key=lambda place: place[0])
    start = match.start("space")
    return [(sentence[:start], match["space"]), (sentence[match.end() :], "")]


def segment_line(line: str, language: str) -> list[str]:
    """Splits a line into sentences with their white space; cuts those longer than the window."""
    segments: list[str] = []
    start = 0
    while start < len(line):
        window = line[start : start + WINDOW_CHARS]
        found = segment_window(window, language)
        if start + len(window) < len(line):
            # The last sentence may continue beyond the window, so the next window starts with it.
            found = found[:-1] or [cut_words(window)]
        segments += found
        start += sum(map(len, found))
    return segments


def segment_window(window: str, language: str) -> list[str]:
    lengths = [len(part) for part in call_sentencex(window.translate(SUBSTITUTES), language)]
    if sum(lengths) != len(window):
        return [window]  # a poor sentence, but a lost character would be worse
    # Cut the window itself: the parts have lost what was substituted.
    bounds = accumulate(lengths, initial=0)
    return mend_segments([window[start:end] for start, end in pairwise(bounds)], language)


def cut_words(window: str) -> str:
    """As many whole words as fit, or the whole window if it is a single word."""
    return window[: window.rfind(" ") + 1] or window


def call_sentencex(line: str, language: str) -> list[str]:
    line = line.translate(LINE_BREAKS)
    try:
        return list(sentencex.segment(language, line))
    except BaseException as exc:
        # A panic in Rust arrives as a BaseException whose class cannot be imported.
        if type(exc).__name__ != "PanicException":
            raise
        return [line]


def append_segment(pairs: list[tuple[str, str]], segment: str, language: str) -> None:
    body = segment.lstrip()
    leading = segment[: len(segment) - len(body)]
    sentence = body.rstrip()
    trailing = body[len(sentence) :]
    if leading:
        append_space(pairs, leading)
    enclosed = find_enclosed(sentence)
    if enclosed:
        start, end = enclosed
        append_space(pairs, sentence[:start])
        for inner in segment_line(sentence[start:end], language):
            append_sentence(pairs, inner)
        append_space(pairs, sentence[end:] + trailing)
    elif sentence:
        pairs.append((sentence, trailing))


def append_sentence(pairs: list[tuple[str, str]], segment: str) -> None:
    sentence = segment.rstrip()
    pairs.append((sentence, segment[len(sentence) :]))


def append_space(pairs: list[tuple[str, str]], space: str) -> None:
    before = pairs.pop() if pairs else ("", "")
    pairs.append((before[0], before[1] + space))
