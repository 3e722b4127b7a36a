import pytest

from service.text.masking.spelled_numbers import find_spelled_numbers, says_number


def find(text: str, language: str) -> list[tuple[str, int]]:
    return [
        (text[start:end], int(figures))
        for start, end, figures in find_spelled_numbers(text, language)
    ]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("We are twenty-one.", "en", [("twenty-one", 21)]),
        ("FIFTY SIX dogs", "en", [("FIFTY SIX", 56)]),
        ("a hundred and fifty of them", "en", [("a hundred and fifty", 150)]),
        ("nine hundred two", "en", [("nine hundred two", 902)]),
        (
            "two thousand, three hundred and four",
            "en",
            [("two thousand, three hundred and four", 2304)],
        ),
        ("twelve thousand five", "en", [("twelve thousand five", 12_005)]),
        ("fifteen hundred euros", "en", [("fifteen hundred", 1500)]),
        (
            "in nineteen eighty-four or twenty twelve",
            "en",
            [("nineteen eighty-four", 1984), ("twenty twelve", 2012)],
        ),
        ("a twenty-four-hour clock", "en", [("twenty-four", 24)]),
        ("Wir sind einundzwanzig.", "de", [("einundzwanzig", 21)]),
        ("Dreihundertfünfzig Leute", "de", [("Dreihundertfünfzig", 350)]),
        ("hundertundeins und tausendzwei", "de", [("hundertundeins", 101), ("tausendzwei", 1002)]),
        ("neunzehnhundertelf", "de", [("neunzehnhundertelf", 1911)]),
        ("zwölftausendvierzig", "de", [("zwölftausendvierzig", 12_040)]),
        ("삼백오십 명이 살아요.", "ko", [("삼백오십", 350)]),
        ("스물세 살이고 마흔다섯이에요.", "ko", [("스물세", 23), ("마흔다섯", 45)]),
        ("삼만 오천 원", "ko", [("삼만 오천", 35_000)]),
        ("이십만 원을", "ko", [("이십만", 200_000)]),
        ("천구백팔십사 년에", "ko", [("천구백팔십사", 1984)]),
        ("방 번호는 이백삼십이에요.", "ko", [("이백삼십", 230)]),
        ("구백십이 호예요.", "ko", [("구백십이", 912)]),
    ],
)
def test_numbers_are_found_with_their_values(
    text: str, language: str, expected: list[tuple[str, int]]
) -> None:
    assert find(text, language) == expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        *(("twelve", "en"), ("twenty", "en"), ("one hundred percent", "en"), ("eighteen", "en")),
        *(("at seven thirty", "en"), ("ten forty-five", "en"), ("eleven thirty", "en")),
        *(("the twenty-first", "en"), ("one hundred and first", "en"), ("two-thirds", "en")),
        *(("twenty-four seven", "en"), ("fifty-fifty", "en"), ("three hundred million", "en")),
        *(("zwanzig", "de"), ("tausend Dank", "de"), ("am einundzwanzigsten", "de")),
        *(("um zehn Uhr fünfundvierzig", "de"), ("Tausendundeine Nacht", "de"), ("Achtung", "de")),
        *(
            ("천만에요.", "ko"),
            ("백만장자", "ko"),
            ("이사회", "ko"),
            ("천사", "ko"),
            ("이천에", "ko"),
        ),
        *(
            ("이십일 동안", "ko"),
            ("삼백오십이 필요해요", "ko"),
            ("열두 시", "ko"),
            ("삼십 분", "ko"),
        ),
        *(("오천만 명", "ko"), ("3만 오천", "ko"), ("vingt-deux cents", "fr")),
    ],
)
def test_what_may_be_something_else_is_left_out(text: str, language: str) -> None:
    assert find(text, language) == []


@pytest.mark.parametrize(
    ("text", "value", "language"),
    [
        *(("5,815 people", 5815, "en"), ("5.815 Leute", 5815, "de"), ("5815명", 5815, "ko")),
        *(("35 thousand", 35_000, "en"), ("35 Tausend", 35_000, "de"), ("3만 원", 30_000, "ko")),
        *(("Three hundred fifty", 350, "en"), ("삼백오십 명", 350, "ko"), ("um 10:45", 45, "de")),
        *(("twenty", 20, "en"), ("einhundert", 100, "de"), ("rien", 350, "fr")),
    ],
)
def test_number_may_be_said_in_figures_or_in_words(text: str, value: int, language: str) -> None:
    assert says_number(text, str(value), language)


@pytest.mark.parametrize(
    ("text", "value", "language"),
    [
        *(("two hundred fifty", 350, "en"), ("zweihundertfünfzig", 350, "de"), ("none", 21, "en")),
        *(("이백오십 명", 350, "ko"), ("3500", 350, "en"), ("3,50", 350, "de")),
    ],
)
def test_another_number_is_not_it(text: str, value: int, language: str) -> None:
    assert not says_number(text, str(value), language)
