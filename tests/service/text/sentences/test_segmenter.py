import random
import time

import pytest

from service.text.sentences.segmenter import LINE_MARK, call_sentencex, cut_in_two, split

ALPHABETS = [
    "ab. !?\n",
    " \t\n\r\x0b\x0c\x1c\x85\u2028\u2029\u00a0\u3000",
    ".!?。\uff01\uff1f…\"'«»„“”()[]{}",
    "안녕하세요. 저는요? \n",
    "\x00\ud800\udfff\ufffd\ufeff\u200b\U0001f600é\u0301",
    "Dr. z.B. e.g. U.S. 3. Mai 1.5\n",
    "- * > # 1. a) [x] // \n",
]


# Brackets, quotes and final marks around a sentence, and the bar between cells.
ENCLOSING = ".!?。\uff01\uff1f…\"'«»„“”()[]|/>"


def join(pairs: list[tuple[str, str]]) -> str:
    return "".join(sentence + space for sentence, space in pairs)


def random_text(source: random.Random) -> str:
    alphabet = source.choice(ALPHABETS) + source.choice(ALPHABETS)
    anywhere = chr(source.randrange(0x110000))
    return "".join(source.choice(alphabet + anywhere) for _ in range(source.randrange(60)))


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("language", ["en", "de", "ko", "xx"])
def test_parts_concatenated_are_the_text(seed: int, language: str) -> None:
    source = random.Random(seed)
    texts = [random_text(source) for _ in range(50)]
    for has_lines in (True, False):
        assert [join(split(text, language, has_lines=has_lines)) for text in texts] == texts


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Home | About us", [("Home", " | "), ("About us", "")]),
        ("| a dog | a cat |\n", [("", "| "), ("a dog", " | "), ("a cat", " |\n")]),
        ("a|b or c ||d", [("a|b or c ||d", "")]),
        ("Salt + pepper / a dog.", [("Salt", " + "), ("pepper", " / "), ("a dog.", "")]),
        ("개 = 고양이", [("개", " = "), ("고양이", "")]),
        ("Home > About us", [("Home", " > "), ("About us", "")]),
        ("Let x = 5 / y = 2 + 3 be.", [("Let x = 5 / y = 2 + 3 be.", "")]),
        ("It is = 5 or </b> tea/milk", [("It is = 5 or </b> tea/milk", "")]),
        ('("Two dogs.")', [("", '("'), ("Two dogs.", '")')]),
        ("- “A dog. A cat.”\tYes", [("", "- “"), ("A dog.", " "), ("A cat.", "”\t"), ("Yes", "")]),
    ],
)
@pytest.mark.parametrize("has_lines", [True, False])
def test_bars_and_marks_around_a_sentence_are_copied(
    text: str, pairs: list[tuple[str, str]], has_lines: bool
) -> None:
    if has_lines or not {"\n", "\t"} & set(text):
        assert split(text, "en", has_lines=has_lines) == pairs


