"""Sentences in capitals alone: a model reads them in sentence case, as nearly all text is written.

People type them, training text hardly has any, and its subwords spell them letter by letter.
"""

from collections.abc import Sequence


def normalize_caps(sentences: Sequence[str]) -> list[str]:
    """The sentences of a text as a model reads them, each as long as it was.

    One word in capitals stays as it is, since it may be an abbreviation, unless all of a longer
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
    """Whether there are letters and all are capitals; sharp s, which is seldom one, may be small.

    Letters that have no capitals, like Hangul, are none; nor may an offset move in small letters.
    """
    if not text.replace("ß", "ẞ").isupper():  # nearly all texts end here
        return False
    return len(text.lower()) == len(text) and all(
        char.isupper() or char == "ß" for char in text if char.isalpha()
    )


def count_words(text: str) -> int:
    """How many words have letters."""
    return sum(any(map(str.isalpha, word)) for word in text.split())


def to_sentence_case(text: str) -> str:
    """A text in capitals with small letters but for the first; as long as it was."""
    first = next(index for index, char in enumerate(text) if char.isalpha())
    return text[: first + 1] + text[first + 1 :].lower()
