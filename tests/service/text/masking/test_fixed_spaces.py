import pytest

from service.text.masking.fixed_spaces import has_fixed_spaces, keep_fixed_spaces


@pytest.mark.parametrize(
    ("source", "translation", "kept"),
    [
        # both words are there
        ("I met Tom\u00a0Miller.", "Ich traf Tom Miller.", "Ich traf Tom\u00a0Miller."),
        ("It weighs 10\u00a0000\u00a0kg.", "Es wiegt 10 000 kg.", "Es wiegt 10\u00a0000\u00a0kg."),
        ("(Dr.\u00a0House)", "(Dr. House)", "(Dr.\u00a0House)"),
        ("See §\u202f5, please.", "Siehe § 5, bitte.", "Siehe §\u202f5, bitte."),
        ("Costs 1,50\u00a0€!", "Kostet 1,50 €!", "Kostet 1,50\u00a0€!"),
        # one of them is
        ("Herr\u00a0Müller lacht.", "Mr. Müller laughs.", "Mr.\u00a0Müller laughs."),
        ("Es sind 10\u00a0Hunde.", "There are 10 dogs.", "There are 10\u00a0dogs."),
        ("Preis:\u00a0zehn Euro", "Preis: ten euros", "Preis:\u00a0ten euros"),
        # it cannot be told which
        ("Herr\u00a0Ott", "Ott and Mr. Ott or a Ott", "Ott and Mr. Ott or a Ott"),
        # none of them is, or no space is left
        ("Guten\u00a0Tag", "Good morning", "Good morning"),
        ("10\u00a0Hunde", "개 10마리", "개 10마리"),
        ("Tom\u00a0Mill", "Tom Miller", "Tom\u00a0Miller"),
        ("Two dogs.", "Zwei Hunde.", "Zwei Hunde."),
        ("*\u00a0+", "a * + b", "a *\u00a0+ b"),
    ],
)
def test_no_break_space_stays_beside_its_words(source: str, translation: str, kept: str) -> None:
    assert keep_fixed_spaces(source, translation) == kept
    assert len(kept) == len(translation)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tom\u00a0Miller", True),
        ("12\u202f%", True),
        ("Tom Miller", False),
        ("\u00a0Tom", False),
        ("Tom\u00a0", False),
        ("a\tb", False),
        ("", False),
    ],
)
def test_no_break_spaces_between_words_are_seen(text: str, expected: bool) -> None:
    assert has_fixed_spaces(text) is expected
