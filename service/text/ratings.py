"""Spells ratings out in words: "★☆☆☆☆", "4/5", "별점 1점".

Classifiers learn from words: a star is a few bytes that they have hardly seen, and a 5 out of 5 is
not a 5 out of 10. A rating becomes a verdict in the language of the model if it is a clause of its
own, since it is the writer's then. "Who gave this 5 stars?!" is left to the model, which knows such
sentences.
"""

import math
from collections.abc import Callable

import regex

# From the lowest to the highest rating, at equal distances.
VERDICTS = {
    "en": ("awful", "bad", "mediocre", "very good", "excellent"),
    "ko": ("최악이에요", "별로예요", "그저 그래요", "좋아요", "최고예요"),
}

# What a rating is out of if it does not say so: the first that it does not exceed.
USUAL_SCALES = (5, 10, 100)
MAX_STARS = 10
NUMBERS = {
    **{"one": 1, "two": 2, "three": 3, "four": 4, "five": 5},
    # Korean ones as they stand alone, and before a word
    **{"하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "넷": 4, "네": 4, "다섯": 5},
}

START = r"(?<=(?:^|[.!?:;,(\n\u2013\u2014-])\s{0,3})"
END = r"(?=\s{0,3}(?:[.!?:;,)\n\u2013\u2014-]|$))"
NUMBER = r"(?P<value>\d{1,3}(?:[.,]\d{1,2})?)(?![.,]?\d)"
SCALE = r"(?P<scale>5|10|100)(?!\d)"
# "I give it ..." and "It is ..." follow the number in Korean.
GIVEN = r"(?: ?(?:입니다|이에요|예요|이다|드립니다|드려요|드릴게요|줍니다|줄게요|준다|줌))?"

SCORES = (
    rf"{NUMBER}\s?(?:/|out of)\s?{SCALE}(?:\s?(?:stars?|points?|점))?",
    r"(?P<value>[0-5](?:[.,]\d)?|one|two|three|four|five) stars?",
    rf"(?:[별평]점 ?)?{SCALE}점 ?만점에 ?{NUMBER} ?점{GIVEN}",
    rf"(?:별점|(?P<ten>평점))(?:은|는)? ?:? ?{NUMBER} ?점?(?: ?/ ?{SCALE}점?)?{GIVEN}",
    rf"별 ?(?P<value>(?:[1-5]|한|두|세|네|다섯) ?개|하나|둘|셋|넷|다섯){GIVEN}",
)
SCORE = regex.compile(f"{START}(?:{'|'.join(SCORES)}){END}", regex.IGNORECASE)

# A row of stars of which some are empty is a rating anywhere, as are five; others may be ornaments.
FILLED, EMPTY = "★⭐🌟✭✮✯", "☆✩✰"
BLANK = "[ \\t\\ufe0f]*+"  # with the mark that asks for an emoji
ANY_STAR = f"[{FILLED}{EMPTY}]"
STARS = regex.compile(
    rf"(?:(?P<starts>{START})|(?<!{ANY_STAR}[ \t\ufe0f]{{0,2}}))"
    rf"(?P<filled>[{FILLED}](?:{BLANK}[{FILLED}])*+)(?P<half>½?)"
    rf"(?P<empty>(?:{BLANK}[{EMPTY}])*+)\ufe0f?(?:(?P<ends>{END})|(?!{BLANK}{ANY_STAR}))"
)
NUM_FULL_STARS = 5


def spell_ratings(text: str, language: str) -> str:
    """Returns the text with its ratings in words; as it is if the language has no words for them.

    Args:
        text: any string.
        language: code of the language that the model reads.
    """
    verdicts = VERDICTS.get(language)
    if verdicts is None:
        return text

    def spell_with(
        read: Callable[["regex.Match[str]"], float | None],
    ) -> Callable[["regex.Match[str]"], str]:
        def spell(match: "regex.Match[str]") -> str:
            share = read(match)
            return match[0] if share is None else choose_verdict(share, verdicts)

        return spell

    return SCORE.sub(spell_with(read_score), STARS.sub(spell_with(count_stars), text))


def choose_verdict(share: float, verdicts: tuple[str, ...]) -> str:
    return verdicts[max(0, math.ceil(share * len(verdicts)) - 1)]


def count_stars(match: "regex.Match[str]") -> float | None:
    """The share of a row of stars that is filled; None if the row is not a rating."""
    num_filled = sum(map(match["filled"].count, FILLED))
    num_empty = sum(map(match["empty"].count, EMPTY))
    has_half = bool(match["half"])
    num_stars = num_filled + has_half + num_empty
    is_clause = match["starts"] is not None and match["ends"] is not None
    is_rating = is_clause or num_empty or num_stars == NUM_FULL_STARS
    is_ornament = num_stars == 1 and match[0] != match.string
    if is_ornament or not is_rating or num_stars > MAX_STARS:
        return None
    value = num_filled + 0.5 * has_half
    return value / (num_stars if num_empty else find_scale(value))


def read_score(match: "regex.Match[str]") -> float | None:
    """The score as a share of what it is out of; None if it is above that."""
    number = match["value"].removesuffix("개").strip().lower()
    value = float(NUMBERS.get(number, number.replace(",", ".")))
    usual = 10 if match["ten"] else find_scale(value)  # film scores in Korea go up to ten
    scale = int(match["scale"] or usual)
    return value / scale if value <= scale else None


def find_scale(value: float) -> int:
    return next((scale for scale in USUAL_SCALES if value <= scale), USUAL_SCALES[-1])
