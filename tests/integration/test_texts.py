"""Texts of the kinds that people send, through the shipped models: nothing is lost or invented."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx
import pytest
import regex

from tests.integration.server import MODELS_DIR, run_server

LETTER = regex.compile(r"\p{L}")
TO_GERMAN, TO_KOREAN = ("en", "de"), ("en", "ko")
BOTH = (TO_GERMAN, TO_KOREAN)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    log = tmp_path_factory.mktemp("server") / "log"
    with run_server(MODELS_DIR, log) as running, running.open_client() as opened:
        yield opened


def translate(client: httpx.Client, text: Any, pair: tuple[str, str], **fields: Any) -> Any:
    body = {"q": text, "source": pair[0], "target": pair[1]} | fields
    response = client.post("/translate", json=body)
    assert response.status_code == 200, response.text
    return response.json()["translatedText"]


WITHOUT_WORDS = ["😀", "2024", "1", "1234.5", "—", "...", ":)", "12:30", "{name}", "👍👍"]
WITHOUT_WORDS += ["https://example.org/a?b=c", "1\t2\t3", "- 1\n- 2", "***", "@anna", "$ 5.00"]
WITHOUT_WORDS += ["x = 5 / y", "x=5", "E = m * c"]


@pytest.mark.parametrize(
    "pair", [("en", "de"), ("de", "en"), ("en", "ko"), ("ko", "en")], ids="-".join
)
def test_text_without_words_comes_back(client: httpx.Client, pair: tuple[str, str]) -> None:
    assert translate(client, WITHOUT_WORDS, pair) == WITHOUT_WORDS


PLACEABLES = {
    "Hello {name}, good to see you again!": ["{name}"],
    "You have %d new messages from %s.": ["%d", "%s"],
    "Hello %1$s, how are you?": ["%1$s"],
    "Click <0>here</0>.": ["<0>", "</0>"],
    "Visit https://example.org/path?a=1&b=2#x for more.": ["https://example.org/path?a=1&b=2#x"],
    "Write to anna.smith@example.org today.": ["anna.smith@example.org"],
    "It costs $585.895.": ["$585.895"],
    "By July 5 there were 244890 people.": ["244890"],
    "Call +49 30 1234567.": ["+49 30 1234567"],
    "The meeting is on 05/17/2024 at 10:30.": ["05/17/2024", "10:30"],
    "{\\i1}A dog{\\i0}": ["{\\i1}", "{\\i0}"],
    "AT&T is here.": ["AT&T"],
    "Haha, yes, they are in my freezer. 😆 I guess they came with the car.": ["😆"],
    "Two dogs are playing. ![x](data:image/png;base64,iVBORw0KGgo=)": [
        "![x](data:image/png;base64,iVBORw0KGgo=)"
    ],
    "Two dogs are playing. " + "x" * 3000: ["x" * 3000],
    "Set MAX_SIZE to 4096 in ~/.config/app.toml.": ["MAX_SIZE", "4096", "~/.config/app.toml"],
    "Use `pip install` with --upgrade.": ["`pip install`", "--upgrade"],
    "Dear {{user.name}}, your order #12345 costs ${price}.": [
        "{{user.name}}",
        "#12345",
        "${price}",
    ],
    "The update [X6X] is ready, %(name)s.": ["[X6X]", "%(name)s"],
    "See **the docs** at www.example.org!": ["**", "www.example.org"],
    "The price is a + b = c here.": ["a + b = c"],
    "Choose tea / coffee + milk.": [" / ", " + "],
    "The result = 5 + 7.": ["= 5 + 7"],
    "Set key=value and n = 2x.": ["key=value", "n = 2x"],
}


@pytest.mark.parametrize(("text", "pair"), [*product(PLACEABLES, BOTH)])
def test_placeables_pass_once_each(client: httpx.Client, text: str, pair: tuple[str, str]) -> None:
    found = translate(client, text, pair)
    for placeable in PLACEABLES[text]:
        assert found.count(placeable) == text.count(placeable), found
    assert "\ufffd" not in found


WORDS = ["hello", "yes", "no", "water", "Anna", "enrolled", "cat", "dog", "thanks", "Monday"]


@pytest.mark.parametrize("pair", BOTH, ids="-".join)
def test_word_alone_is_answered_with_letters_and_no_full_stop(
    client: httpx.Client, pair: tuple[str, str]
) -> None:
    for word, found in zip(WORDS, translate(client, WORDS, pair), strict=True):
        assert LETTER.search(found), word
        assert not found.endswith((".", "!", "?")), (word, found)


@pytest.mark.parametrize("pair", BOTH, ids="-".join)
def test_final_marks_are_those_of_the_source(client: httpx.Client, pair: tuple[str, str]) -> None:
    texts = ["Is that a dog?", "That is a dog!", "That is a dog.", "A dog"]
    ends = [
        found[-1] if not LETTER.match(found[-1]) else "" for found in translate(client, texts, pair)
    ]
    assert ends == ["?", "!", ".", ""]


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("# A dog", ["# "]),
        ("- A dog\n- A cat", ["- ", "\n- "]),
        ("> A dog", ["> "]),
        ("1. A dog\n2. A cat", ["1. ", "\n2. "]),
        ("Name\tAge\tCity", ["\t"]),
        ("| A dog | A cat |", ["| ", " | ", " |"]),
    ],
)
def test_marks_of_lines_and_cells_stay(client: httpx.Client, text: str, marks: list[str]) -> None:
    for pair in BOTH:
        found = translate(client, text, pair)
        assert found.startswith(text[: len(marks[0])]) or marks[0] == "\t"
        assert all(found.count(mark) == text.count(mark) for mark in marks), found


@pytest.mark.parametrize("pair", BOTH, ids="-".join)
def test_brackets_and_quotes_stay_around_their_sentence(
    client: httpx.Client, pair: tuple[str, str]
) -> None:
    inner = "Two dogs are playing."
    pieces = [("(", ")"), ("[", "]"), ('"', '"'), ("“", "”"), ("'", "'"), ('("', '")')]
    texts = [f"{opening}{inner}{closing}" for opening, closing in pieces]

    plain, *found = translate(client, [inner, *texts], pair)

    assert found == [f"{opening}{plain}{closing}" for opening, closing in pieces]


PAGES = {
    "<p>A man in a red shirt\nis riding a bicycle.</p>": ["<p>", "</p>"],
    'Hello <span translate="no">%s</span>, good to see you again!': [
        '<span translate="no">%s</span>'
    ],
    "A dog <!-- n --> is running.": ["<!-- n -->"],
    'The dog<sup><a href="#r">1</a></sup> is here.': ['<sup><a href="#r">1</a></sup>'],
    "Press <kbd>Ctrl</kbd> to <b>stop</b>.": ["<kbd>Ctrl</kbd>", "<b>", "</b>"],
    "<pre>A dog.\nA cat.</pre>": ["<pre>", "\n", "</pre>"],
    "<p>I have <b>25</b> cats.</p>": ["<b>25", "</b>"],
}


@pytest.mark.parametrize(("page", "pair"), [*product(PAGES, BOTH)])
def test_markup_passes_once_each(client: httpx.Client, page: str, pair: tuple[str, str]) -> None:
    found = translate(client, page, pair, format="html")
    for markup in PAGES[page]:
        assert found.count(markup) == 1, found


@pytest.mark.parametrize(
    "page",
    [
        "<math><mi>x</mi><mo>=</mo><mn>2</mn></math>",
        "&#128512;",
        "<table><tr><td>1</td></tr></table>",
    ],
)
def test_page_without_words_comes_back(client: httpx.Client, page: str) -> None:
    assert translate(client, page, TO_GERMAN, format="html") == page


def test_sentence_that_a_page_breaks_is_one(client: httpx.Client) -> None:
    broken = translate(
        client, "<p>Two dogs are\nplaying in the snow.</p>", TO_GERMAN, format="html"
    )
    assert broken == translate(
        client, "<p>Two dogs are playing in the snow.</p>", TO_GERMAN, format="html"
    )


@pytest.mark.parametrize("code", [("EN", "DE"), ("en-US", "de_DE"), ("en", "de-AT")])
def test_codes_have_any_case_and_region(client: httpx.Client, code: tuple[str, str]) -> None:
    assert translate(client, "Two dogs.", code) == translate(client, "Two dogs.", TO_GERMAN)


def test_korean_goes_to_german_through_english(client: httpx.Client) -> None:
    assert LETTER.search(translate(client, "개가 공원에서 놀고 있어요.", ("ko", "de")))


def test_terms_are_given_and_kept(client: httpx.Client) -> None:
    for pair in BOTH:
        found = translate(
            client,
            "Please open Foobar for my dog.",
            pair,
            keep=["Foobar"],
            glossary={"dog": "Mops"},
        )
        assert (found.count("Foobar"), found.count("Mops")) == (1, 1), found


def test_long_sentence_is_cut_instead_of_refused(client: httpx.Client) -> None:
    text = ", ".join(["the man went home and the dog saw it"] * 40) + "."
    assert translate(client, text, TO_GERMAN).endswith(".")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("★★★★★", "positive"),
        ("★☆☆☆☆", "negative"),
        ("별점 1점", "negative"),
        ("별점 5점", "positive"),
    ],
)
def test_ratings_are_read_the_right_way_round(client: httpx.Client, text: str, label: str) -> None:
    (scores,) = client.post("/classify", json={"inputs": text}).json()
    assert max(scores, key=lambda each: float(each["score"]))["label"] == label


def test_white_space_around_a_text_is_not_read(client: httpx.Client) -> None:
    texts = ["a delight", "a delight" + "\n" * 60, " " * 3000 + "a delight"]
    answers = client.post("/classify", json={"inputs": texts}).json()
    assert [each[0]["label"] for each in answers] == ["positive"] * 3
    assert len({round(each[0]["score"], 2) for each in answers}) == 1


def test_language_that_no_model_reads_is_named(client: httpx.Client) -> None:
    text = "Que pelicula tan mala y aburrida, no la recomiendo a nadie"
    response = client.post("/classify", json={"inputs": text})
    assert response.status_code == 422
    assert "Spanish" in response.json()["detail"]
