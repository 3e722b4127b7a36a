import pytest

from service.text.levels.speech_level import Level
from service.text.levels.suggestions import suggest_level


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Dear Ms. Schneider,\n\nthank you for your order.", "en", "formal"),
        ("Dear Sir or Madam,", "en", "formal"),
        ("Your parcel is here.\n\nKind regards,\nTom", "en", "formal"),
        ("Hey Mina! Are you coming?", "en", "casual"),
        ("Hi Mom, where are you?", "en", "casual"),
        ("I love you.", "en", "casual"),
        ("Are you ready, dude?", "en", "casual"),
        ("See you xx", "en", "casual"),
        ("Hey! Your parcel is here.\nKind regards,\nTom", "en", None),
        ("Where is the station?", "en", None),
        ("I love you to be on time; dear Ms. Schneider said so.", "en", None),
        ("안녕하세요. 언제 오세요?", "ko", "formal"),
        ("확인 부탁드립니다. 어디 있어?", "ko", "formal"),
        ("어디 있어? 빨리 와!", "ko", "casual"),
        ("비가 온다.", "ko", None),
        ("지하철역", "ko", None),
        ("Hallo Mama", "de", None),
    ],
)
def test_text_tells_at_which_level_it_is_to_be_translated(
    text: str, language: str, expected: Level | None
) -> None:
    assert suggest_level(text, language) == expected
