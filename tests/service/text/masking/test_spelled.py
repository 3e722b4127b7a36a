from service.text.masking.spelled import find_spelled, says_figures


def test_half_hours_and_numbers_are_found_and_told_apart() -> None:
    text = "Um halb drei kamen dreihundert Leute."

    found = [each.figures for each in find_spelled(text, "de")]

    assert found == ["2:30", "300"]
    assert all(says_figures("300 people at half past two", each, "en") for each in found)
    assert not any(says_figures("302 people at half past three", each, "en") for each in found)
