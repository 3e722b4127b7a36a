import pytest

from service.text.masking.times.half_hours import find_half_hours, says_half_hour


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Treffen wir uns um halb drei?", "de", [("halb drei", "2:30")]),
        ("Es ist Halb eins oder halb 2.", "de", [("Halb eins", "12:30"), ("halb 2", "1:30")]),
        ("um halb zwölf", "de", [("halb zwölf", "11:30")]),
        ("It's half past two.", "en", [("half past two", "2:30")]),
        ("half past 12", "en", [("half past 12", "12:30")]),
        ("열한 시 반에 만나요.", "ko", [("열한 시 반", "11:30")]),
        ("2시 30분", "ko", [("2시 30분", "2:30")]),
        ("halb so viel, ein halber Liter, halb dreißig", "de", []),
        ("half the time, halfpast twothirds", "en", []),
        ("몇 시 반", "ko", []),
        ("deux heures et demie", "fr", []),
    ],
)
def test_half_hours_are_found_with_their_figures(
    text: str, language: str, expected: list[tuple[str, str]]
) -> None:
    found = [(text[start:end], figures) for start, end, figures in find_half_hours(text, language)]
    assert found == expected


@pytest.mark.parametrize(
    ("text", "figures", "language"),
    [
        *(
            ("half past two", "2:30", "en"),
            ("at two thirty", "2:30", "en"),
            ("2:30 pm", "2:30", "en"),
        ),
        *(("at 14:30", "2:30", "en"), ("um 02.30 Uhr", "2:30", "de"), ("halb drei", "2:30", "de")),
        *(("zwei Uhr dreißig", "2:30", "de"), ("halb 1", "12:30", "de"), ("00:30", "12:30", "en")),
        *(("두 시 반", "2:30", "ko"), ("2시 반", "2:30", "ko"), ("열두시 30분", "12:30", "ko")),
        ("deux heures et demie", "2:30", "fr"),
    ],
)
def test_half_hour_may_be_said_in_many_ways(text: str, figures: str, language: str) -> None:
    assert says_half_hour(text, figures, language)


@pytest.mark.parametrize(
    ("text", "figures", "language"),
    [
        *(("half past three", "2:30", "en"), ("12:30", "2:30", "en"), ("two", "2:30", "en")),
        *(("halb zwei", "2:30", "de"), ("3:30", "2:30", "de"), ("세 시 반", "2:30", "ko")),
    ],
)
def test_another_time_is_not_it(text: str, figures: str, language: str) -> None:
    assert not says_half_hour(text, figures, language)
