"""LibreTranslate's documented API, request by request, as its clients rely on it.

Where LibreTranslate answers 400 we name the fault more closely (404, 413, 422); clients read
`error`.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.server import Server

ENGLISH, GERMAN = "Two dogs are playing in the snow.", "Zwei Hunde spielen im Schnee."
PAIR = {"source": "en", "target": "de"}


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.open_client() as opened:
        yield opened


def ask(client: httpx.Client, **fields: object) -> Any:
    answer = client.post("/translate", json=PAIR | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_form_is_translated(client: httpx.Client) -> None:
    form = PAIR | {"q": ENGLISH, "format": "text"}

    urlencoded = client.post("/translate", data=form)
    multipart = client.post("/translate", files={name: (None, text) for name, text in form.items()})

    assert urlencoded.json()["translatedText"] == multipart.json()["translatedText"] == GERMAN


def test_an_array_is_answered_with_an_array(client: httpx.Client) -> None:
    assert ask(client, q=[ENGLISH, "A dog."])["translatedText"] == [GERMAN, "Ein Hund."]


def test_alternatives_are_a_list_and_one_per_text_of_an_array(client: httpx.Client) -> None:
    one = ask(client, q=ENGLISH, alternatives=2)
    several = ask(client, q=[ENGLISH, "A dog."], alternatives=2)

    assert all(isinstance(text, str) for text in one["alternatives"])
    assert [len(texts) > 0 for texts in several["alternatives"]] == [True, True]


def test_a_source_is_detected_for_a_text_and_for_each_of_an_array(client: httpx.Client) -> None:
    one = ask(client, q=ENGLISH, source="auto")
    several = ask(client, q=[ENGLISH, "Good morning, everybody."], source="auto")

    assert one["detectedLanguage"]["language"] == "en"
    assert 0 < one["detectedLanguage"]["confidence"] <= 100
    assert [found["language"] for found in several["detectedLanguage"]] == ["en", "en"]
    assert "detectedLanguage" not in ask(client, q=ENGLISH)


def test_markup_is_kept_in_html(client: httpx.Client) -> None:
    answer = ask(client, q=[f"<p>{ENGLISH}</p>", "<p>A dog.</p>"], format="html")

    assert answer["translatedText"] == [f"<p>{GERMAN}</p>", "<p>Ein Hund.</p>"]


@pytest.mark.parametrize("q", ["\U0001f600", ["\U0001f600", "\U0001f601"], ["", ENGLISH]])
def test_what_has_no_words_comes_back(q: str | list[str], client: httpx.Client) -> None:
    expected = [GERMAN if text == ENGLISH else text for text in q] if isinstance(q, list) else q

    assert ask(client, q=q)["translatedText"] == expected


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (PAIR, "q"),
        ({"q": ENGLISH, "source": "en"}, "target"),
        (PAIR | {"q": []}, "q"),
        (PAIR | {"q": ENGLISH, "target": "zz"}, "zz"),
        (PAIR | {"q": ENGLISH, "source": "zz"}, "zz"),
        (PAIR | {"q": ENGLISH, "format": "xml"}, "format"),
        (PAIR | {"q": ENGLISH, "alternatives": "abc"}, "alternatives"),
        (PAIR | {"q": ENGLISH, "alternatives": 10**6}, "alternatives"),
        (PAIR | {"q": "a" * 10**6}, "100000"),
        ([ENGLISH], "object"),
    ],
)
def test_an_error_names_what_is_wrong(fields: object, named: str, client: httpx.Client) -> None:
    answer = client.post("/translate", json=fields)

    assert 400 <= answer.status_code < 500
    assert named in answer.json()["error"]


def test_a_language_is_detected(client: httpx.Client) -> None:
    for answer in (
        client.post("/detect", data={"q": GERMAN}),
        client.post("/detect", json={"q": GERMAN}),
    ):
        assert answer.json()[0]["language"] == "de"
        assert 0 < answer.json()[0]["confidence"] <= 100


def test_detection_without_a_text_or_by_get_is_refused(client: httpx.Client) -> None:
    without = client.post("/detect")

    assert 400 <= without.status_code < 500
    assert without.json()["error"]
    assert client.get("/detect").status_code == 405


def test_languages_have_codes_names_and_targets(client: httpx.Client) -> None:
    languages = {each["code"]: each for each in client.get("/languages").json()}

    assert languages.keys() == {"de", "en", "ko"}
    assert languages["en"]["name"] == "English"
    assert {"de", "ko"} <= set(languages["en"]["targets"])


def test_settings_of_the_page_are_there(client: httpx.Client) -> None:
    settings = client.get("/frontend/settings").json()

    assert settings["language"]["source"] == {"code": "auto", "name": "Auto Detect"}
    assert settings["language"]["target"]["code"] in {"de", "en", "ko"}
    assert (settings["apiKeys"], settings["keyRequired"], settings["suggestions"]) == (False,) * 3
    assert (settings["filesTranslation"], settings["supportedFilesFormat"]) == (False, [])
    assert isinstance(settings["charLimit"], int)


def test_health_specification_and_page_are_there(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.post("/health").status_code == 405
    assert "/translate" in client.get("/spec").json()["paths"]
    assert client.get("/").headers["content-type"].startswith("text/html")
