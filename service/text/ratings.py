"""Spells ratings out in words: "★☆☆☆☆", "4/5", "별점 1점".

Classifiers learn from words: a star is a few bytes that they have hardly seen, and a 5 out of 5 is
not a 5 out of 10. A rating becomes a verdict in the language of the model if it is a clause of its
own, since it is the writer's then. "Who gave this 5 stars?!" is left to the model, which knows such
sentences.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

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
SCORE = f"{START}(?:{'|'.join(SCORES)}){END}"

# A row of stars of which some are empty is a rating anywhere, as are five; others may be ornaments.
FILLED, EMPTY = "★⭐🌟✭✮✯", "☆✩✰"
BLANK = "[ \\t\\ufe0f]*+"  # with the mark that asks for an emoji
ANY_STAR = f"[{FILLED}{EMPTY}]"
STARS = (
    rf"(?:(?P<starts>{START})|(?<!{ANY_STAR}[ \t\ufe0f]{{0,2}}))"
    rf"(?P<filled>[{FILLED}](?:{BLANK}[{FILLED}])*+)(?P<half>½?)"
    rf"(?P<empty>(?:{BLANK}[{EMPTY}])*+)\ufe0f?(?:(?P<ends>{END})|(?!{BLANK}{ANY_STAR}))"
)
RATING = regex.compile(f"{STARS}|{SCORE}", regex.IGNORECASE)
NUM_FULL_STARS = 5


Span = tuple[int, int]


@dataclass(frozen=True)
class Rating:
    """Where a rating is in a text, and the verdict that it stands for."""

    start: int
    end: int
    verdict: str


def find_ratings(text: str, language: str) -> list[Rating]:
    """Finds the ratings of a text, in order; none if the language has no words for them.

    Args:
        text: any string.
        language: code of the language that the model reads.
    """
    verdicts = VERDICTS.get(language)
    if verdicts is None:
        return []
    num_visible = len(text.strip())
    ratings = []
    for match in RATING.finditer(text):
        is_alone = len(match[0]) == num_visible
        share = count_stars(match, is_alone) if match["filled"] else read_score(match)
        if share is not None:
            ratings.append(Rating(*match.span(), choose_verdict(share, verdicts)))
    return ratings


def spell_ratings(text: str, ratings: Sequence[Rating]) -> str:
    """Returns the text with the verdicts in place of its ratings."""
    parts, position = [], 0
    for rating in ratings:
        parts += [text[position : rating.start], rating.verdict]
        position = rating.end
    return "".join([*parts, text[position:]])


def restore_spans(spans: Sequence[Span], ratings: Sequence[Rating]) -> list[Span]:
    """Returns where spans of the spelled text are in the text itself; a verdict is its rating."""
    if not ratings:
        return list(spans)
    shifts = [len(rating.verdict) - (rating.end - rating.start) for rating in ratings]
    moved = list(accumulate(shifts, initial=0))
    starts = [rating.start + shift for rating, shift in zip(ratings, moved, strict=False)]

    def restore_start(at: int) -> int:
        index = bisect_right(starts, at) - 1
        if index >= 0 and at < starts[index] + len(ratings[index].verdict):
            return ratings[index].start
        return at - moved[index + 1]

    def restore_end(at: int) -> int:
        index = bisect_left(starts, at) - 1
        if index >= 0 and at <= starts[index] + len(ratings[index].verdict):
            return ratings[index].end
        return at - moved[index + 1]

    return [(restore_start(start), restore_end(end)) for start, end in spans]


def choose_verdict(share: float, verdicts: tuple[str, ...]) -> str:
    return verdicts[max(0, math.ceil(share * len(verdicts)) - 1)]


def count_stars(match: "regex.Match[str]", is_alone: bool) -> float | None:
    """The share of a row of stars that is filled; None if the row is not a rating."""
    num_filled = sum(map(match["filled"].count, FILLED))
    num_empty = sum(map(match["empty"].count, EMPTY))
    has_half = bool(match["half"])
    num_stars = num_filled + has_half + num_empty
    is_clause = match["starts"] is not None and match["ends"] is not None
    is_rating = is_clause or num_empty or num_stars == NUM_FULL_STARS
    is_ornament = num_stars == 1 and not is_alone
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
