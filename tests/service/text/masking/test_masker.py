import html
import random
import re

import pytest

from service.text.markup import Tag, escape_text, render_plain, split_markup
from service.text.masking.masker import (
    INVISIBLE,
    Masked,
    carries_masks,
    cut_at_placeables,
    mask_sentence,
    unmask,
)
from service.text.masking.masks import MASKS
from service.text.masking.spelled_numbers import SpelledNumber
from service.text.masking.terms import Terms
from service.text.masking.times.clock_times import find_clock_times
from tests.service.text.masking.placeables import ALL, PLAIN
from tests.service.text.masking.test_placeables import NASTY

SENTENCES = [text for text in [*ALL, *PLAIN] if text.strip()]
WHITE = re.compile(r"\s+")


def mask(sentence: str, **options: object) -> Masked:
    masked = mask_sentence(sentence, MASKS, **options)  # type: ignore[arg-type]
    assert masked is not None
    return masked


def put_back(masked: Masked) -> str:
    """The translation by a model that repeats what it reads."""
    return render_plain(*unmask(masked.text, masked.tags, masked, ""))


def collapse(text: str) -> str:
    """A text as far as masking keeps it."""
    return WHITE.sub(" ", INVISIBLE.sub("", html.unescape(text)))


@pytest.mark.parametrize("text", SENTENCES)
def test_sentence_that_is_repeated_comes_back(text: str) -> None:
    masked = mask(text)

    assert collapse(put_back(masked)) == collapse(text)
    assert carries_masks(masked.text, masked)


@pytest.mark.parametrize("seed", range(30))
def test_any_sentence_that_is_repeated_comes_back(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        text = "".join(rng.choice([*NASTY, *"abc  "]) for _ in range(rng.randrange(30))).strip()
        masked = mask_sentence(text, MASKS)
        if masked is not None:
            assert collapse(put_back(masked)).split() == collapse(text).split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello.", Masked("Hello.")),
        (
            "Hello {name}, it is 12:30.",
            Masked(
                "Hello \ue008, it is \ue000.", originals={"\ue008": "{name}", "\ue000": "12:30"}
            ),
        ),
        ("👍 Good job 👍 😀", Masked("Good job", before="👍 ", after=" 👍 😀")),
        ("\u200b\nHello\u00ad you \u200b", Masked("Hello you", before="\u200b\n", after=" \u200b")),
        ("a  b\u00a0c\td", Masked("a b c d")),
        ("12:30 {x} 👍", Masked("", "12:30 {x} 👍")),
    ],
)
def test_placeables_become_masks_and_the_ends_are_copied(text: str, expected: Masked) -> None:
    assert mask(text) == expected


@pytest.mark.parametrize(
    ("text", "read", "tags"),
    [
        ("a 👍 b", "a b", [(2, "👍 ", "void")]),
        ("a👍 b", "a b", [(1, "👍", "void")]),
        ("**a** b", "a b", [(0, "**", "opening"), (1, "**", "closing")]),
        ("a <b>c</b> d", "a c d", [(2, "<b>", "opening"), (3, "</b>", "closing")]),
        (
            "a <b>c <b>d</b> e",
            "a c d e",
            [(2, "<b>", "void"), (4, "<b>", "opening"), (5, "</b>", "closing")],
        ),
        ("a [b](c.d) e", "a b e", [(2, "[", "opening"), (3, "](c.d)", "closing")]),
        ("{x} is <br> b", "\ue008 is b", [(5, "<br> ", "void")]),
        ("</b> a <b> b", "a b", [(2, "<b> ", "void")]),
        ("* a is b", "a is b", []),
    ],
)
def test_marks_are_taken_out_as_tags(
    text: str, read: str, tags: list[tuple[int, str, str]]
) -> None:
    masked = mask(text)

    assert masked.text == read
    assert [(tag.offset, tag.source, tag.kind) for tag in masked.tags] == tags


def test_tags_of_a_pair_share_an_element_that_no_tag_of_markup_has() -> None:
    (node,) = split_markup("a <b>c</b>")
    first, second = mask("**a** b").tags

    assert first.element == second.element
    assert first.element not in {tag.element for tag in node.tags}


def test_inline_tags_move_with_the_text() -> None:
    (node,) = split_markup("see <b>a.org</b> at  <i>noon</i> 👍")

    masked = mask(node.text, tags=node.tags, render=escape_text)

    assert masked.text == "see \ue008 at noon"
    assert [(tag.offset, tag.source) for tag in masked.tags] == [
        (4, "<b>"),
        (5, "</b>"),
        (9, "<i>"),
        (13, "</i>"),
    ]
    assert put_back(masked) == "see <b>a.org</b> at <i>noon</i> 👍"


def test_mark_in_markup_is_escaped() -> None:
    (node,) = split_markup("a <b>b</b> &lt;3 c")

    assert mask(node.text, tags=node.tags, render=escape_text).tags[-1].source == "&lt;3 "


