"""What Weblate and Mastodon send to a LibreTranslate, and what they read of its answer.

After the public sources of `weblate.machinery` and `TranslationService::LibreTranslate`.
"""

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.server import Server

WEBLATE_HEADERS = {
    "Referer": "https://weblate.example.org/",
    "Accept": "application/json; charset=utf-8",
}
# It waits no longer for an answer, and sends up to 20 strings in a request.
WEBLATE_SECONDS, WEBLATE_BATCH = 20.0, 20


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.open_client() as opened:
        yield opened


def ask_weblate(client: httpx.Client, texts: list[str]) -> list[str]:
    """A batch of strings as Weblate sends it; without a key it sends an empty one."""
    answer = client.post(
        "/translate",
        json={"api_key": "", "q": texts, "source": "en", "target": "de"},
        headers=WEBLATE_HEADERS,
        timeout=WEBLATE_SECONDS,
    )
    answer.raise_for_status()
    translated = answer.json()["translatedText"]
    assert len(translated) == len(texts)
    return list(translated)


def test_weblate_accepts_the_server_when_it_is_set_up(client: httpx.Client) -> None:
    languages = client.get("/languages", headers=WEBLATE_HEADERS).raise_for_status()

    assert {"en", "de"} <= {each["code"] for each in languages.json()}
    assert ask_weblate(client, ["test"])[0]


def test_weblate_finds_its_placeholders_again(client: httpx.Client) -> None:
    texts = ["Hello [X6X], good to see you again!", "You have [X9X] new messages from [X31X]."]

    for text, translated in zip(texts, ask_weblate(client, texts), strict=True):
        names = re.findall(r"\[X\d+X\]", text)
        # Weblate's own pattern; each is put back wherever it stands.
        assert [len(re.findall(re.escape(name[:-1]) + r" *\]", translated)) for name in names] == [
            1
        ] * len(names)


def test_weblate_sends_batches(client: httpx.Client) -> None:
    texts = [f"File {number} was saved." for number in range(WEBLATE_BATCH)]

    assert all(ask_weblate(client, texts))


def test_weblate_shows_the_sentence_of_an_error(client: httpx.Client) -> None:
    answer = client.post(
        "/translate",
        json={"api_key": "", "q": ["test"], "source": "en", "target": "xx"},
        headers=WEBLATE_HEADERS,
    )

    # of `message`, `detail` and `error` the first that is a string; 401, 403, 429, 503 are a pause
    problem = answer.json()
    shown = problem.get("message") or problem.get("detail") or problem.get("error")
    assert "xx" in shown
    assert answer.status_code not in {401, 403, 429, 503}


def ask_mastodon(
    client: httpx.Client, texts: list[str], source: str | None
) -> list[tuple[str, str | None]]:
    """The texts of a post as Mastodon sends them; gives each with the language that it shows."""
    body = {"q": texts, "source": source or "auto", "target": "en", "format": "html"}
    answer = client.post(
        "/translate",
        content=json.dumps(body | {"api_key": None}, ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json"},
    )
    answer.raise_for_status()
    data = answer.json()
    detected = data.get("detectedLanguage")
    return [
        (text, detected[index]["language"] if detected else source)
        for index, text in enumerate(data["translatedText"])
    ]


def test_mastodon_learns_which_languages_there_are(client: httpx.Client) -> None:
    answer = client.get("/languages", headers={"Content-Type": "application/json"})
    targets = {
        each["code"]: [code for code in each["targets"] if code != each["code"]]
        for each in answer.raise_for_status().json()
    }

    assert "en" in targets["de"]
    assert targets["en"]


def test_mastodon_translates_a_post_with_its_warning_and_poll(client: httpx.Client) -> None:
    post = (
        '<p><span class="h-card" translate="no"><a href="https://example.org/@anna" '
        'class="u-url mention">@<span>anna</span></a></span> Zwei Hunde spielen im Schnee. '
        '<span translate="no">:blobcat:</span></p><p>Ein Mann fährt Fahrrad.</p>'
    )

    (content, language), (warning, _), (option, _) = ask_mastodon(
        client, [post, "Ein Hund", "Ja, gern"], None
    )

    assert language == "de"
    assert content.count('<span translate="no">:blobcat:</span>') == 1
    assert content.count('class="u-url mention">@<span>anna</span></a></span>') == 1
    assert (content.count("<p>"), content.count("</p>")) == (2, 2)
    assert "dogs" in content
    assert warning == "A dog"
    assert option


def test_mastodon_translates_from_the_language_of_a_post(client: httpx.Client) -> None:
    ((text, language),) = ask_mastodon(client, ["<p>Zwei Hunde spielen im Schnee.</p>"], "de")

    assert text.startswith("<p>Two dogs ")
    assert text.endswith(" in the snow.</p>")
    assert language == "de"
