import pytest

from service.text.ordinals import mend_ordinals, mend_singulars


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on the 2th floor", "on the 2nd floor"),
        ("1th, 3th, 21th, 22th, 103th", "1st, 3rd, 21st, 22nd, 103rd"),
        ("11st, 12nd, 13rd, 111st", "11th, 12th, 13th, 111th"),
        ("the 4th and the 1st", "the 4th and the 1st"),
        ("v2th, 1.2th, 2these, th 2", "v2th, 1.2th, 2these, th 2"),
    ],
)
def test_ordinals_get_the_ending_of_their_number(text: str, expected: str) -> None:
    assert mend_ordinals(text, "im 2. Stock") == expected


def test_what_the_source_has_stays() -> None:
    assert mend_ordinals("He wrote 2th, not 3th.", "Er schrieb 2th.") == "He wrote 2th, not 3rd."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It takes 1 hours and 30 minutes.", "It takes 1 hour and 30 minutes."),
        ("1 glasses, 1 kilometers", "1 glass, 1 kilometer"),
        ("11 hours, 2.1 hours, 1:1 days, 5 1 days", "11 hours, 2.1 hours, 1:1 days, 5 1 days"),
        ("1 hour, 1 yes", "1 hour, 1 yes"),
    ],
)
def test_one_counts_one(text: str, expected: str) -> None:
    assert mend_singulars(text) == expected