@pytest.mark.parametrize(
    ("page", "text", "tags"),
    [
        ("<i>👍 good</i> dogs", "good dogs", [(0, "<i>"), (0, "👍 "), (4, "</i>")]),
        ("two <i>dogs 👍</i>", "two dogs", [(4, "<i>"), (8, " 👍"), (8, "</i>")]),
        ("two <i>dogs.👍</i>", "two dogs.", [(4, "<i>"), (9, "👍"), (9, "</i>")]),
        ("two <i>dogs 👍</i> run", "two dogs run", [(4, "<i>"), (8, " 👍"), (8, "</i>")]),
        ("a <i>b 👍 👍</i> c", "a b c", [(2, "<i>"), (3, " 👍"), (3, " 👍"), (3, "</i>")]),
        ("a <i>b 👍 🎉</i>", "a b", [(2, "<i>"), (3, " 👍"), (3, " 🎉"), (3, "</i>")]),
    ],
)
def test_marks_stay_in_their_elements(page: str, text: str, tags: list[tuple[int, str]]) -> None:
    (node,) = split_markup(page)

    masked = mask(node.text, tags=node.tags, render=escape_text)

    assert (masked.text, [(tag.offset, tag.source) for tag in masked.tags]) == (text, tags)
    assert put_back(masked) == page


@pytest.mark.parametrize("count", [8, 9])
def test_more_placeables_than_masks_have_none(count: int) -> None:
    text = "a " + " ".join(f"{{x{index}}}" for index in range(count))

    assert (mask_sentence(text, MASKS) is None) == (count > 8)
    assert mask_sentence(text, {}) is None


def test_each_kind_has_masks_of_its_own() -> None:
    text = "a " + " ".join(f"{{x{index}}} {30 + index}" for index in range(8))

    assert len(mask(text).originals) == 16


@pytest.mark.parametrize("text", ["Yes|No", "Hello<br>you", "a→b c", r"Hello\nyou", "a😀b"])
def test_words_that_only_a_mark_separates_are_not_joined(text: str) -> None:
    assert mask_sentence(text, MASKS) is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("it&#39;s good", "it's good"),
        ("M&uuml;ller &amp; Co", "Müller Co"),
        ("a&nbsp;b", "a b"),
        ("a &lt; b", "a b"),
    ],
)
def test_character_reference_within_a_word_is_read_as_its_character(text: str, read: str) -> None:
    assert mask(text).text == read


@pytest.mark.parametrize("text", ["un*believ*able", "a (→b)", "C++ is", "R² is", "a|1 b"])
def test_other_marks_within_a_word_are_taken_out(text: str) -> None:
    assert put_back(mask(text)) == text


def test_numbers_in_words_give_way_to_terms() -> None:
    spelled = [SpelledNumber(0, 10, "21"), SpelledNumber(20, 30, "32")]

    masked = mask(
        "twenty-one dogs and thirty-two cats", terms=Terms({"and thirty-two": "&"}), given=spelled
    )

    assert masked.text == "\ue000 dogs \ue008 cats"
    assert masked.originals == {"\ue000": "21", "\ue008": "&"}


def test_small_numbers_are_masked_if_wanted() -> None:
    assert mask("3 dogs").text == "3 dogs"
    assert mask("3 dogs", small_numbers=True).text == "\ue000 dogs"


def test_terms_are_masked_in_place_of_what_they_overlap() -> None:
    masked = mask("open a.org/x now", terms=Terms({"org": "Org", "now": "jetzt"}))

    assert masked.text == "open a.\ue008/x \ue009"
    assert put_back(masked) == "open a.Org/x jetzt"


def test_text_of_terms_alone_is_not_read() -> None:
    assert mask("Foo 12:30", terms=Terms({"Foo": "Bar"})) == Masked("", "Bar 12:30")


def test_offsets_of_tags_count_the_originals() -> None:
    masked = mask("👍 see https://a.org and {x}")
    tags = [Tag(1, "<b>", "opening", 1), Tag(3, "</b>", "closing", 1), Tag(4, "<i>", "void", 2)]

    text, placed = unmask("\ue009 \ue008 b", tags, masked, "en")

    assert text == "👍 {x} https://a.org b"
    assert render_plain(text, placed) == "👍 {x}<b> https://a.org</b> <i>b"


def test_tag_between_a_word_and_its_particle_stays_there() -> None:
    masked = Masked("\ue008가", originals={"\ue008": "Tom"})

    text, tags = unmask("\ue008가", [Tag(1, "</b>", "closing", 1)], masked, "ko")

    assert render_plain(text, tags) == "Tom</b>이"


