import random
import time

import pytest

from service.text.markup import render_text, split_markup


def texts(page: str) -> list[str]:
    return [node.text for node in split_markup(page) if node.is_text]


def translate(page: str) -> str:
    return "".join(
        render_text(node.text.upper(), node.tags, node.objects) if node.is_text else node.source
        for node in split_markup(page)
    )


FRAGMENTS = [
    *"<>/!?-='\"& ;a\n\x00\ud800é",
    *("<b", "</b>", "<!--", "-->", "<script>", "</script>", "<code>", "</code >", "&amp;", "&#x;"),
    *(
        "<i>",
        "</i>",
        "</b>",
        "<img>",
        "<a href='>'>",
        "<p translate=no>",
        "</p>",
        "<![CDATA[",
        "<?x",
        "<br/>",
        "text",
        "&#xD800;",
    ),
]


@pytest.mark.parametrize("seed", range(50))
def test_untranslated_page_is_preserved_byte_for_byte(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(100):
        page = "".join(source.choice(FRAGMENTS) for _ in range(source.randrange(30)))
        nodes = split_markup(page)
        assert "".join(node.source for node in nodes) == page


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
        (
            '<div translate="no">x <div>y</div> z</div>w',
            '<div translate="no">x <div>y</div> z</div>W',
        ),
        ('<p translate="no">x<p>y</p>z', '<p translate="no">x<p>Y</p>Z'),
        ("<p translate=no>x<div>y</div>", "<p translate=no>x<div>Y</div>"),
        ("<div><p translate=no>x</div>y", "<div><p translate=no>x</div>Y"),
        ("<ul><li translate=no>x<li>y</ul>z", "<ul><li translate=no>x<li>Y</ul>Z"),
        ("<ul><li translate=no>x</ul>y", "<ul><li translate=no>x</ul>Y"),
        (
            "<li translate=no>a<ul><li>b</ul>c<li>d",
            "<li translate=no>a<ul><li>b</ul>c<li>D",
        ),
        (
            "<tr><td translate=no>a<table><tr><td>b</table><td>c",
            "<tr><td translate=no>a<table><tr><td>b</table><td>C",
        ),
        ("<dl><dt translate=no>a<dd>b", "<dl><dt translate=no>a<dd>B"),
        ("<tr><th translate=no>a<tr><td>b", "<tr><th translate=no>a<tr><td>B"),
        ("<p title='set translate=no'>a", "<p title='set translate=no'>A"),
        ("<p class=x TRANSLATE = 'No'>a</p>b", "<p class=x TRANSLATE = 'No'>a</p>B"),
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


@pytest.mark.parametrize(
    ("digits", "expected"),
    [("0" * 5000 + "65", "A"), ("1" * 5000, "\ufffd"), ("0" * 5000, "\ufffd"), ("00000065", "A")],
)
def test_numeric_reference_may_have_thousands_of_digits(digits: str, expected: str) -> None:
    assert texts(f"x&#{digits};y") == [f"x{expected}y"]


def test_translation_cannot_inject_markup() -> None:
    assert render_text("<script>&") == "&lt;script&gt;&amp;"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("A <b>man</b> is <a href='x'>here</a>.", ["A man is here."]),
        ("<p>One <i><b>two</b></i></p><p>three</p>", ["One two", "three"]),
        ("one<br>two <img src=x> three <wbr>four", ["one", "two three four"]),
        ("run <code>ls</code> <b>now</b>", ["run \U000f0000 now"]),
        ("a <span translate=no>b</span> c", ["a \U000f0000 c"]),
        ("<b>a <!-- c --> b</b>", ["a b"]),
        # unpaired within the text: it ends the text
        ("<p>a <b>b<p>c</b> d", ["a ", "b", "c", " d"]),
        ("a</b> c <i>d", ["a", " c ", "d"]),
        ("a <b>b <i>c</b> d</i> <u>e</u> f", ["a ", "b ", "c", " d", " e f"]),
        ("<b> \n</b> <i></i>", []),
        ("caf&eacute;<b>&amp;</b>s", ["café&s"]),
    ],
)
def test_text_continues_across_inline_elements(page: str, expected: list[str]) -> None:
    assert texts(page) == expected


@pytest.mark.parametrize("seed", range(20))
def test_tags_of_a_text_are_balanced(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(100):
        page = "".join(source.choice(FRAGMENTS) for _ in range(source.randrange(30)))
        for node in split_markup(page):
            opened: list[int] = []
            for tag in node.tags:
                if tag.kind == "opening":
                    opened.append(tag.element)
                elif tag.kind == "closing":
                    assert opened.pop() == tag.element
            assert not opened


def test_tags_have_offsets_in_the_text() -> None:
    (node,) = split_markup("&lt;<b>two</b> <img> <I>x</I>")

    assert node.text == "<two x"
    assert [(tag.offset, tag.source, tag.kind) for tag in node.tags] == [
        (1, "<b>", "opening"),
        (4, "</b>", "closing"),
        (5, "<img> ", "void"),
        (5, "<I>", "opening"),
        (6, "</I>", "closing"),
    ]


@pytest.mark.parametrize(
    "unit",
    [
        *("<", "<a", "<a ", "<!", "<!--", "<script>", "<a b='", "&", "<a =", "<a b= ", "</", "&#"),
        *("<b>x", "<b></b>", "<b>x</b>", "<img> ", "</b>"),
    ],
)
def test_broken_pages_take_linear_time(unit: str) -> None:
    page = unit * (100_000 // len(unit))
    started = time.process_time()
    assert "".join(node.source for node in split_markup(page)) == page
    assert time.process_time() - started < 2
