"""Lower-cases sentences written in capitals, since nearly all training text is in sentence case.

Users type such sentences, training text has hardly any, and the tokenizer splits them into letters.
"""

from collections.abc import Sequence


def normalize_caps(sentences: Sequence[str]) -> list[str]:
    """Returns the sentences of a text as a model should read them, each at its original length.

    A single word in capitals is kept, since it may be an abbreviation, unless the whole of a longer
    text is in capitals.
    """
    in_capitals = [is_in_capitals(sentence) for sentence in sentences]
    if not any(in_capitals):
        return list(sentences)
    num_words = [count_words(sentence) for sentence in sentences]
    is_whole = sum(num_words) > 1 and all(
        capitals or not count for capitals, count in zip(in_capitals, num_words, strict=True)
    )
    return [
        to_sentence_case(sentence) if capitals and (is_whole or count > 1) else sentence
        for sentence, capitals, count in zip(sentences, in_capitals, num_words, strict=True)
    ]


def is_in_capitals(text: str) -> bool:
    """Tells whether all letters are capitals, of which there are some; a small ß is accepted.

    Letters without case, like Hangul, do not count as capitals. A text whose length would change in
    lower case is not accepted, since offsets would move.
    """
    if not text.replace("ß", "ẞ").isupper():  # nearly all texts end here
        return False
    return len(text.lower()) == len(text) and all(
        char.isupper() or char == "ß" for char in text if char.isalpha()
    )


def count_words(text: str) -> int:
    """Counts the words that contain letters."""
    return sum(any(map(str.isalpha, word)) for word in text.split())


def to_sentence_case(text: str) -> str:
    """Lower-cases all letters but the first; the length stays the same."""
    first = next(index for index, char in enumerate(text) if char.isalpha())
    return text[: first + 1] + text[first + 1 :].lower()
