import pytest

from service.text.masking.units import find_counter_end, is_measured

MASK = "\ue000"


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        *(("$50", True), ("$ 9.99", True), ("50 €", True), ("₩45,000", True), ("US$3", True)),
        *(("20%", True), ("85 kg", True), ("25°C", True), ("-3 °C", True), ("EUR 5", True)),
        *(("50", False), ("1,000", False), ("3:30", False), ("#5", False), ("Tom", False)),
        *(("$", False), ("010-1234-5678", False), ("오후 3시", False), ("{price}", False)),
    ],
)
def test_figures_are_measured_with_a_currency_or_a_unit(figures: str, expected: bool) -> None:
    assert is_measured(figures) == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        (f"Es kostet über {MASK} Uhr.", "de", f"{MASK} Uhr"),
        (f"um {MASK} gestiegen", "de", MASK),
        (f"{MASK} Uhrzeit", "de", MASK),
        (f"It is {MASK} dollars.", "en", f"{MASK} dollars"),
        (f"{MASK} of people", "en", MASK),
        (f"{MASK}년 이상 주문", "ko", f"{MASK}년"),
        (f"{MASK}원을 내요", "ko", f"{MASK}원"),
        (f"{MASK} 달러예요", "ko", f"{MASK} 달러"),
        (f"{MASK} 원인은 몰라요", "ko", MASK),
        (f"{MASK}인 표", "ko", MASK),
        (f"{MASK} 번호", "ko", MASK),
        (f"{MASK} 시에", "ko", f"{MASK} 시"),
        (f"{MASK} dollars", "fr", MASK),
    ],
)
def test_counter_behind_them_is_found(text: str, language: str, expected: str) -> None:
    start = text.index(MASK)

    assert text[start : find_counter_end(text, start + 1, language)] == expected
