from random import Random

import pytest

from models.synthesis.slots import (
    SLOTS,
    make_date,
    make_phone,
    make_time,
    spell_english,
    spell_german,
)

LANGUAGES = {"en", "ko", "de"}


@pytest.mark.parametrize(
    ("number", "english", "german"),
    [
        (0, "zero", "null"),
        (1, "one", "eins"),
        (16, "sixteen", "sechzehn"),
        (21, "twenty-one", "einundzwanzig"),
        (80, "eighty", "achtzig"),
        (101, "one hundred one", "einhunderteins"),
        (350, "three hundred fifty", "dreihundertfünfzig"),
        (12_000, "twelve thousand", "zwölftausend"),
        (101_000, "one hundred one thousand", "einhunderteintausend"),
        (950_017, "nine hundred fifty thousand seventeen", "neunhundertfünfzigtausendsiebzehn"),
    ],
)
def test_numbers_are_spelt(number: int, english: str, german: str) -> None:
    assert spell_english(number) == english
    assert spell_german(number) == german


@pytest.mark.parametrize("name", SLOTS)
def test_slots_have_every_language_and_vary(name: str) -> None:
    values = [SLOTS[name](Random(seed)) for seed in range(60)]

    assert all(value.keys() == LANGUAGES and all(value.values()) for value in values)
    assert len({value["en"] for value in values}) > 15


def test_phone_numbers_are_the_same_in_all_languages_and_belong_to_nobody() -> None:
    phones = [make_phone(Random(seed)) for seed in range(200)]

    assert all(len(set(phone.values())) == 1 for phone in phones)
    prefixes = ("010-0", "010-1", "02-0", "555-01", "030 23125-", "0171 39200")
    assert all(phone["en"].startswith(prefixes) for phone in phones)


def test_halves_are_of_the_following_hour_in_german() -> None:
    times = {value["en"]: value for value in (make_time(Random(seed)) for seed in range(400))}

    assert times["half past twelve"]["de"] == "halb eins"
    assert times["half past nine"] == {
        "en": "half past nine",
        "ko": "아홉 시 반",
        "de": "halb zehn",
    }
    assert times["one o'clock"]["de"] == "ein Uhr"
    assert len(times) == 24


def test_dates_agree() -> None:
    dates = {value["ko"]: value for value in (make_date(Random(seed)) for seed in range(4000))}

    assert dates["3월 2일"]["en"] in ("March 2", "March 2nd")
    assert dates["3월 12일"]["en"] in ("March 12", "March 12th")
    assert dates["12월 23일"]["de"] == "23. Dezember"
    with_year = next(value for value in dates.values() if "년" in value["ko"])
    assert with_year["en"][-4:] == with_year["de"][-4:] == with_year["ko"][:4]
