import pytest

from service.text.masking.number_words import PATTERNS, says_figure


@pytest.mark.parametrize(
    ("text", "figure", "language"),
    [
        *(("The bus leaves at four.", "4", "en"), ("a dog", "1", "en"), ("Both came.", "2", "en")),
        *(("the twelfth of May", "12", "en"), ("at noon", "12", "en"), ("TWENTY", "20", "en")),
        *(("um vier Uhr", "4", "de"), ("am siebten Mai", "7", "de"), ("eine Frau", "1", "de")),
        *(("커피 세 잔", "3", "ko"), ("스무 살", "20", "ko"), ("삼층", "3", "ko")),
        *(("on December 5", "12", "en"), ("im März", "3", "de")),
        *(("한 사람", "1", "ko"), ("열두 시", "12", "ko")),
    ],
)
def test_words_say_figures(text: str, figure: str, language: str) -> None:
    assert says_figure(text, figure, language)


@pytest.mark.parametrize(
    ("text", "figure", "language"),
    [
        *(("The train leaves at 8:15.", "4", "en"), ("Someone came.", "1", "en")),
        *(("The tents are often wet.", "10", "en"), ("Der Zug fährt ab.", "4", "de")),
        *(("회의가 있어요.", "3", "ko"), ("Sie denkt nach.", "8", "de")),
    ],
)
def test_other_words_do_not(text: str, figure: str, language: str) -> None:
    assert not says_figure(text, figure, language)


@pytest.mark.parametrize("figure", ["21", "1999", "00000000000000000004"])
def test_larger_figures_may_be_said_in_any_way(figure: str) -> None:
    assert says_figure("nothing", figure, "en")


def test_other_languages_may_say_figures_in_any_way() -> None:
    assert says_figure("rien", "4", "fr")


def test_words_go_to_twenty() -> None:
    assert {len(patterns) for patterns in PATTERNS.values()} == {21}
