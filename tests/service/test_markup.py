import random
import time

import pytest

from service.markup import Piece, join_markup, split_markup


def texts(page: str) -> list[str]:
    return [piece.text for piece in split_markup(page) if piece.is_text]


def translate(page: str) -> str:
    pieces = split_markup(page)
    return join_markup(pieces, [piece.text.upper() for piece in pieces if piece.is_text])


FRAGMENTS = [
    *"<>/!?-='\"& ;a\n\x00\ud800é",
    *("<b", "</b>", "<!--", "-->", "<script>", "</script>", "<code>", "</code >", "&amp;", "&#x;"),
    *("<a href='>'>", "<p translate=no>", "</p>", "<![CDATA[", "<?x", "<br/>", "text", "&#xD800;"),
]


@pytest.mark.parametrize("seed", range(50))
def test_untouched_page_comes_back_byte_for_byte(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(100):
        page = "".join(source.choice(FRAGMENTS) for _ in range(source.randrange(30)))
        pieces = split_markup(page)
        assert "".join(piece.source for piece in pieces) == page
        assert join_markup(pieces, [piece.text for piece in pieces if piece.is_text]) == page


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("plain", "PLAIN"),
        ('<p class="green">Hello!</p>', '<p class="green">HELLO!</p>'),
        ("<P>a<BR/>b</P>", "<P>A<BR/>B</P>"),
        ("<a title='x > y' href=z>go</a>", "<a title='x > y' href=z>GO</a>"),
        ("<a b=it's>go</a>", "<a b=it's>GO</a>"),
        ("<!-- note -->a<!---->b<!-->c", "<!-- note -->A<!---->B<!-->C"),
        ("<!doctype html><p>a", "<!doctype html><p>A"),
        ("<script>var a = '<b>x</b>';</script>y", "<script>var a = '<b>x</b>';</script>Y"),
        ("<style>p > a {}</STYLE >y", "<style>p > a {}</STYLE >Y"),
        ("run <code>ls <b>x</b></code> now", "RUN <code>ls <b>x</b></code> NOW"),
        ('<p translate="no">x <p>y</p> z</p>w', '<p translate="no">x <p>y</p> z</p>W'),
        ("<br translate=no>a", "<br translate=no>A"),
        ("a < b and I <3 you", "A &lt; B AND I &lt;3 YOU"),
        ("Tom &amp; Jerry&nbsp;&lt;b&gt;", "TOM &amp; JERRY&nbsp;&lt;B&gt;"),
        ("  \n<b> x </b>\n", "  \n<b> X </b>\n"),
        ("fine <b unclosed", "FINE <b unclosed"),
        ("fine <a href='x>lost</a>", "FINE <a href='x>lost</a>"),
        ("<!-- never closed", "<!-- never closed"),
        ("<script>never closed", "<script>never closed"),
        ("", ""),
    ],
)
def test_only_text_is_translated(page: str, expected: str) -> None:
    assert translate(page) == expected


def test_character_references_are_resolved_for_the_model() -> None:
    assert texts("<p>caf&eacute; &amp; &#48; bar</p>") == ["café & 0 bar"]


def test_translation_cannot_inject_markup() -> None:
    pieces = split_markup("<p>x</p>")
    assert join_markup(pieces, ["<script>&"]) == "<p>&lt;script&gt;&amp;</p>"


def test_unchanged_text_keeps_its_references() -> None:
    pieces = [Piece("é", True, "&eacute;")]
    assert join_markup(pieces, ["é"]) == "&eacute;"


@pytest.mark.parametrize(
    "unit",
    ["<", "<a", "<a ", "<!", "<!--", "<script>", "<a b='", "&", "<a =", "<a b= ", "</", "&#"],
)
def test_broken_pages_take_linear_time(unit: str) -> None:
    page = unit * (100_000 // len(unit))
    started = time.monotonic()
    assert "".join(piece.source for piece in split_markup(page)) == page
    assert time.monotonic() - started < 2
