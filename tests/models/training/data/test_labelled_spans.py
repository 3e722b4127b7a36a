import pytest

from models.training.data.labelled_spans import Span, label_tokens, parse_spans

BIO = ("O", "B-DATE", "I-DATE", "B-SUM", "I-SUM")


def test_spans_are_read_in_characters() -> None:
    assert parse_spans("0:2:DATE 3:5:SUM", "am 5 Euro") == [Span(0, 2, "DATE"), Span(3, 5, "SUM")]
    assert parse_spans("", "a") == []


@pytest.mark.parametrize("column", ["0:1", "0-1:X", "1:1:X", "0:9:X", "0:2:X 1:3:X", "-1:2:X"])
def test_spans_that_are_wrong_are_named(column: str) -> None:
    with pytest.raises(ValueError, match="span"):
        parse_spans(column, "abcd")


def test_first_token_of_a_span_begins_it() -> None:
    tokens = [(0, 2), (3, 5), (6, 8), (9, 12)]
    found = label_tokens([Span(0, 5, "DATE"), Span(6, 8, "DATE")], tokens, BIO)
    assert [BIO[place] for place in found] == ["B-DATE", "I-DATE", "B-DATE", "O"]


def test_plain_labels_have_no_scheme() -> None:
    found = label_tokens([Span(1, 2, "SPACE")], [(0, 1), (1, 2), (2, 3)], ("O", "SPACE"))
    assert found == [0, 1, 0]


def test_token_belongs_to_the_span_of_its_first_character() -> None:
    found = label_tokens([Span(1, 4, "SUM")], [(0, 2), (2, 6)], BIO)
    assert [BIO[place] for place in found] == ["O", "B-SUM"]


def test_unknown_names_and_a_set_without_outside_are_refused() -> None:
    with pytest.raises(ValueError, match="'PLACE' is not one"):
        label_tokens([Span(0, 1, "PLACE")], [], BIO)
    with pytest.raises(ValueError, match="'O' is not one"):
        label_tokens([], [], ("A", "B"))
