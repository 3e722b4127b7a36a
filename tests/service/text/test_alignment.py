"""Tags are found around the right words, and never lost, doubled or crossed."""

import html
import random
import re
from collections import Counter
from itertools import chain

import numpy as np
import pytest

from service.arrays import FloatArray
from service.text.alignment import WORD, Source, find_run, place_tags, share_tags, weigh_words
from service.text.markup import Tag, render_text, split_markup
from service.text.sentences import segmenter

TAG = re.compile(r"<[^>]*>")


def find_words(text: str) -> list[str]:
    return [match[0] for match in WORD.finditer(text)]


def transfer(page: str, translation: str, attention: FloatArray) -> str:
    """One sentence of HTML with its tags in the translation; tokens are words."""
    (node,) = split_markup(page)
    _, _, inner, _ = shared = share_tags(node.tags, ["", "", node.text, ""])
    spans = [match.span() for match in WORD.finditer(node.text)]
    ends = [match.end() for match in WORD.finditer(translation)]
    words = weigh_words(translation, ends, attention, len(spans))
    placed = place_tags(inner, Source(node.text, spans), words)
    return (
        render_text("", shared[1]) + render_text(translation, placed) + render_text("", shared[3])
    )


def attend(page: str, translation: str, links: str) -> FloatArray:
    """One-hot attention: for each target word the number of its source word, or "-" for eos."""
    num_tokens = len(find_words(split_markup(page)[0].text))
    rows = [num_tokens if link == "-" else int(link) for link in links.split()]
    assert len(rows) == len(find_words(translation))
    return np.eye(num_tokens + 1, dtype=np.float32)[[*rows, num_tokens]]


@pytest.mark.parametrize(
    ("page", "links", "expected"),
    [
        ("A <b>man</b> is here.", "3 0 1 4", "hier die <b>Frau</b>."),
        ("A <b>man is</b> here", "1 2 0 3", "<b>hier die</b> Frau."),
        ("<b>A man</b> is here.", "3 0 1 4", "hier <b>die Frau</b>."),
        ("<b>A man is here.</b>", "3 0 1 4", "<b>hier die Frau.</b>"),
        ("A man is <b>here.</b>", "0 1 3 -", "hier die <b>Frau.</b>"),
        # order follows the words
        ("<a>A</a> <b>man</b> is here", "1 0 2 3", "<b>hier</b> <a>die</a> Frau."),
        # inner elements stay inside
        ("<a>A <b>man</b></a> is here", "0 1 2 3", "<a>hier <b>die</b></a> Frau."),
        ("<a><b>A</b> man</a> is here", "2 1 0 3", "hier <a>die <b>Frau</b></a>."),
        # a stray word is left out, a gap between two words of the element is filled
        ("<b>A man is</b> here so", "0 3 1 2", "<b>hier</b> die Frau."),
        ("<b>A man is</b> here so", "0 - 2 4", "<b>hier die Frau</b>."),
        # a punctuation mark follows the words beside it, not its attention
        ("A <b>man</b> is here.", "0 1 2 1", "hier <b>die</b> Frau."),
        ("A man <b>is here.</b>", "2 0 1 0", "<b>hier</b> die Frau."),
        # nothing is lost
        ("<a>A</a> <b>man</b> is here", "0 0 0 0", "<a>hier die Frau</a>.<b></b>"),
        ("A <b>man</b> is here.", "0 2 3 4", "<b>hier</b> die Frau."),
        # an empty element goes before the word that followed it
        ("A <img>man is here", "2 1 3 3", "hier <img>die Frau."),
        ("A <i></i><b>man</b> is here", "2 1 3 3", "hier <i></i><b>die</b> Frau."),
        ("<a>A man<img></a> is here", "0 1 3 3", "<a>hier die<img></a> Frau."),
    ],
)
def test_tags_follow_the_words(page: str, links: str, expected: str) -> None:
    translation = "hier die Frau."
    assert transfer(page, translation, attend(page, translation, links)) == expected


def test_mark_before_an_element_stays_before_it() -> None:
    page, translation = "Man. <b>She.</b> Here.", "Mann. Sie. Hier."
    attention = attend(page, translation, "0 1 2 3 4 5")
    assert transfer(page, translation, attention) == "Mann. <b>Sie.</b> Hier."


