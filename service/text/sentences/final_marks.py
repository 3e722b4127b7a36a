"""Gives a translation the marks with which its source ends.

Models are trained on sentences, and add a full stop to what is a label or a cell of a table.
"""

import regex

# Marks at the end, and the closing quotes and brackets that may follow them.
MARKS, CLOSERS = ".!?…。！？", "\"'”’“»«」』)]"
WIDE = str.maketrans("。！？", ".!?")
# It belongs to the word before: an abbreviation or an ordinal, in German.
ABBREVIATION = regex.compile(r"(?:\b\p{Latin}|\b\p{Latin}{1,4}\.\p{Latin}{1,4}|\d)\.$")
COMMAS = ",、"


def match_final_marks(source: str, translation: str) -> str:
    """The translation with the final marks of its source, and with none if that has none.

    A full stop that may belong to an abbreviation stays; a comma before a mark goes. Nothing
    changes if one side alone is in quotes or brackets, where the mark may have moved.
    """
    _, wanted, closers = split_final_marks(source)
    stem, found, own_closers = split_final_marks(translation)
    wanted = wanted.translate(WIDE)
    if bool(closers) != bool(own_closers):
        return translation
    if not wanted and found == "." and ABBREVIATION.search(translation):
        return translation
    if wanted:
        stem = stem.rstrip(COMMAS)
    return f"{stem}{wanted}{own_closers}".rstrip()


def split_final_marks(text: str) -> tuple[str, str, str]:
    """A text without its final marks, these, and the closing quotes and brackets behind them."""
    body = text.rstrip(CLOSERS)
    stem = body.rstrip(MARKS)
    return stem, body[len(stem) :], text[len(body) :]


def without_final_marks(text: str) -> str:
    """As much of a text as `match_final_marks` leaves as it is, whatever follows."""
    return split_final_marks(text)[0].rstrip().rstrip(COMMAS)
