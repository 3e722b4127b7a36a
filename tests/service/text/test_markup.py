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
        "<sup>",
        "</sup>",
        "<pre>",
        "</pre>",
        "<rt>",
        "</rt>",
        "\U000f0001",
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


FIRST, SECOND = "\U000f0000", "\U000f0001"


@pytest.mark.parametrize(
    ("page", "text", "objects"),
    [
        (
            "run <code>ls</code> or <kbd>q</kbd>",
            f"run {FIRST} or {SECOND}",
            ["<code>ls</code>", "<kbd>q</kbd>"],
        ),
        ("a <b translate=no>b <i>c</i></b> d", f"a {FIRST} d", ["<b translate=no>b <i>c</i></b>"]),
        ("a <code>x<code>y</code></code> b", f"a {FIRST} b", ["<code>x<code>y</code></code>"]),
        ("a <math><mi>x</mi></math>", f"a {FIRST}", ["<math><mi>x</mi></math>"]),
        (f"a {SECOND} <var>x</var> b", f"a {FIRST} {SECOND} b", [SECOND, "<var>x</var>"]),
        (f"a {SECOND}{FIRST} b", f"a {FIRST}{SECOND} b", [SECOND, FIRST]),
        ("a &#xF0005; b", f"a {FIRST} b", ["\U000f0005"]),
    ],
)
def test_kept_inline_element_is_a_character_of_the_text(
    page: str, text: str, objects: list[str]
) -> None:
    (node,) = split_markup(page)

    assert (node.text, list(node.objects)) == (text, objects)
    assert node.tags == ()
    assert "".join(part.source for part in split_markup(page)) == page


def test_objects_are_rendered_where_their_characters_are() -> None:
    (node,) = split_markup("run <code>a&b</code> &amp; <var>c</var>")

    assert (
        render_text(f"{SECOND} & {FIRST}!", (), node.objects)
        == "<var>c</var> &amp; <code>a&b</code>!"
    )


def test_objects_that_a_translation_makes_up_are_left() -> None:
    assert render_text(f"{FIRST} {SECOND}", (), ["<var>x</var>"]) == f"<var>x</var> {SECOND}"


def test_text_with_more_objects_than_characters_for_them_is_markup() -> None:
    page = "a<br>" + SECOND * 70_000 + " b"

    assert texts(page) == ["a"]
    assert translate(page) == "A<br>" + SECOND * 70_000 + " b"


@pytest.mark.parametrize(
    "page",
    [
        '<div translate="no">x</div>',
        "a <code>never closed",
        "a <p translate=no>b</p>",
        "<pre><code>x</code></pre>",
    ],
)
def test_kept_element_that_is_no_part_of_a_text_is_markup(page: str) -> None:
    assert all(not node.objects for node in split_markup(page) if node.is_text)
    assert "x" not in "".join(texts(page))


@pytest.mark.parametrize(
    ("page", "text", "asides"),
    [
        ("a <!-- n -->dog", "a dog", [(2, "<!-- n -->")]),
        ("a<?php x ?> dog", "a dog", [(1, "<?php x ?>")]),
        ("a dog<sup>1</sup> is", "a dog is", [(5, "<sup>1</sup>")]),
        ("dog<sup><a href='#n'>[1]</a></sup>.", "dog.", [(3, "<sup><a href='#n'>[1]</a></sup>")]),
        ("H<sub>2</sub>O", "HO", [(1, "<sub>2</sub>")]),
        (
            "<ruby>漢<rp>(</rp><rt>x</rt><rp>)</rp></ruby>",
            "漢",
            [(1, "<rp>(</rp>"), (1, "<rt>x</rt>"), (1, "<rp>)</rp>")],
        ),
    ],
)
def test_notes_and_comments_stand_beside_the_text(
    page: str, text: str, asides: list[tuple[int, str]]
) -> None:
    (node,) = [node for node in split_markup(page) if node.is_text]

    assert node.text == text
    assert [(tag.offset, tag.source) for tag in node.tags] == asides
    assert {tag.kind for tag in node.tags} == {"void"}


def test_raised_words_are_part_of_the_text() -> None:
    (node,) = split_markup("the 1<sup>st</sup> dog")

    assert node.text == "the 1st dog"
    assert [tag.kind for tag in node.tags] == ["opening", "closing"]


def test_comment_alone_is_markup() -> None:
    assert texts("<p><!-- n --></p> <!-- m -->") == []
    assert texts("<!doctype html>a") == ["a"]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<p>a\nb</p>", [("a\nb", False)]),
        ("<pre>a\nb</pre>c\nd", [("a\nb", True), ("c\nd", False)]),
        ("<PRE>a <b>b\nc</b></PRE>", [("a b\nc", True)]),
        ("</pre>a<pre>b</pre></pre>c", [("a", False), ("b", True), ("c", False)]),
        ("<pre>never closed", [("never closed", True)]),
    ],
)
def test_line_ends_are_shown_in_preformatted_text(
    page: str, expected: list[tuple[str, bool]]
) -> None:
    assert [(node.text, node.has_lines) for node in split_markup(page) if node.is_text] == expected


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
        *("<b>x", "<b></b>", "<b>x</b>", "<img> ", "</b>", "a<code>b</code>", "a<sup>1</sup>"),
        *("<sup>", "a<sup><a>1</a>", "<code>", "a<!--b-->", "<pre>a", "\U000f0000", "a <b>b</b> "),
    ],
)
def test_broken_pages_take_linear_time(unit: str) -> None:
    page = unit * (100_000 // len(unit))
    started = time.process_time()
    assert "".join(node.source for node in split_markup(page)) == page
    assert time.process_time() - started < 20  # a square would take minutes
