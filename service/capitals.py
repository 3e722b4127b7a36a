"""Sentences in capitals alone: a model reads them in sentence case, as nearly all text is written.

People type them, training text hardly has any, and its subwords spell them letter by letter.
"""


def is_all_caps(text: str) -> bool:
    """Whether two words or more have letters, and all of these are capitals.

    One such word may be an abbreviation, and so may those among letters that have no capitals.
    """
    return (
        text.isupper()  # false for nearly all texts
        and all(char.isupper() for char in text if char.isalpha())
        and sum(any(map(str.isalpha, word)) for word in text.split()) > 1
        and len(text.lower()) == len(text)  # offsets stay
    )


def to_sentence_case(text: str) -> str:
    """A text in capitals with small letters but for the first; as long as it was."""
    first = next(index for index, char in enumerate(text) if char.isalpha())
    return text[: first + 1] + text[first + 1 :].lower()
