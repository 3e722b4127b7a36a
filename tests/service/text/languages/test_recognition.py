import pytest

from service.text.languages import recognition
from service.text.languages.detection import detect, find_foreign
from service.text.languages.recognition import (
    MIN_EVIDENCE,
    REMEMBERED_WORDS,
    Evidence,
    recognize,
    weigh_word,
)

SERVED = ("en", "de", "ko")

# The first words of some are names and loan words, or those of a neighbour.
FOREIGN = [
    "Que pelicula tan mala y aburrida",
    "Bonjour tout le monde, je suis tres content.",
    "Il servizio era pessimo e il cibo freddo",
    "Dois cachorros brincando na neve",
    "We hebben in de was gewerkt en dat was over het water",
    "De man was in het water en hij wil over een week hier zijn",
    "Die man is in die huis en hy was baie moeg",
    "John Smith ha detto che il film era bellissimo",
    "Star Wars est mon film favori depuis que je suis petit",
    "New York, Washington og Los Angeles er byer i Amerika som jeg vil besøke",
    "Information sur la direction des transports et la situation actuelle",
    "Saya suka makan nasi goreng di restoran dekat rumah",
    "Где находится вокзал, и как туда попасть?",
]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("A man is riding a bicycle down the street.", "en"),
        ("THIS FILM WAS A WASTE OF MY TIME", "en"),
        ("In the end it was not that bad, was it?", "en"),
        ("12.5 % of this is what we have been told", "en"),
        ("Ein Mann fährt mit dem Fahrrad die Straße hinunter.", "de"),
        ("Ich weiß nicht, wo der Bahnhof ist.", "de"),
        ("이 영화 정말 재미있어요", "ko"),
        ("iPhone 15 Pro 정말 좋아요", "ko"),
    ],
)
def test_plain_text_in_a_language_served_is_recognized(text: str, language: str) -> None:
    assert recognize(text, SERVED) == language


@pytest.mark.parametrize("text", FOREIGN)
def test_text_in_another_language_is_not_recognized(text: str) -> None:
    assert recognize(text, SERVED) == ""


@pytest.mark.parametrize("text", ["", "  ", "12345", "😀", "\ud800", "ok", "Hallo", "Berlin"])
def test_text_that_could_be_in_several_languages_is_not_recognized(text: str) -> None:
    assert recognize(text, SERVED) == ""


@pytest.mark.parametrize("text", ["ok", "Merci", "¿Dónde está?", "Berlin"])
def test_text_too_short_to_be_refused_is_in_the_only_language_of_its_script(text: str) -> None:
    served = ("en", "ko")
    assert find_foreign(text, detect(text, served), served) == ""
    assert recognize(text, served) == "en"


def test_language_that_the_detector_does_not_know_is_not_recognized() -> None:
    assert recognize("A man is riding a bicycle down the street.", ("tlh",)) == ""


def test_language_is_recognized_by_either_code() -> None:
    text = "Dette er en veldig god film, og jeg anbefaler den"
    assert recognize(text, ("en", "nb")) == "nb"


def test_nothing_is_recognized_where_nothing_is_served() -> None:
    assert recognize("A man is riding a bicycle down the street.", ()) == ""


def test_a_word_weighs_for_its_language_and_more_against_others() -> None:
    assert 0 < weigh_word("this", "en", "latin") <= 3.0
    assert weigh_word("nicht", "en", "latin") < -3.0


@pytest.fixture
def weighed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words that were weighed; each weighs as much as the number that it spells."""
    words: list[str] = []

    def weigh(word: str, _code: str, _script: str) -> float:
        words.append(word)
        return float(word)

    monkeypatch.setattr(recognition, "weigh_word", weigh)
    return words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], False),
        (["3", "3"], True),
        (["3", "2.9"], False),
        (["3", "3", "3", "-3"], True),
        (["3", "3", "3", "-3.1"], False),
        (["-6", "3", "3", "3", "3"], True),
        (["2"], False),
    ],
)
def test_evidence_is_enough_if_its_sum_is(
    weighed: list[str], words: list[str], expected: bool
) -> None:
    evidence = Evidence("en", "latin")
    assert (sum(map(float, words)) >= MIN_EVIDENCE) is expected
    assert evidence.is_enough(words) is expected
    assert set(weighed) <= set(words)
    assert evidence.is_enough(words) is expected  # what was remembered says the same


@pytest.mark.parametrize("known", [["3", "2.9", "2.8", "2.7", "2.6"], ["2.9", "-6", "-5.9"]])
def test_a_new_word_that_changes_nothing_is_not_weighed(
    weighed: list[str], known: list[str]
) -> None:
    evidence = Evidence("en", "latin")
    for word in known:
        evidence._weigh(word)
    weighed.clear()
    evidence.is_enough([*known, "0.5"])
    assert weighed == []


def test_words_that_are_asked_for_are_not_forgotten(weighed: list[str]) -> None:
    evidence = Evidence("en", "latin")
    for number in range(3 * REMEMBERED_WORDS):
        evidence.is_enough(["3", "3", f"0.{number}"])
    assert weighed.count("3") <= 2
    assert len(evidence._recent) + len(evidence._older) <= REMEMBERED_WORDS
