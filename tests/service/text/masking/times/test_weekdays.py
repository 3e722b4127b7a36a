import pytest

from service.text.masking.times.weekdays import find_single_weekdays, find_weekdays


@pytest.mark.parametrize(
    ("text", "source", "target", "expected"),
    [
        ("Open Mon-Fri", "en", "de", {"Mon-Fri": "Mo-Fr"}),
        (
            "Open Mon–Fri, closed Sat & Sun.",
            "en",
            "ko",
            {"Mon–Fri": "월–금", "Sat & Sun": "토, 일"},
        ),
        ("Tues, Thurs and Sat", "en", "de", {"Tues, Thurs and Sat": "Di, Do und Sa"}),
        ("Mo.–Fr. geöffnet", "de", "en", {"Mo.–Fr.": "Mon–Fri"}),
        ("Sa und So zu.", "de", "en", {"Sa und So": "Sat and Sun"}),
        (
            "Mo–Fr 8–18 Uhr, Sa 9 Uhr, So geschlossen",
            "de",
            "en",
            {"Mo–Fr": "Mon–Fri", "Sa": "Sat", "So": "Sun"},
        ),
        ("Sat 9-12, Sun closed", "en", "de", {"Sat": "Sa", "Sun": "So"}),
        ("So 5 Minuten später", "de", "en", {}),
        ("월~금 9시", "ko", "en", {"월~금": "Mon–Fri"}),
        ("월요일~금요일에", "ko", "de", {"월요일~금요일": "Mo–Fr"}),
        ("월·수·금 수업", "ko", "en", {"월·수·금": "Mon, Wed, Fri"}),
        ("Sun and moon, We sat. Sun!", "en", "de", {}),
        ("So ist es, Mo Farah", "de", "en", {}),
        ("일 년, 월세, 수, 금액", "ko", "en", {}),
        ("Mon-Fri", "en", "fr", {}),
        ("lun-ven", "fr", "en", {}),
        ("Mon-Fri", "en", "en", {}),
    ],
)
def test_days_in_short_are_those_of_the_target_language(
    text: str, source: str, target: str, expected: dict[str, str]
) -> None:
    found = find_weekdays(text, source, target)

    assert {text[start:end]: said for start, end, said in found} == expected


@pytest.mark.parametrize(
    ("text", "source", "expected"),
    [
        ("on Fri, Dec 4", "en", {"Fri": "Friday"}),
        ("Thurs. 10 December", "en", {"Thurs.": "Thursday"}),
        ("The Sun, we sat", "en", {}),
        ("12월 5일(금) 오후", "ko", {"(금)": " 금요일"}),
        ("12월 5일 (금요일)", "ko", {" (금요일)": " 금요일"}),
        ("가격(금)", "ko", {}),
        ("Fr, 4. Dezember", "de", {}),
        ("Hast du am Sa. Zeit?", "de", {"Sa.": "Samstag"}),
        ("bis Fr", "de", {"Fr": "Freitag"}),
        ("am So. Dann kommt er.", "de", {"So.": "Sonntag"}),
        ("See you on Sat.", "en", {"Sat": "Saturday"}),
    ],
)
def test_day_beside_a_date_is_read_in_full(
    text: str, source: str, expected: dict[str, str]
) -> None:
    found = find_single_weekdays(text, source)

    assert {text[start:end]: full for start, end, full in found} == expected
