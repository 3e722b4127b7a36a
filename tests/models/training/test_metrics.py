import numpy as np
import pytest

from models.training.metrics import accuracy, calibration_error, f1_score, translation_figures


def test_accuracy_is_a_percentage_of_the_texts() -> None:
    figure = accuracy([1, 0, 1, 1], [1, 0, 0, 1])

    assert (figure.metric, figure.value) == ("accuracy", 75.0)
    assert "4 texts" in figure.signature


def test_accuracy_rejects_lists_of_different_length() -> None:
    with pytest.raises(ValueError, match="zip"):
        accuracy([1, 0], [1])


@pytest.mark.parametrize(
    ("target", "tokenizer"),
    [("de", "tok:13a"), ("en", "tok:13a"), ("ko", "tok:char"), ("ja", "tok:char")],
)
def test_figures_carry_their_signatures(target: str, tokenizer: str) -> None:
    bleu, chrf, *_ = translation_figures(["Ein Mann fährt."], ["Ein Mann fährt."], target)

    assert (bleu.metric, chrf.metric) == ("bleu", "chrf")
    assert tokenizer in bleu.signature
    assert "case:mixed" in bleu.signature
    assert "nc:6" in chrf.signature


def test_correct_translations_score_100_and_wrong_ones_0() -> None:
    references = ["나는 커피를 정말 좋아해요.", "오늘 날씨가 아주 좋습니다."]

    right = translation_figures(references, references, "ko")
    wrong = translation_figures(["xyz", "xyz"], references, "ko")

    assert [figure.value for figure in right] == pytest.approx([100.0, 100.0])
    assert all(figure.value < 1.0 for figure in wrong)


def test_lower_cased_figure_ignores_only_case() -> None:
    cased, _, lowered = translation_figures(
        ["ein Mann Fährt mit dem Rad."], ["Ein Mann fährt mit dem Rad."], "de"
    )

    assert lowered.metric == "bleu-lc"
    assert lowered.value == pytest.approx(100.0)
    assert cased.value < 90.0
    assert "case:lc" in lowered.signature


def test_calibration_error_is_the_gap_between_score_and_accuracy() -> None:
    sure, fair = [0.9, 0.1], [0.5, 0.5]

    assert calibration_error(np.array([sure] * 10), [0] * 9 + [1]).value == pytest.approx(0.0)
    assert calibration_error(np.array([sure] * 10), [0] * 4 + [1] * 6).value == pytest.approx(50.0)
    # half of the texts in each bin; one bin is always correct, the other by chance
    mixed = calibration_error(np.array([sure, sure, fair, fair]), [0, 0, 0, 1])
    assert mixed.value == pytest.approx(5.0)


def test_f1_of_two_labels_is_that_of_the_second() -> None:
    # 2 of 3 predicted are right, 2 of 4 expected are found
    figure = f1_score([1, 1, 1, 0, 0, 0], [1, 1, 0, 1, 1, 0], ["ham", "spam"])

    assert (figure.metric, figure.value) == ("f1", pytest.approx(100 * 4 / 7))
    assert figure.signature == "F1 of spam, percent of 6 texts"


def test_f1_of_more_labels_is_their_mean() -> None:
    # F1 of the labels: 1, 2/3, 0; the last is neither right nor ever expected
    figure = f1_score([0, 1, 2], [0, 1, 1], ["low", "middle", "high"])

    assert figure.value == pytest.approx(100 * (1 + 2 / 3 + 0) / 3)
    assert figure.signature.startswith("macro F1")


def test_f1_of_a_label_that_is_nowhere_is_zero() -> None:
    assert f1_score([0, 0], [0, 0], ["ham", "spam"]).value == 0.0
