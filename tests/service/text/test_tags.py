import pytest

from service.text.tags import Run, find_runs, find_words, render_spaces


# The cases of conlleval and of transformers' grouping.
@pytest.mark.parametrize(
    ("labels", "runs"),
    [
        (["B-A", "I-A", "O", "B-A"], [Run(0, 2, "A"), Run(3, 4, "A")]),
        (["B-A", "B-A"], [Run(0, 1, "A"), Run(1, 2, "A")]),
        (["I-A", "I-B", "I-B"], [Run(0, 1, "A"), Run(1, 3, "B")]),
        (["O", "SPACE", "SPACE", "O"], [Run(1, 3, "SPACE")]),
        (["O", "O"], []),
        ([], []),
    ],
)
def test_runs_of_one_name(labels: list[str], runs: list[Run]) -> None:
    assert list(find_runs(labels)) == runs


def test_all_runs_include_those_outside() -> None:
    assert list(find_runs(["O", "O", "B-A"], outside=None)) == [Run(0, 2, "O"), Run(2, 3, "A")]


def test_words_end_at_spaces_and_at_the_end() -> None:
    ends = [(run.start, run.end) for run in find_words(["O", "SPACE", "O", "O"])]
    assert ends == [(0, 2), (2, 4)]


@pytest.mark.parametrize(
    ("text", "ends", "rendered"),
    [
        ("나는학교에간다.", [2, 5], "나는 학교에 간다."),
        ("나 는학 교에간다.", [3, 7], "나는 학교에 간다."),
        ("나는 간다.", [2, 6], "나는 간다."),
        ("나는\n간다", [2], "나는\n간다"),
        ("가 \r\n\r\n나다\n", [6], "가\r\n\r\n나다\n"),
        ("", [], ""),
    ],
)
def test_text_is_written_anew(text: str, ends: list[int], rendered: str) -> None:
    assert render_spaces(text, ends) == rendered
