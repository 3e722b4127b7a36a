"""Spells sentences in the case that models have learnt from, each at its original length.

Users type in capitals, in Title Case, without any capitals, and single words with one. Training
text has hardly any of that, and the tokenizer splits such words into letters and fragments.
"""

import re
from collections.abc import Callable, Sequence

WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
CAPITAL_I = re.compile(r"\bI\b")
# Languages that capitalise all nouns: their sentences look like headlines, and mean it.
NOUN_CAPITALS = frozenset({"de", "lb"})
# A headline has at least this many words that are capitalised or longer than those that headlines
# leave small ("in", "with"); nearly all of these, and most of all words, are capitalised.
MIN_TITLE_WORDS = 4
# With fewer it is a label of a page as often as a name.
SHORT_TITLE_WORDS = range(2, MIN_TITLE_WORDS)
SMALL_WORD_CHARS = 4
MIN_CAPITALISED_OF_LONG, MIN_CAPITALISED = 0.9, 0.65
MAX_LONE_WORDS = 2


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


def normalize_title(sentence: str, reads_lower: Callable[[str], bool]) -> str:
    """Lower-cases the words of a headline ("Two Dogs Are Playing in the Snow") after the first.

    Other sentences are returned as they are. The length stays the same.

    Args:
        sentence: in a language that does not capitalise its nouns.
        reads_lower: tells whether the model knows a capitalised word better in small letters; a
            name is to stay as it is.
    """
    if sentence[1:].islower() or not is_title(WORD.findall(sentence)):  # nearly all are lower
        return sentence
    return lower_title(sentence, reads_lower)


def lower_title(sentence: str, reads_lower: Callable[[str], bool]) -> str:
    """Lower-cases the words of a headline after the first, see `normalize_title`."""
    first = WORD.search(sentence)
    assert first is not None
    return sentence[: first.end()] + lower_words(sentence[first.end() :], reads_lower)


def is_short_title(text: str) -> bool:
    """Tells whether two or three words are in Title Case: a label ("My Orders"), or a name."""
    if text[1:].islower() or text.isupper():  # nearly all are lower
        return False
    words = WORD.findall(text)
    is_short = len(words) in SHORT_TITLE_WORDS
    return is_short and is_title(words, min(SHORT_TITLE_WORDS))


def normalize_lone_words(text: str, knows_lower: Callable[[str], bool]) -> str:
    """Lower-cases the words of a text of one or two ("Umbrella") that are capitalised.

    Args:
        text: in a language that does not capitalise its nouns.
        knows_lower: tells whether the model knows a capitalised word far better in small letters.
    """
    if count_words(text) > MAX_LONE_WORDS:  # nearly all texts end here
        return text
    return lower_words(text, knows_lower)


def lower_words(text: str, is_wanted: Callable[[str], bool]) -> str:
    """Lower-cases the capitalised words of a text for which that is wanted."""

    def lower(match: re.Match[str]) -> str:
        word = match[0]
        return word.lower() if is_capitalised(word) and is_wanted(word) else word

    return WORD.sub(lower, text)


def restore_capitals(sentence: str, knows_capital: Callable[[str], bool]) -> str:
    """Capitalises words of a sentence that has no capitals but its first, and the English "I".

    Args:
        sentence: with small letters alone where names or nouns could be.
        knows_capital: tells whether the model knows a word better with a capital: "berlin".
    """
    if any(map(str.isupper, CAPITAL_I.sub("", sentence)[1:])):  # most sentences end here
        return sentence

    def capitalise(match: re.Match[str]) -> str:
        word = match[0]
        upper = word[0].upper() + word[1:]
        return upper if len(upper) == len(word) and knows_capital(word) else word

    return WORD.sub(capitalise, sentence)


def is_title(words: Sequence[str], min_words: int = MIN_TITLE_WORDS) -> bool:
    """Tells whether the words are in Title Case: nearly all of some number are capitalised."""
    num_capitals = sum(word[0].isupper() for word in words)
    if num_capitals < MIN_CAPITALISED * len(words):  # nearly all sentences end here
        return False
    num_long = sum(word[0].isupper() or len(word) > SMALL_WORD_CHARS for word in words)
    return num_long >= min_words and num_capitals >= MIN_CAPITALISED_OF_LONG * num_long


def is_capitalised(word: str) -> bool:
    """Tells whether only the first letter is a capital; the English "I" always is one."""
    if re.split("['\u2019]", word, maxsplit=1)[0] == "I":
        return False
    lower = word.lower()
    return len(lower) == len(word) and word[0] != lower[0] and word[1:] == lower[1:]
