"""Which hypothesis becomes the translation of a sentence, and what is done to it."""

from collections.abc import Sequence

import pytest

from service.engine.batch import Defect, Hypothesis
from service.pipeline.translation.sentence import (
    Sentence,
    choose_candidate,
    choose_candidates,
    find_candidates,
    finish,
    has_figures,
    is_faithful,
    translate_sentence,
)
from service.text.markup import Tag
from service.text.masking.masker import Masked
from tests.fakes import ByteTokenizer, make_manifest, make_model, make_sequence

TOKENIZER = ByteTokenizer()
MASKED = Masked("a \ue000 b", originals={"\ue000": "12:30"})


def make_sentence(masked: Masked) -> Sentence:
    return Sentence(masked.text, "", masked, sequence=make_sequence(), spelled=masked.text)


def choose_all(
    masked: Masked, hypotheses: Sequence[Hypothesis], num_ranks: int
) -> list[str | None]:
    """The texts of the candidates that are chosen for each rank."""
    model, sentence = make_model(make_manifest("translation")), make_sentence(masked)
    assert sentence.sequence is not None
    results = {sentence.sequence: list(hypotheses)}
    chosen = [choose_candidate(model, sentence, results, rank) for rank in range(num_ranks)]
    return [each and each.text for each in chosen]


@pytest.mark.parametrize(
    ("defects", "chosen"),
    [
        ((None, None, None), [0, 1, 2, 2]),
        ((None, None, "loop"), [0, 1, 1, 1]),
        ((None, "loop", "length"), [0, 0, 0, 0]),
        (("loop", "length"), [0, 1, 1, 1]),
        (("loop", None), [1, 1, 1, 1]),
    ],
)
def test_the_hypothesis_of_a_rank_is_as_complete_as_the_best(
    defects: tuple[Defect | None, ...], chosen: list[int]
) -> None:
    hypotheses = [
        Hypothesis(TOKENIZER.encode("abc"[rank]), 0.0, defect)
        for rank, defect in enumerate(defects)
    ]

    assert choose_all(Masked("x"), hypotheses, 4) == ["abc"[rank] for rank in chosen]


@pytest.mark.parametrize(
    ("texts", "chosen"),
    [
        (["B", "C \ue000", "D \ue000"], ["C \ue000", "D \ue000", "D \ue000"]),
        (["B \ue000 \ue000", "C \ue001"], [None, None, None]),
    ],
)
def test_hypotheses_that_have_lost_a_mask_are_passed_over(
    texts: list[str], chosen: list[str | None]
) -> None:
    hypotheses = [Hypothesis(TOKENIZER.encode(text), 0.0) for text in texts]

    assert choose_all(MASKED, hypotheses, 3) == chosen


def test_complete_hypothesis_that_is_not_faithful_is_not_replaced_by_an_incomplete_one() -> None:
    model, sentence = make_model(make_manifest("translation")), make_sentence(MASKED)
    assert sentence.sequence is not None
    hypotheses = [
        Hypothesis(TOKENIZER.encode("B"), 0.0),
        Hypothesis(TOKENIZER.encode("C \ue000"), 0.0, "length"),
    ]

    assert list(find_candidates(model, sentence, {sentence.sequence: hypotheses})) == []


@pytest.mark.parametrize(
    ("source", "translation", "expected"),
    [
        ("3 dogs", "3 Hunde", True),
        ("3 dogs", "drei Hunde", True),
        ("3 dogs", "4 Hunde", False),
        ("three dogs", "3 Hunde", True),
        ("3 dogs and 2 cats", "2 Katzen und 3 Hunde", True),
        ("3 dogs and 3 cats", "3 Hunde und drei Katzen", True),
        ("3 dogs and 2 cats", "3 Hunde und 5 Katzen", False),
        ("3 dogs", "13 Hunde", False),
        ("3 dogs", "Hunde", False),
        ("3 dogs at 4", "3 Hunde um vier", True),
        ("300 dogs", "dreihundert Hunde", True),
    ],
)
def test_figures_may_become_words_but_not_other_figures_nor_nothing(
    source: str, translation: str, expected: bool
) -> None:
    assert has_figures(source, translation, "de") == expected


@pytest.mark.parametrize(
    ("translation", "expected"),
    [("x \ue000", True), ("\ue000", False), ("x", False), ("x \ue000 7", True)],
)
def test_faithful_translation_has_letters_and_masks(translation: str, expected: bool) -> None:
    assert is_faithful(make_sentence(MASKED), translation) == expected


@pytest.mark.parametrize(
    ("masked", "is_plain"),
    [
        (Masked("a b"), True),
        (Masked("a 3"), False),
        (MASKED, False),
        (Masked("a", tags=[Tag(0, "<br>", "void", 1)]), False),
        (Masked("a b", before="# ", after=" 👍"), True),
    ],
)
def test_plain_sentence_has_nothing_to_check(masked: Masked, is_plain: bool) -> None:
    assert make_sentence(masked).is_plain == is_plain


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("Hi.", "Hallo\ufffd!", "Hallo."),
        ("Hi \ufffd.", "Hallo \ufffd.", "Hallo \ufffd."),
        ("Name", "Name.", "Name"),
    ],
)
def test_finished_translation_has_final_marks_and_no_broken_characters(
    source: str, text: str, expected: str
) -> None:
    assert finish(text, [], make_sentence(Masked(source))) == (expected, [])


def test_no_break_space_returns_and_its_sentence_is_not_streamed() -> None:
    model, text = make_model(make_manifest("translation")), "Herr\u00a0Ott kommt"
    masked = Masked(text.replace("\u00a0", " "))
    sentence = make_sentence(masked)._replace(text=text)
    assert sentence.sequence is not None
    results = {sentence.sequence: [Hypothesis(TOKENIZER.encode("Mr. Ott comes"), 0.0)]}
    choices = choose_candidates(model, [sentence], results)

    assert translate_sentence(model, sentence, choices).text == "Mr.\u00a0Ott comes"
    assert not sentence.is_plain
    assert make_sentence(masked).is_plain


def test_tags_stay_within_a_translation_that_became_shorter() -> None:
    tags = [Tag(5, "</b>", "closing", 1)]

    assert finish("Name.", tags, make_sentence(Masked("Name"))) == (
        "Name",
        [Tag(4, "</b>", "closing", 1)],
    )
