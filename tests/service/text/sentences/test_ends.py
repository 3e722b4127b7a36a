import random

import pytest

from service.text.sentences.ends import mend_segments
from service.text.sentences.segmenter import split


@pytest.mark.parametrize(
    "text",
    [
        "Yan et al. [2004] saw two dogs.",
        "As shown by Smith et al. [1] and Lee et al. [2], dogs run.",
        "Kim (2004) and Lee et al. (2005) saw it.",
        "Mr. and Mrs. Smith vs. Dr. No.",
        "Ms. Lee and Prof. Kim met Lt. Col. Brown.",
        "It takes approx. 5 km.",
        "Hello (world.) and so on.",
        "(Mr.) Smith came.",
        "(e.g.) Dogs run.",
        "(U.S.) Army",
        "(1.) First",
        "[3] Two dogs are playing.",
        "He left (he was tired).",
    ],
)
@pytest.mark.parametrize("language", ["en", "de", "ko"])
def test_abbreviations_citations_and_brackets_do_not_end_a_sentence(
    text: str, language: str
) -> None:
    assert [sentence for sentence, _ in split(text, language)] == [text]


@pytest.mark.parametrize(
    "sentences",
    [
        ["The dog ran.\u00b9", "It stopped.\u00b2 \u00b3", "It slept."],
        ["It works.[1]", "It is good [2, 3].", "See Smith et al. (2004).", "End."],
        ["Ask Dr. No.", "It is a film."],
        ["good morning.", "how are you?"],
        ["Prof. Dr. Müller kam.", "Er ging."],
    ],
)
def test_sentences_end_with_their_marks_brackets_and_notes(sentences: list[str]) -> None:
    assert [sentence for sentence, _ in split(" ".join(sentences), "en")] == sentences


def test_sentence_goes_on_behind_abbreviations_of_its_language() -> None:
    text = "Der Preis ist inkl. MwSt. und zzgl. Versand. Tee usw."

    assert [sentence for sentence, _ in split(text, "de")] == [text[:-9], "Tee usw."]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Sie wohnt im 2. Stock.", "Ich auch."],
        ["Die 3. Etage ist leer.", "Er kam am 5. Mai."],
        ["Das ist mein 1. Versuch.", "Und unser 10. Jahrestag!"],
        ["Wir kommen am 5.", "Dann gehen wir."],
        ["Ich bin 30.", "Tom ist 20."],
        ["Es waren die 3.", "Das passt."],
    ],
)
def test_german_ordinal_does_not_end_a_sentence(sentences: list[str]) -> None:
    assert [sentence for sentence, _ in split(" ".join(sentences), "de")] == sentences


def test_english_number_ends_one() -> None:
    assert [sentence for sentence, _ in split("I am 5. Tom is 6.", "en")] == [
        "I am 5.",
        "Tom is 6.",
    ]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("(Two dogs play.) A man rides.", ["Two dogs play.", "A man rides."]),
        ("[Two dogs play!] (A man rides?) End.", ["Two dogs play!", "A man rides?", "End."]),
        ("Is it? (Yes. It is.) Good.", ["Is it?", "Yes.", "It is.", "Good."]),
        ("(두 마리의 개가 논다.) 남자가 탄다.", ["두 마리의 개가 논다.", "남자가 탄다."]),
    ],
)
def test_brackets_are_not_part_of_their_sentences(text: str, sentences: list[str]) -> None:
    pairs = split(text, "en")

    assert [sentence for sentence, _ in pairs if sentence] == sentences
    assert "".join(map("".join, pairs)) == text


PIECES = [
    "Dr. ",
    "et al. ",
    "[2004] ",
    "(Yes.) ",
    "(A dog ran. ",
    ".) ",
    "no ",
    "Two",
    "\u00b9 ",
    "im 2. ",
]


@pytest.mark.parametrize("seed", range(20))
def test_segments_concatenated_are_the_line(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        segments = ["".join(rng.choices(PIECES, k=3)) for _ in range(rng.randrange(8))]
        mended = mend_segments(segments, rng.choice(("de", "en")))
        assert "".join(mended) == "".join(segments)
        assert "" not in mended


def test_nothing_has_no_sentence() -> None:
    assert mend_segments([], "en") == []
