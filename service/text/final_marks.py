"""Gives a translation the marks with which its source ends.

Models are trained on sentences, and add a full stop to what is a label or a cell of a table.
"""

import regex

# Marks at the end, before closing quotes and brackets.
FINAL = regex.compile(r"(?P<marks>[.!?…。！？]*)(?P<closers>[\"'”’“»«」』)\]]*)$")
WIDE = str.maketrans("。！？", ".!?")
# It belongs to the word before: an abbreviation or an ordinal, in German.
ABBREVIATION = regex.compile(r"(?:\b\p{Latin}|\b\p{Latin}{1,4}\.\p{Latin}{1,4}|\d)\.$")


def match_final_marks(source: str, translation: str) -> str:
    """The translation with the final marks of its source, and with none if that has none.

    A full stop that may belong to an abbreviation stays. Nothing changes if the source is in
    quotes or brackets on one side alone, where the mark may have moved.
    """
    of_source, of_translation = FINAL.search(source), FINAL.search(translation)
    assert of_source is not None
    assert of_translation is not None
    marks, found = of_source["marks"].translate(WIDE), of_translation["marks"]
    if marks == found or bool(of_source["closers"]) != bool(of_translation["closers"]):
        return translation
    if not marks and found == "." and ABBREVIATION.search(translation):
        return translation
    return (translation[: of_translation.start()] + marks + of_translation["closers"]).rstrip()


def without_final_marks(text: str) -> str:
    """As much of a text as `match_final_marks` leaves as it is, whatever follows."""
    known = FINAL.search(text)
    assert known is not None
    return text[: known.start()].rstrip()
