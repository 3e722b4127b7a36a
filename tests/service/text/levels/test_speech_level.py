import pytest

from service.text.levels.speech_level import (
    DEFAULT_LEVELS,
    JUDGES,
    LEVELS,
    Level,
    level_of,
    mixes_levels,
)

KOREAN: list[tuple[str, Level | None]] = [
    ("저는 학생입니다.", "formal"),
    ("어디 가십니까?", "formal"),
    ("앉으십시오.", "formal"),
    ("같이 가십시다!", "formal"),
    ("감사합니다", "formal"),
    ("“알겠습니다.”", "formal"),
    ("학교에 가요.", "polite"),
    ("뭐 해요?", "polite"),
    ("안녕하세요", "polite"),
    ("그렇죠?", "polite"),
    ("좋아요ㅋㅋㅋ", "polite"),
    ("보고 싶어요 ㅠㅠ", "polite"),
    ("갈게요~", "polite"),
    ("간다. 그리고 와요.", "polite"),
    ("그는 학교에 간다.", "plain"),
    ("나는 학생이다.", "plain"),
    ("이것은 무엇인가?", "plain"),
    ("그는 왜 갔는가?", "plain"),
    ("다음 물음에 답하라.", "plain"),
    ("학교에 가.", "casual"),
    ("뭐 해?", "casual"),
    ("밥 먹었어?", "casual"),
    ("이건 사과야.", "casual"),
    ("같이 가자!", "casual"),
    ("어디 가니?", "casual"),
    ("빨리 와라.", "casual"),
    ("정말 예쁘네!", "casual"),
    ("고마워", "casual"),
    ("미안해", "casual"),
    ("사랑해!", "casual"),
    ("내일 갈게.", "casual"),
    ("비 오는데…", "casual"),
    # words have no level
    ("바다", None),
    ("어머니", None),
    ("카메라", None),
    ("필요", None),
    ("중요", None),
    ("사과", None),
    ("서울", None),
    ("대한민국의 수도", None),
    ("", None),
    ("...", None),
    ("Hello", None),
]

GERMAN: list[tuple[str, Level | None]] = [
    ("Hast du Zeit?", "casual"),
    ("Du bist nett.", "casual"),
    ("Ich liebe dich.", "casual"),
    ("Ist das dein Hund?", "casual"),
    ("Gib mir deinen Stift.", "casual"),
    ("Wie geht es euch?", "casual"),
    ("Ist das euer Haus?", "casual"),
    ("Haben Sie Zeit?", "formal"),
    ("Wie geht es Ihnen?", "formal"),
    ("Ist das Ihr Hund?", "formal"),
    ("Geben Sie mir bitte Ihren Stift.", "formal"),
    ("Ich danke Ihnen.", "formal"),
    ("Guten Tag, haben Sie Ihre Karte dabei?", "formal"),
    # the verb alone
    ("Grüß Claudia von mir.", "casual"),
    ("Bitte erzähl meiner Schwester nichts.", "casual"),
    ("Vergiss es!", "casual"),
    ("Sammle die Blätter ein.", "casual"),
    ("Komm, lass uns gehen!", "casual"),
    ("Nehmen Sie nach dem Essen eine Tablette.", "formal"),
    ("Suche ich das Richtige?", None),
    ("Glaube ich nicht.", None),
    ("Acht Äpfel, bitte.", None),
    ("Vergiss", None),
    # she or they
    ("Sie ist nett.", None),
    ("„Sie kommt“, sagte er.", None),
    ("Er sagte: Sie kommt.", None),
    ("Das ist gut. Sie kommt.", None),
    ("- Sie ist da.", None),
    ("… Sie kommt.", None),
    ("Ich sehe sie.", None),
    ("Das ist ihr Hund.", None),
    ("Es regnet.", None),
    ("Sagst du Ihnen das?", None),
    ("Dudelsack", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "level"), KOREAN)
def test_korean_ending_tells_the_level(text: str, level: Level | None) -> None:
    assert level_of(text, "ko") == level


@pytest.mark.parametrize(("text", "level"), GERMAN)
def test_german_pronoun_tells_the_level(text: str, level: Level | None) -> None:
    assert level_of(text, "de") == level


def test_other_languages_have_no_levels() -> None:
    assert level_of("You are kind.", "en") is None
    assert JUDGES.keys() == LEVELS.keys()
    assert all(level in LEVELS[language] for language, level in DEFAULT_LEVELS.items())


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Lösche das und besorgen Sie es.", "de", True),
        ("Können Sie das?", "de", False),
        ("Kannst du das?", "de", False),
        ("Das geht.", "de", False),
        ("저는 가요. 너는 가.", "ko", False),
    ],
)
def test_german_text_may_mix_its_levels(text: str, language: str, expected: bool) -> None:
    assert mixes_levels(text, language) == expected
