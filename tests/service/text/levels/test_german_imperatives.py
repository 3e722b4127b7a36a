import pytest

from service.text.levels.german_imperatives import IMPERATIVES, has_familiar_request


@pytest.mark.parametrize(
    "text",
    [
        "Warte nicht auf mich.",
        "Bitte schick mir die Fotos.",
        "Und nimm den Schirm mit!",
        "Grüß Claudia von mir.",
        "Es regnet, also vergiss den Schirm nicht.",
    ],
)
def test_requests_begin_with_a_verb_in_the_familiar_imperative(text: str) -> None:
    assert has_familiar_request(text)


@pytest.mark.parametrize(
    "text",
    [
        "Bitte schicken Sie mir die Fotos.",
        "Suche ich zu lange?",
        "Druck ist Kraft durch Fläche.",
        "Der Zug hat Verspätung.",
        "Lies!",  # a word alone has nothing after it that tells
        "",
    ],
)
def test_other_sentences_are_no_familiar_requests(text: str) -> None:
    assert not has_familiar_request(text)


def test_words_that_begin_other_sentences_as_often_are_left_out() -> None:
    assert "plan" not in IMPERATIVES
    assert {"komm", "komme", "nimm", "sieh", "klingle"} <= IMPERATIVES
