import pytest

from service.text.masking.times.clock_times import find_clock_times, span_with_words

MASK = "\ue000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The meeting starts at 3 pm.", [("3", "15 Uhr", "오후 3시")]),
        ("at 6:45 p.m. or so", [("6:45", "18:45 Uhr", "오후 6시 45분")]),
        ("at 6.45 AM", [("6.45", "6:45 Uhr", "오전 6시 45분")]),
        ("Dinner is at 7pm.", [("7pm", "19 Uhr", "오후 7시")]),
        ("12 pm, 12 am", [("12", "12 Uhr", "오후 12시"), ("12", "0 Uhr", "오전 12시")]),
        ("12:30 am", [("12:30", "0:30 Uhr", "오전 12시 30분")]),
        ("5-6 pm", [("5-6", "17–18 Uhr", "오후 5시–6시")]),
        ("10–2 pm", [("10–2", "10–14 Uhr", "오전 10시–오후 2시")]),
        ("9 am-5 pm", [("9 am-5", "9–17 Uhr", "오전 9시–오후 5시")]),
        ("from 9 am to 5 pm", [("9", "9 Uhr", "오전 9시"), ("5", "17 Uhr", "오후 5시")]),
        (
            "from 2 to 3:30 pm",
            [("2", "14 Uhr", "오후 2시"), ("3:30", "15:30 Uhr", "오후 3시 30분")],
        ),
        (
            "between 10:30 and 2 pm",
            [("10:30", "10:30 Uhr", "오전 10시 30분"), ("2", "14 Uhr", "오후 2시")],
        ),
        ("It is 10 to 3 pm", [("3", "15 Uhr", "오후 3시")]),
        ("13 pm, 3 pmol, v1.3 am, 3 apples, 1/3 pm, I am 3", []),
    ],
)
def test_english_times_are_given(text: str, expected: list[tuple[str, str, str]]) -> None:
    for column, target in enumerate(("de", "ko"), start=1):
        found = find_clock_times(text, "en", target)
        assert [(text[start:end], given) for start, end, given in found] == [
            (row[0], row[column]) for row in expected
        ]


@pytest.mark.parametrize(
    ("text", "source", "target", "expected"),
    [
        ("um 15 Uhr", "de", "en", [("15", "3 pm")]),
        ("um 18:45 Uhr, 20.30 Uhr", "de", "en", [("18:45", "6:45 pm"), ("20.30", "8:30 pm")]),
        ("um 20 Uhr 15", "de", "en", [("20 Uhr 15", "8:15 pm")]),
        ("um 10 Uhr, um 7:30 Uhr", "de", "en", [("10", "10 o'clock"), ("7:30", "7:30")]),
        ("von 9–17 Uhr", "de", "en", [("9–17", "9 am–5 pm")]),
        ("14-16 Uhr", "de", "en", [("14-16", "2–4 pm")]),
        ("0 Uhr, 24 Uhr", "de", "en", [("0", "12 am"), ("24", "12 am")]),
        ("um 12 Uhr", "de", "en", [("12", "12 o'clock")]),
        ("von 14 bis 16 Uhr", "de", "en", [("14", "2 pm"), ("16", "4 pm")]),
        (
            "zwischen 9:30 Uhr und 17 Uhr",
            "de",
            "ko",
            [("9:30", "오전 9시 30분"), ("17", "오후 5시")],
        ),
        ("von 9 bis 12 Uhr", "de", "en", [("12", "12 o'clock")]),
        ("um 8 Uhr abends", "de", "en", []),
        ("15 Uhren, 3 Stunden", "de", "en", []),
        ("um 15 Uhr", "de", "ko", [("15", "오후 3시")]),
        ("오후 3시에, 오전 11시", "ko", "en", [("3", "3 pm"), ("11", "11 am")]),
        ("오후 6시 45분에", "ko", "en", [("6시 45분", "6:45 pm")]),
        ("오후 7시 반에", "ko", "de", [("7시 반", "19:30 Uhr")]),
        ("오후 3시간 동안, 3시에", "ko", "en", []),
        ("오후 2시부터 3시 반까지", "ko", "en", [("2", "2 pm"), ("3시 반", "3:30 pm")]),
        ("오후 2시 10분에서 3시까지", "ko", "de", [("2시 10분", "14:10 Uhr"), ("3", "15 Uhr")]),
        ("오후 10시부터 2시까지", "ko", "en", [("10", "10 pm"), ("2", "2 am")]),
        ("오전 9시부터 오후 6시까지", "ko", "en", [("9", "9 am"), ("6", "6 pm")]),
        ("오후 2시부터 3시간", "ko", "en", [("2", "2 pm")]),
        ("오후 7시~9시 반에", "ko", "en", [("7시~9시 반", "7–9:30 pm")]),
        ("오전 11-1시", "ko", "de", [("11-1시", "11–13 Uhr")]),
        ("at 3 pm", "en", "en", []),
        ("at 3 pm", "en", "fr", []),
        ("à 3 pm", "fr", "en", []),
    ],
)
def test_times_are_said_as_in_the_target_language(
    text: str, source: str, target: str, expected: list[tuple[str, str]]
) -> None:
    found = find_clock_times(text, source, target)
    assert [(text[start:end], given) for start, end, given in found] == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        (f"Es beginnt um {MASK} Uhr.", "de", f"{MASK} Uhr"),
        (f"um {MASK} Uhr abends", "de", f"{MASK} Uhr abends"),
        (f"um {MASK}.", "de", MASK),
        (f"ab {MASK} PM.", "de", f"{MASK} PM"),
        (f"It starts at {MASK} p.m.", "en", f"{MASK} p.m"),
        (f"at {MASK} p.m. on Sunday", "en", f"{MASK} p.m."),
        (f"at {MASK} o'clock in the morning", "en", f"{MASK} o'clock in the morning"),
        (f"at {MASK} amounts", "en", MASK),
        (f"오후 {MASK}시에 봐요", "ko", f"오후 {MASK}시"),
        (f"{MASK}에 봐요", "ko", MASK),
        (f"오후 {MASK}시 30분에", "ko", f"오후 {MASK}시 30분"),
        (f"{MASK}시간", "ko", MASK),
    ],
)
def test_words_of_a_time_around_its_mask_are_found(text: str, language: str, expected: str) -> None:
    start, end = span_with_words(text, text.index(MASK), language)
    assert text[start:end] == expected