@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        ("\ue000 x \ue008", True),
        ("\ue008\ue000", True),
        ("\ue008", False),
        ("\ue000\ue000\ue008", False),
        ("\ue000\ue008\ue001", False),
        ("", False),
    ],
)
def test_translation_must_have_each_mask_once(translation: str, expected: bool) -> None:
    assert carries_masks(translation, mask("see {x} at 12:30")) == expected


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (
            "hello {name}, good to see you!",
            [("hello", " "), ("{name}", ", "), ("good to see you!", "")],
        ),
        ("see (a.org) now.", [("see", " ("), ("a.org", ") "), ("now.", "")]),
        ("say “{x}” or “y”", [("say", " “"), ("{x}", "” "), ("or “y”", "")]),
        ("die {x}-Datei", [("die", " "), ("{x}", "-"), ("Datei", "")]),
        ("{x}'s dog", [("{x}", ""), ("'s dog", "")]),
        ("{x}를 열 수 없습니다.", [("{x}", ""), ("를 열 수 없습니다.", "")]),
        ("… {x}.", [("", "… "), ("{x}", ".")]),
        ("Yes|No", [("Yes", ""), ("|", ""), ("No", "")]),
        ("nothing", [("nothing", "")]),
        ("", []),
    ],
)
def test_sentence_is_cut_around_its_placeables(text: str, pairs: list[tuple[str, str]]) -> None:
    assert cut_at_placeables(text) == pairs


def test_sentence_is_cut_around_its_terms() -> None:
    assert cut_at_placeables("the dog runs", Terms({"dog": "Hund"})) == [
        ("the", " "),
        ("dog", " "),
        ("runs", ""),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_pieces_put_together_are_the_sentence(seed: int) -> None:
    rng = random.Random(seed)
    texts = ["".join(rng.choice(NASTY) for _ in range(rng.randrange(30))) for _ in range(100)]
    for text in [*texts, *ALL, *PLAIN]:
        pairs = cut_at_placeables(text)
        assert "".join(piece + space for piece, space in pairs) == text
        assert all(piece for piece, _ in pairs[1:])


@pytest.mark.parametrize(
    ("translation", "original", "expected"),
    [
        ("\ue000는 좋아요.", "25", "25는 좋아요."),
        ("\ue000를 열어요.", "30", "30을 열어요."),
        ("\ue008는 좋아요.", "Tom", "Tom은 좋아요."),
        ("\ue008를 열어요.", "{name}", "{name}를 열어요."),
        ("\ue008님은 와요.", "Tom", "Tom님은 와요."),
        ("\ue000예요.", "30", "30이에요."),
        ("\ue000이에요.", "$30", "$30예요."),
        ("\ue000를 내요.", "₩30", "₩30을 내요."),
        ("\ue000을 내요.", "30 €", "30 €를 내요."),
        ("\ue000이 넘어요.", "50%", "50%가 넘어요."),
        ("\ue000년 이상", "$50", "$50 이상"),
        ("\ue000원을 내요.", "$50", "$50를 내요."),
    ],
)
def test_particle_behind_what_is_put_back_fits_its_sound(
    translation: str, original: str, expected: str
) -> None:
    masked = Masked(translation, originals={translation[0]: original})

    assert unmask(translation, [], masked, "ko")[0] == expected


@pytest.mark.parametrize(
    ("sentence", "source", "target", "read", "translation", "expected"),
    [
        ("See you at 3 pm.", "en", "de", "See you at \ue000 pm.", "Bis \ue000 Uhr.", "Bis 15 Uhr."),
        ("3 pm is fine", "en", "ko", "\ue000 pm is fine", "\ue000 괜찮아요", "오후 3시 괜찮아요"),
        ("At 6:45 pm!", "en", "ko", "At \ue000 pm!", "오후 \ue000시에!", "오후 6시 45분에!"),
        ("Um 15 Uhr.", "de", "en", "Um \ue000 Uhr.", "At \ue000 p.m.", "At 3 pm."),
    ],
)
def test_times_of_day_are_said_in_the_target_language(
    sentence: str, source: str, target: str, read: str, translation: str, expected: str
) -> None:
    times = tuple(find_clock_times(sentence, source, target))
    masked = mask(sentence, given=times)

    assert masked.text == read
    assert unmask(translation, [], masked, target)[0] == expected


def test_time_stays_within_its_element() -> None:
    masked = mask("to 5 pm", given=tuple(find_clock_times("to 5 pm", "en", "de")))
    tags = [Tag(4, "<b>", "opening", 1), Tag(5, "</b>", "closing", 1)]

    text, placed = unmask("bis \ue000 Uhr.", tags, masked, "de")

    assert render_plain(text, placed) == "bis <b>17 Uhr</b>."


def test_elements_within_a_time_stay_in_order() -> None:
    masked = mask("to 5:30 pm", given=tuple(find_clock_times("to 5:30 pm", "en", "de")))
    tags = [
        *(Tag(4, "<i>", "opening", 1), Tag(6, "</i>", "closing", 1)),
        *(Tag(6, "<b>", "opening", 2), Tag(8, "</b>", "closing", 2)),
    ]

    text, placed = unmask("bis \ue000 Uhr.", tags, masked, "de")

    assert render_plain(text, placed) == "bis <i>17:30 Uhr</i><b></b>."


@pytest.mark.parametrize("term", ["3 pm", "3"])
def test_term_takes_the_place_of_a_time(term: str) -> None:
    sentence = "Meet at 3 pm"
    times = tuple(find_clock_times(sentence, "en", "de"))
    masked = mask(sentence, given=times, terms=Terms({term: "Kaffeepause"}))

    assert list(masked.originals.values()) == ["Kaffeepause"]
    assert not masked.times
