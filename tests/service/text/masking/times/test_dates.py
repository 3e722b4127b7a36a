import pytest

from service.text.masking.times.dates import put_months_first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on 12 March", "on March 12"),
        ("12 March 2019, 5 May.", "March 12 2019, May 5."),
        ("(3 Jun)", "(Jun 3)"),
        ("on \ue000 April", "on April \ue000"),
        ("March 12, the 12th of March", "March 12, the 12th of March"),
        ("32 March, 112 March, 2.5 May, 12 Marching, 5 may", None),
    ],
)
def test_months_stand_first(text: str, expected: str | None) -> None:
    assert put_months_first(text) == (expected or text)
    assert len(put_months_first(text)) == len(text)
