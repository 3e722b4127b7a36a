import random

import pytest

from service.text.sentences.final_marks import match_final_marks, without_final_marks


@pytest.mark.parametrize(
    ("source", "translation", "expected"),
    [
        ("Good morning, Mr. Smith!", "안녕하세요, 스미스님,", "안녕하세요, 스미스님!"),
        ("Good morning, Mr. Smith!", "안녕하세요, 스미스님,!", "안녕하세요, 스미스님!"),
        ("Dear Tom,", "톰에게,", "톰에게,"),
        ("Hello.", "Hallo.", "Hallo."),
        ("Hello", "Hallo.", "Hallo"),
        ("Hello!", "Hallo.", "Hallo!"),
        ("Really?", "Wirklich", "Wirklich?"),
        ("Well...", "Nun.", "Nun..."),
        ("Well…", "Nun.", "Nun…"),
        ("What?!", "Was?", "Was?!"),
        ("안녕하세요。", "Hello", "Hello."),
        ("정말？", "Really.", "Really?"),
        # quotes and brackets stay outside, if both sides have them
        ("“Hello.”", "„Hallo“", "„Hallo.“"),
        ("(Hello)", "(Hallo.)", "(Hallo)"),
        ("He said “no.”", "Er sagte nein.", "Er sagte nein."),
        ("Hello.", "„Hallo“", "„Hallo“"),
        # a full stop that belongs to the word
        ("May 3", "am 3.", "am 3."),
        ("and so on", "usw.", "usw"),
        ("for example", "z.B.", "z.B."),
        ("Plan B", "Plan B.", "Plan B."),
        ("Hello", "Hallo!", "Hallo"),
        ("Hello", "Hallo !", "Hallo"),
        ("", "Hallo.", "Hallo"),
        ("Hello.", "", "."),
    ],
)
def test_translation_ends_as_its_source(source: str, translation: str, expected: str) -> None:
    assert match_final_marks(source, translation) == expected


@pytest.mark.parametrize("seed", range(20))
def test_what_stands_before_the_marks_stays_whatever_follows(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        source, translation = (
            "".join(rng.choice("ab 3,.!?…“)。") for _ in range(rng.randrange(12))).strip()
            for _ in range(2)
        )
        matched = match_final_marks(source, translation)
        for end in range(len(translation) + 1):
            assert matched.startswith(without_final_marks(translation[:end]))
