import pytest

from service.text.languages.detection import detect, detect_all, find_foreign, warm_up
from service.text.languages.scripts import dominant_script

SERVED = ("en", "de", "ko")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Guten Morgen", "de"),
        ("Ein Hund läuft", "de"),
        ("Wo ist der Bahnhof?", "de"),
        ("Ich bin müde", "de"),
        ("Where is the station?", "en"),
        ("A man is riding a bicycle down the street.", "en"),
        ("THANK YOU VERY MUCH", "en"),
        ("Good morning", "en"),
        ("이 영화 정말 재미있어요", "ko"),
        ("iPhone 15 Pro 정말 좋아요", "ko"),
        ("ㅋㅋㅋㅋ", "ko"),
    ],
)
def test_short_texts_are_detected(text: str, language: str) -> None:
    assert detect(text, SERVED)[0][0] == language


def test_every_requested_language_is_ranked() -> None:
    ranking = detect("Wo ist der Bahnhof?", SERVED)
    assert {code for code, _ in ranking} >= set(SERVED)
    assert ranking[0][1] > 90


@pytest.mark.parametrize(
    "text", ["", "   \n", "12345 67.8", "!?…", "😀😀", "\x00", "\ud800", "½ ²"]
)
def test_text_without_letters_gives_the_first_language_without_confidence(text: str) -> None:
    assert detect(text, SERVED) == [("en", 0.0), ("de", 0.0), ("ko", 0.0)]


def test_letters_after_pages_of_figures_are_found() -> None:
    text = "12.5, " * 1000 + "이 영화 정말 재미있어요"
    assert detect(text, SERVED)[0] == ("ko", 100.0)
    assert dominant_script(text) == "hangul"


@pytest.mark.parametrize("text", ["Где вокзал?", "車站在哪裡", "أين المحطة"])
def test_languages_of_another_script_have_no_confidence(text: str) -> None:
    ranking = dict(detect(text, SERVED))
    assert [ranking[code] for code in SERVED] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "language", "confidence"),
    [
        ("Где находится вокзал?", "ru", 50.0),
        ("Bonjour tout le monde, je suis tres content.", "fr", 95.0),
        ("Que pelicula tan mala y aburrida", "es", 60.0),
        ("Questo film è molto bello", "it", 80.0),
        ("Γεια σας, τι κάνετε;", "el", 100.0),
    ],
)
def test_languages_that_are_not_served_are_ranked_too(
    text: str, language: str, confidence: float
) -> None:
    best, found = detect(text, SERVED)[0]
    assert best == language
    assert found >= confidence


FOREIGN = [
    "Que pelicula tan mala y aburrida",
    "Bonjour tout le monde, je suis tres content.",
    "Ce film est une perte de temps.",
    "Il servizio era pessimo e il cibo freddo",
    "Dois cachorros brincando na neve",
    "Het is een mooie dag vandaag",
    "Två hundar leker i snön utanför huset",
    "Film był bardzo nudny i za długi",
    "Phim này rất hay và cảm động",
    "Elokuva oli todella tylsä ja pitkä",
]


@pytest.mark.parametrize("text", FOREIGN)
def test_text_that_is_certainly_in_another_language_is_foreign(text: str) -> None:
    found = detect(text, SERVED)
    assert find_foreign(text, found, SERVED) == found[0][0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Where is the station, and how do I get there?", "served"),
        ("Ich weiß nicht, wo der Bahnhof ist.", "served"),
        ("Merci", "too short"),
        ("¿Dónde está?", "too short"),
        ("Earth globe asia-australia", "in none clearly"),
        ("a bravura exercise in emptiness", "in none clearly"),
        ("iPhone e un film molto bello 정말 재미있어요", "partly in another script"),
        ("12345", "no letters"),
        ("", "no letters"),
    ],
)
def test_text_that_may_be_in_a_language_served_is_not_foreign(text: str, reason: str) -> None:
    assert find_foreign(text, detect(text, SERVED), SERVED) == "", reason


def test_german_is_foreign_to_those_that_read_english() -> None:
    text = "Der Film war langweilig und schlecht."
    assert find_foreign(text, detect(text, ("en", "ko")), ("en", "ko")) == "de"


def test_nothing_is_foreign_to_a_language_that_the_detector_does_not_know() -> None:
    served = ("en", "tlh")
    for text in FOREIGN:
        assert find_foreign(text, detect(text, served), served) == ""


def test_short_texts_are_judged_with_their_neighbours() -> None:
    texts = ["Hallo", "Die Kinder spielen im Garten.", "Ja"]
    assert [detect(text, SERVED)[0][0] for text in texts] == ["en", "de", "en"]
    assert [found[0][0] for found in detect_all(texts, SERVED)] == ["de", "de", "de"]
    texts[1] = "The children are playing in the garden."
    assert [found[0][0] for found in detect_all(texts, SERVED)] == ["en", "en", "en"]


def test_text_that_is_clear_by_itself_keeps_its_language() -> None:
    texts = ["Where is the station?", "Die Kinder spielen im Garten.", "Wir gehen heute ins Kino."]
    assert [found[0][0] for found in detect_all(texts, SERVED)] == ["en", "de", "de"]


def test_neighbours_in_another_script_tell_nothing() -> None:
    (alone,) = detect_all(["Hallo"], SERVED)
    assert detect_all(["Hallo", "이 영화 정말 재미있어요", "42", ""], SERVED)[0] == alone


@pytest.mark.parametrize("texts", [[], ["", ""], ["42", "!"]])
def test_texts_without_letters_have_no_language(texts: list[str]) -> None:
    assert detect_all(texts, SERVED) == [[("en", 0.0), ("de", 0.0), ("ko", 0.0)] for _ in texts]


def test_norwegian_is_known_by_either_code() -> None:
    text = "Dette er en veldig god film, og jeg anbefaler den"
    assert detect(text, SERVED)[0][0] == "no"
    assert detect(text, ("en", "nb"))[0][0] == "nb"


def test_confidence_is_a_percentage() -> None:
    assert all(0.0 <= confidence <= 100.0 for _, confidence in detect("Hallo Welt", SERVED))


def test_language_unknown_to_the_detector_is_still_ranked() -> None:
    ranking = dict(detect("Where is the station?", ("en", "tlh")))
    assert ranking == {"en": 50.0, "tlh": 50.0}


def test_text_is_ranked_even_if_no_language_is_served() -> None:
    assert detect("Guten Morgen, wie geht es Ihnen?", ())[0][0] == "de"
    assert detect("42", ()) == []


def test_warm_up_accepts_any_languages() -> None:
    warm_up(SERVED)
    warm_up(())
