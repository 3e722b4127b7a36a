import pytest

from service.pipeline.translation.source_tokens import map_spans


@pytest.mark.parametrize(
    ("edited", "original", "spans", "expected"),
    [
        ("a  b", "a  b", [(0, 1), (3, 4)], [(0, 1), (3, 4)]),
        ("room #.", "room 4711.", [(0, 4), (5, 6), (6, 7)], [(0, 4), (5, 9), (9, 10)]),
        ("b c", "- b  c", [(0, 1), (1, 1), (2, 3)], [(2, 3), (3, 3), (5, 6)]),
        ("b", "b!", [(0, 1), (1, 1)], [(0, 1), (2, 2)]),
    ],
)
def test_spans_of_an_edited_text_are_found_in_the_original(
    edited: str, original: str, spans: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    assert map_spans(spans, edited, original) == expected