def test_empty_translation_keeps_the_tags() -> None:
    page = "A <a>man <b>is</b></a> <img>here"
    attention = np.ones((1, 5), dtype=np.float32)
    assert transfer(page, "", attention) == "<a><b></b></a><img>"


def test_element_around_white_space_is_empty() -> None:
    source = Source("a  b", [(0, 1), (2, 2), (3, 4)])
    words = weigh_words("x y", [1, 3], np.eye(3, dtype=np.float32)[[0, 2]], 3)
    tags = [Tag(1, "<b>", "opening", 1), Tag(3, "</b>", "closing", 1)]

    assert render_text(words.text, place_tags(tags, source, words)) == "x <b></b>y"


def test_whole_words_are_wrapped() -> None:
    """The second token continues the word of the first, which alone attends to the element."""
    attention = np.array([[1, 0, 0], [0.2, 0.4, 0.4], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
    words = weigh_words("Fahrrad ist", [4, 7, 11], attention, 2)
    source = Source("bike is", [(0, 4), (5, 7)])
    tags = [Tag(0, "<b>", "opening", 1), Tag(4, "</b>", "closing", 1)]

    assert render_text(words.text, place_tags(tags, source, words)) == "<b>Fahrrad</b> ist"
    assert words.weights == pytest.approx(np.array([[0.6, 0.2], [0, 1]]))


def test_bytes_of_one_character_are_one_word() -> None:
    attention = np.array([[0, 1], [1, 0], [1, 0]], dtype=np.float32)

    words = weigh_words("a 🙂", [1, 3, 3], attention, 2)

    assert words.spans == [(0, 1), (2, 3)]
    assert words.weights.tolist() == [[0, 1], [1, 0]]


def test_a_word_includes_its_inner_punctuation() -> None:
    text = "„Don't“ (3.14), dog-house—now! 나는 👩\u200d👧 e\u0301."
    assert find_words(text) == [
        *("„", "Don't", "“", "(", "3.14", ")", ",", "dog-house", "—", "now", "!", "나는"),
        *("👩\u200d👧", "e\u0301", "."),
    ]


def test_tags_are_shared_among_sentences() -> None:
    (node,) = split_markup("<i>One.</i> <b>Two</b> is <u>two. Three</u>.")

    shared = share_tags(node.tags, ["", "", "One.", " ", "Two is two.", " ", "Three.", ""])

    assert [[(tag.offset, tag.source) for tag in tags] for tags in shared] == [
        *([], [(0, "<i>")], [], [(0, "</i>")]),
        *([(0, "<b>"), (3, "</b>"), (7, "<u>")], [], [(5, "</u>")], []),
    ]


def test_element_that_leaves_the_sentence_extends_to_its_end() -> None:
    source = Source("is two.", [(0, 2), (3, 6), (6, 7)])
    words = weigh_words("zwei ist.", [4, 8, 9], np.eye(3, dtype=np.float32)[[1, 0, 2]], 3)

    opening = place_tags([Tag(3, "<u>", "opening", 1)], source, words)
    closing = place_tags([Tag(2, "</u>", "closing", 1)], source, words)

    assert render_text(words.text, opening) == "<u>zwei ist."
    assert render_text(words.text, closing) == "zwei ist</u>."


@pytest.mark.parametrize(
    ("page", "links", "expected"),
    [
        # a note follows the word for the word before it, wherever that went
        ("A man<sup>1</sup> is here.", "3 0 1 4", "hier die Frau<sup>1</sup>."),
        ("A<sup>1</sup> man is here.", "3 0 1 4", "hier die<sup>1</sup> Frau."),
        ("A man is here<sup>1</sup>.", "3 0 1 4", "hier<sup>1</sup> die Frau."),
        (
            "A man<sup>1</sup><sup>2</sup> is here.",
            "3 0 1 4",
            "hier die Frau<sup>1</sup><sup>2</sup>.",
        ),
        # a punctuation mark is not a word
        ("A man<sup>1</sup> is here.", "3 0 2 1", "hier<sup>1</sup> die Frau."),
        # behind a mark or a space it goes before what follows, or to the end
        ("A man is here.<sup>1</sup>", "3 0 1 4", "hier die Frau.<sup>1</sup>"),
        ("A <!-- n -->man is here.", "3 0 1 4", "hier die <!-- n -->Frau."),
        ("<b>A man</b><sup>1</sup> is here.", "3 0 1 4", "hier <b>die Frau</b><sup>1</sup>."),
        ("<b>A man<sup>1</sup></b> is here.", "3 0 1 4", "hier <b>die Frau<sup>1</sup></b>."),
    ],
)
def test_note_stays_behind_its_word(page: str, links: str, expected: str) -> None:
    translation = "hier die Frau."
    assert transfer(page, translation, attend(page, translation, links)) == expected


def test_note_of_an_empty_translation_is_kept() -> None:
    page = "A man<sup>1</sup> is here"
    assert transfer(page, "", np.ones((1, 5), dtype=np.float32)) == "<sup>1</sup>"


@pytest.mark.parametrize(
    ("scores", "is_first", "is_last", "expected"),
    [
        ([-1, 2, -1, 2, -3, 1], False, False, (1, 4)),
        ([-3, -1, -2], False, False, (1, 2)),
        ([-1, -1, 3], True, False, (0, 3)),
        ([-1, -5, 3], True, False, (0, 1)),
        ([3, -5, -1], False, True, (2, 3)),
        ([-1, 2, -1], False, True, (1, 3)),
    ],
)
def test_best_run_is_found(
    scores: list[float], is_first: bool, is_last: bool, expected: tuple[int, int]
) -> None:
    assert find_run(np.array(scores, dtype=np.float64), is_first, is_last) == expected


# --- any nesting, any attention ---


def make_page(rng: random.Random, depth: int = 0) -> str:
    """Random inline content; each tag is unique."""
    parts = []
    for _ in range(rng.randint(0, 5 - depth)):
        name, number = rng.choice("abiu"), rng.randrange(10**9)
        inner = make_page(rng, depth + 1) if depth < 4 else ""
        element = f"<{name} id={number}>{inner}</{name}>"
        void = rng.choice([f"<img id={number}>", f"<!--{number}-->"])
        parts.append(rng.choice([element, element, void, "Word ", "word", ". ", " ", "&amp;", "!"]))
    return "".join(parts)


def translate_randomly(text: str, rng: random.Random) -> tuple[str, list[int], FloatArray, int]:
    """A translation with the ends of its tokens, attention, and the number of source tokens."""
    choice = ["eins ", "zwei", ", ", "& ", "Wort-art ", ".", "<"]
    translation = "".join(rng.choice(choice) for _ in range(rng.randint(0, 8))).strip()
    count = rng.randint(1, 12)
    ends = sorted([*(rng.randint(0, len(translation)) for _ in range(count)), len(translation)])
    num_tokens = len(text)
    powers = (
        np.random.default_rng(rng.randrange(10**9)).random((len(ends) + 1, num_tokens + 1)) ** 9
    )
    attention = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return translation, ends, attention, num_tokens


def render_randomly(page: str, rng: random.Random) -> tuple[str, str]:
    """A page as HTML, and as the text that a reader should see."""
    rendered, seen = [], []
    for node in split_markup(page):
        if not node.is_text:
            rendered.append(node.source)
            seen.append(html.unescape(TAG.sub("", node.source)))
            continue
        segments = list(chain(["", ""], *segmenter.split(node.text, "en")))
        for index, tags in enumerate(share_tags(node.tags, segments)):
            text = segments[index]
            if text and index % 2 == 0 and tags:
                source = Source(text, [(at, at + 1) for at in range(len(text))])
                text, ends, attention, num_tokens = translate_randomly(text, rng)
                tags = place_tags(tags, source, weigh_words(text, ends, attention, num_tokens))
            rendered.append(render_text(text, tags))
            seen.append(text)
    return "".join(rendered), "".join(seen)


@pytest.mark.parametrize("seed", range(200))
def test_tags_are_complete_and_balanced_around_the_same_text(seed: int) -> None:
    rng = random.Random(seed)
    page = make_page(rng)

    rendered, seen = render_randomly(page, rng)

    tags = TAG.findall(rendered)
    assert Counter(tags) == Counter(TAG.findall(page))
    opened: list[str] = []
    for tag in tags:
        if tag.startswith("</"):
            assert opened.pop()[1] == tag[2]
        elif not tag.startswith(("<img", "<!--")):
            opened.append(tag)
    assert not opened
    # an element without words takes its white space along
    assert "".join(html.unescape(TAG.sub("", rendered)).split()) == "".join(seen.split())