@pytest.mark.parametrize("seed", range(10))
def test_sentences_have_no_outer_space_and_spaces_only_line_marks(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(100):
        for sentence, space in split(random_text(source), "en"):
            assert sentence == sentence.strip()
            left = LINE_MARK.sub("", f"{space}x").removesuffix("x")
            assert not [char for char in left if not char.isspace() and char not in ENCLOSING]


@pytest.mark.parametrize(
    ("text", "language", "sentences"),
    [
        ("Dr. Smith went home. He slept!", "en", ["Dr. Smith went home.", "He slept!"]),
        ("Das ist z.B. gut. Sie kommt.", "de", ["Das ist z.B. gut.", "Sie kommt."]),
        ("안녕하세요. 반갑습니다!", "ko", ["안녕하세요.", "반갑습니다!"]),
        ("Plan B\u3000. Go\u00a0on.", "en", ["Plan B\u3000.", "Go\u00a0on."]),
        ("Hello", "en", ["Hello"]),
        ("One. Two.", "xx", ["One.", "Two."]),
    ],
)
def test_sentences_are_split_by_the_rules_of_the_language(
    text: str, language: str, sentences: list[str]
) -> None:
    assert [sentence for sentence, _ in split(text, language)] == sentences


def test_line_breaks_separate_and_white_space_is_kept() -> None:
    assert split("  one\n\ntwo \r\n", "en") == [("", "  "), ("one", "\n\n"), ("two", " \r\n")]


@pytest.mark.parametrize(("text", "pairs"), [("", []), (" \n ", [("", " \n ")])])
def test_blank_text_gives_no_sentence(text: str, pairs: list[tuple[str, str]]) -> None:
    assert split(text, "en") == pairs


@pytest.mark.parametrize(
    "unit", [".", "(", '"', "a", "a. ", "?!", "Dr. ", "«", "\n", " ", " |", "| ", "ab = ", "ab  "]
)
def test_long_monotonous_text_is_split_in_reasonable_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    started = time.process_time()
    assert join(split(text, "en")) == text
    assert time.process_time() - started < 30  # a square would take minutes


def test_long_line_is_split_like_a_short_one() -> None:
    text = "This is one sentence, and Dr. Smith wrote it. " * 500
    assert {sentence for sentence, _ in split(text, "en")} == {text[:45]}


def test_endless_sentence_is_split_between_words() -> None:
    text = "word " * 3000
    assert all(set(sentence.split()) == {"word"} for sentence, _ in split(text, "en"))


def test_panic_of_sentencex_loses_no_text() -> None:
    line = "Plan B\u3000. Go on."  # sentencex 1.0.32 panics here
    assert "".join(call_sentencex(line, "en")) == line


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("name\tplace\t\tyear\n", [("name", "\t"), ("place", "\t\t"), ("year", "\n")]),
        ("\ta", [("", "\t"), ("a", "")]),
        ("- one\n* two", [("", "- "), ("one", "\n* "), ("two", "")]),
        ("# Title\n## Part", [("", "# "), ("Title", "\n## "), ("Part", "")]),
        ("> > so it is", [("", "> > "), ("so it is", "")]),
        (
            "1. one\n12) two\na) three",
            [("", "1. "), ("one", "\n12) "), ("two", "\na) "), ("three", "")],
        ),
        ("- [ ] to do\n- [x] done", [("", "- [ ] "), ("to do", "\n- [x] "), ("done", "")]),
        ("// so\n• so", [("", "// "), ("so", "\n• "), ("so", "")]),
        ("— No.\n– So.", [("", "— "), ("No.", "\n– "), ("So.", "")]),
        # no marks
        ("-5 is cold", [("-5 is cold", "")]),
        ("#tag is here", [("#tag is here", "")]),
        ("2024. It was", [("2024.", " "), ("It was", "")]),
        ("a - b", [("a - b", "")]),
        ("-", [("-", "")]),
        ("- \n", [("-", " \n")]),
    ],
)
def test_cells_and_marks_of_lines_are_no_part_of_sentences(
    text: str, pairs: list[tuple[str, str]]
) -> None:
    assert split(text, "en") == pairs


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("one\ntwo. Three\tfour", [("one\ntwo.", " "), ("Three\tfour", "")]),
        ("\n  - one\n", [("", "\n  "), ("- one", "\n")]),
    ],
)
def test_line_ends_that_are_not_shown_do_not_end_a_sentence(
    text: str, pairs: list[tuple[str, str]]
) -> None:
    assert split(text, "en", has_lines=False) == pairs


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("So good. 😀 See you.", ["So good. 😀", "See you."]),
        ("So good! 👍🏽 I like it.", ["So good! 👍🏽", "I like it."]),
        ("So good! 🇩🇪 I like it.", ["So good! 🇩🇪", "I like it."]),
        ("So good. 👩‍👩‍👧 See you.", ["So good. 👩‍👩‍👧", "See you."]),
        ("I ❤ you.", ["I ❤ you."]),
        ("Acme™ is here.", ["Acme™ is here."]),
    ],
)
def test_emoji_stand_between_sentences_like_space(text: str, sentences: list[str]) -> None:
    assert [sentence for sentence, _ in split(text, "en") if sentence] == sentences


@pytest.mark.parametrize(
    ("sentence", "halves"),
    [
        ("one two, three four", [("one two,", " "), ("three four", "")]),
        ("one two three four five, six", [("one two three", " "), ("four five, six", "")]),
        (
            "one two three, four five six seven",
            [("one two three,", " "), ("four five six seven", "")],
        ),
        ("one two", [("one", " "), ("two", "")]),
        ("one  \n two", [("one", "  \n "), ("two", "")]),
        ("word", [("word", "")]),
        ("", [("", "")]),
    ],
)
def test_long_sentence_is_cut_near_its_middle(sentence: str, halves: list[tuple[str, str]]) -> None:
    assert cut_in_two(sentence) == halves


def test_sentence_cut_again_and_again_comes_to_its_words() -> None:
    waiting, words = ["a bb, ccc dddd: eeeee f"], []
    while waiting:
        halves = [half for half, _ in cut_in_two(waiting.pop(0))]
        if len(halves) == 1:
            words += halves
        else:
            waiting = [*halves, *waiting]
    assert words == ["a", "bb,", "ccc", "dddd:", "eeeee", "f"]
