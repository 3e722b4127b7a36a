"""Times of day in figures: "3 pm", "15 Uhr", "오후 3시". Each language has its own clock.

A model that has learnt to copy figures writes "3 Uhr" for "3 pm", and a train is missed by twelve
hours. So the figures are masked, and what goes back is the time as the target language says it, in
place of the words that the model wrote around the mask. Pure functions.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import regex

Half = Literal["am", "pm", ""]
"""Of the day; "" where a text does not tell, as German does not with hours up to twelve."""

NOON = 12
BEFORE = r"(?<![\d:.,/\p{Latin}–-])"
CLOCK = r"(?<{0}>2[0-4]|[01]?\d)(?:[:.](?<{1}>[0-5]\d))?"
FIRST, LAST = CLOCK.format("first_hour", "first_minute"), CLOCK.format("last_hour", "last_minute")
HALF = r"(?:m\b|\.\s?m(?:\.|\b))"
OTHER = CLOCK.format("other_hour", "other_minute")
FIGURES = rf"{BEFORE}(?<figures>(?:{FIRST}(?:\s?(?<first_half>[ap]){HALF})?\s?[–-]\s?)?{LAST})"
HOUR_12 = r"1[0-2]|0?\d"
O_CLOCK = r"\s?시(?!간)"
MINUTES = r"(?:\s?(?:(?<{0}_minute>[0-5]?\d)\s?분|(?<{0}_thirty>반)))"
TO = rf"\s?[~\uff5e–-]\s?(?<last_hour>{HOUR_12}){O_CLOCK}"
DAYTIME = "morgens|früh|vormittags|mittags|nachmittags|abends|nachts"
PM = r"\s?(?:[ap]m\b|[ap]\.\s?m\.(?=\s*\S)|[ap]\.\s?m\b)"  # but not the end of the sentence
HALVES: Final[Mapping[str, Half]] = {"a": "am", "p": "pm", "오전": "am", "오후": "pm"}


class ClockTime(NamedTuple):
    """A stretch of a text, `text[start:end]`, that says a time, and its translation."""

    start: int
    end: int
    text: str


class Time(NamedTuple):
    """A time on the clock of twelve hours, or of 24 if the half of the day is told."""

    hour: int
    minute: int
    half: Half

    @property
    def on_12(self) -> int:
        return self.hour % NOON or NOON

    @property
    def on_24(self) -> int:
        if not self.half:
            return self.hour
        return self.hour % NOON + (NOON if self.half == "pm" else 0)


@dataclass(frozen=True)
class Clock:
    """How a language says times.

    Attributes:
        pattern: what says a time, or from when to when. The model sees the words beside the
            figures, unless these go on behind them or are glued to them ("rest"). The group
            "other" has the figures at the other end of a range in words: "from 2 to 3 pm".
        read: returns the times of a match in their order, or an empty list if its figures are not
            times.
        say: returns the times as this language says them.
        before, behind: what a translation may have around the mask of a time.
    """

    pattern: regex.Pattern[str]
    read: Callable[[regex.Match[str]], list[Time]]
    say: Callable[[list[Time]], str]
    before: regex.Pattern[str]
    behind: regex.Pattern[str]


def find_clock_times(text: str, source: str, target: str) -> Iterator[ClockTime]:
    """The times of a text in the source language; none if either language is not known."""
    if source not in CLOCKS or target not in CLOCKS or source == target:
        return
    clock, say = CLOCKS[source], CLOCKS[target].say
    for match in clock.pattern.finditer(text):
        times = clock.read(match)
        if not times:
            continue
        end = match.end("figures") if match["rest"] is None else match.end("rest")
        start = match.start("figures")
        if match["other"] is None:
            yield ClockTime(start, end, say(times))
            continue
        is_first = match.start("other") < start
        other = times.pop(0 if is_first else -1)
        found = [ClockTime(start, end, say(times))]
        if other.half:  # else its figures are as good as any
            found.append(ClockTime(*match.span("other"), say([other])))
        yield from sorted(found)


def span_with_words(text: str, place: int, language: str) -> tuple[int, int]:
    """A mask at a place of a translation, with the words of a time that stand around it."""
    clock = CLOCKS[language]
    first, last = clock.before.search(text, 0, place), clock.behind.match(text, place + 1)
    assert first is not None
    assert last is not None
    return first.start(), last.end()


def read_english(match: regex.Match[str]) -> list[Time]:
    last = read_time(match, "last", HALVES[match["half"].lower()])
    times = [last]
    for name in ("first", "other"):
        if match[f"{name}_hour"]:
            first = read_time(match, name, last.half)
            if name == "first" and match["first_half"]:
                first = first._replace(half=HALVES[match["first_half"].lower()])
            elif first.hour % NOON > last.hour % NOON:  # from 10 to 2 pm
                first = first._replace(half=change(last.half))
            times.insert(0, first)
    return times if all(1 <= time.hour <= NOON for time in times) else []


def read_german(match: regex.Match[str]) -> list[Time]:
    names = [name for name in ("other", "first", "last") if match[f"{name}_hour"]]
    times = [read_time(match, name, "") for name in names]
    if not any(time.hour > NOON or time.hour == 0 for time in times):
        return times
    return [
        Time(time.hour % 24, time.minute, "pm" if NOON <= time.hour < 24 else "am")
        for time in times
    ]


def read_korean(match: regex.Match[str]) -> list[Time]:
    first = read_time(match, "first", HALVES[match["half"]])
    times = [first]
    for name in ("last", "other"):
        if match[f"{name}_hour"]:
            last = read_time(match, name, first.half)
            if first.hour % NOON > last.hour % NOON:  # 오후 10시부터 2시까지
                last = last._replace(half=change(first.half))
            times.append(last)
    return times


def change(half: Half) -> Half:
    return "am" if half == "pm" else "pm"


def read_time(match: regex.Match[str], name: str, half: Half) -> Time:
    minute = match[f"{name}_minute"] or 0
    is_half_past = f"{name}_thirty" in match.re.groupindex and match[f"{name}_thirty"]
    return Time(int(match[f"{name}_hour"]), 30 if is_half_past else int(minute), half)


def say_in_english(times: list[Time]) -> str:
    last = times[-1]
    mark = f" {last.half}" if last.half else "" if last.minute else " o'clock"
    return "–".join(show_on_12(time, last.half) for time in times) + mark


def show_on_12(time: Time, known_half: Half) -> str:
    figures = f"{time.on_12}:{time.minute:02}" if time.minute else str(time.on_12)
    return figures if time.half == known_half else f"{figures} {time.half}"


def say_in_german(times: list[Time]) -> str:
    return f"{'–'.join(show_on_24(time) for time in times)} Uhr"


def show_on_24(time: Time) -> str:
    return f"{time.on_24}:{time.minute:02}" if time.minute else str(time.on_24)


def say_in_korean(times: list[Time]) -> str:
    """The half of the day stands before the first time, and again where it is another one."""
    said = []
    half: Half = ""
    for time in times:
        before = "" if time.half == half else {"am": "오전 ", "pm": "오후 ", "": ""}[time.half]
        said.append(f"{before}{time.on_12}시" + (f" {time.minute}분" if time.minute else ""))
        half = time.half
    return "–".join(said)


CLOCKS: Final[Mapping[str, Clock]] = {
    "en": Clock(
        regex.compile(
            rf"(?:\b(?:from|between)\s(?<other>{OTHER})\s(?:to|and|until|till)\s)?"
            rf"{FIGURES}(?:\s(?<half>[ap]){HALF}|(?<rest>(?<half>[ap]){HALF}))(?![\p{{L}}\d])",
            regex.IGNORECASE,
        ),
        read_english,
        say_in_english,
        before=regex.compile(r"\Z"),
        behind=regex.compile(
            rf"(?:\s?(?:o['’]clock|hours)\b|{PM})?"
            r"(?:\s?(?:in the (?:morning|afternoon|evening)|at night)\b)?",
            regex.IGNORECASE,
        ),
    ),
    "de": Clock(
        regex.compile(
            rf"(?:\b(?:[Vv]on|[Zz]wischen)\s(?<other>{OTHER})\s(?:Uhr\s)?(?:bis|und)\s)?"
            rf"{FIGURES}\s?Uhr\b(?<rest>\s(?<last_minute>[0-5]\d)\b)?(?!\s(?:{DAYTIME})\b)"
        ),
        read_german,
        say_in_german,
        before=regex.compile(r"\Z"),
        behind=regex.compile(rf"(?:\s?Uhr\b|{PM})?(?:\s(?:{DAYTIME})\b)?", regex.IGNORECASE),
    ),
    "ko": Clock(
        regex.compile(
            rf"(?<half>오전|오후)\s?(?<figures>(?<first_hour>{HOUR_12}))"
            rf"(?:{O_CLOCK}(?<rest>{MINUTES.format('first')}?{TO}{MINUTES.format('last')}?)"
            rf"|(?<rest>{TO}{MINUTES.format('last')}?)"
            rf"|{O_CLOCK}(?<rest>{MINUTES.format('first')})?)"
            rf"(?:(?:부터|에서)\s(?:(?<other>(?<other_hour>{HOUR_12}){O_CLOCK}{MINUTES.format('other')})"
            rf"|(?<other>(?<other_hour>{HOUR_12}))(?={O_CLOCK})))?"
        ),
        read_korean,
        say_in_korean,
        before=regex.compile(r"(?:(?:오전|오후)\s?)?\Z"),
        behind=regex.compile(
            rf"(?:\s?시(?!간)(?:\s?(?:반|\d{{1,2}}\s?분))?|{PM})?", regex.IGNORECASE
        ),
    ),
}
