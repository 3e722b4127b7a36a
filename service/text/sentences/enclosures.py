"""Finds the brackets and quotation marks that a whole sentence stands in.

A translator drops or doubles them, so they are copied, and what is inside them is translated.
"""

import regex

# Closing marks by opening mark. Braces are placeholders.
CLOSERS = {
    **{"(": ")", "[": "]", "（": "）", "【": "】", "「": "」", "『": "』", "《": "》", "〈": "〉"},
    **{'"': '"', "'": "'", "“": "”", "‘": "’", "„": "“”", "‚": "‘’"},
    **{"«": "»", "»": "«", "‹": "›", "›": "‹"},
}
FINAL_MARKS = ".!?…。！？"
ENCLOSED = regex.compile(
    rf"(?P<opening>[{regex.escape(''.join(CLOSERS))}])(?P<inner>.+)"
    rf"(?P<closing>[^{FINAL_MARKS}])[{FINAL_MARKS}]*+",
    regex.DOTALL,
)
APOSTROPHE = regex.compile(r"(?<=\p{L})['’](?=\p{L})")
# What has none is a label or an emoticon: "(c)".
WORD = regex.compile(r"\p{Hangul}|\p{L}{2}")
KEY = regex.compile(r"[\p{Lu}\d_.-]+")
# "((Yes.))" is rare, and thousands of brackets are nothing to follow.
MAX_DEPTH = 3


def find_enclosed(sentence: str) -> tuple[int, int] | None:
    """The start and end of what stands in brackets or quotation marks; None unless all of it does.

    Final marks may follow them, as in "(two dogs).".

    Args:
        sentence: without white space at its ends.
    """
    start, end = 0, len(sentence)
    for _ in range(MAX_DEPTH):
        match = ENCLOSED.fullmatch(sentence, start, end)
        if match is None or not is_enclosed(match["opening"], match["inner"], match["closing"]):
            break
        inner = match["inner"]
        start = match.start("inner") + len(inner) - len(inner.lstrip())
        end = match.start("inner") + len(inner.rstrip())
    return (start, end) if start else None


def is_enclosed(opening: str, inner: str, closing: str) -> bool:
    """Whether two marks are a pair, and words are between them."""
    is_key = opening == "[" and KEY.fullmatch(inner) is not None
    has_words = WORD.search(inner) is not None and not is_key
    return has_words and closing in CLOSERS[opening] and is_pair(opening, inner)


def is_pair(opening: str, inner: str) -> bool:
    """Whether nothing within closes what a mark opened."""
    closers, depth = CLOSERS[opening], 1
    for character in APOSTROPHE.sub("", inner):
        if character in closers:
            depth -= 1
        elif character == opening:
            depth += 1
        if not depth:
            return False
    return depth == 1
