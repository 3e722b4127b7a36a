from pathlib import Path

import pytest

from models.training.data.held_out import (
    EVERYDAY_NAME,
    HeldOut,
    Overlap,
    read_everyday,
    read_training,
    text_key,
)
from models.training.tasks.task import check_sources, training_texts
from tests.models.training.tasks.test_task import make_config, write_rows

EVERYDAY_TEXT = "He has three cats and a parrot."


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I don't know.", "i dont know"),
        ("배가 고파요", "배가고파요!!"),
        ("GRÜSSE 😍", "grüße"),
        ("１２３ Fu\u0308nf", "123 Fünf"),  # noqa: RUF001
    ],
)
def test_texts_that_differ_in_typing_have_the_same_key(first: str, second: str) -> None:
    assert text_key(first) == text_key(second) != ""


@pytest.mark.parametrize(("first", "second"), [("hunt", "hurt"), ("कि", "का"), ("3", "4")])
def test_other_texts_have_other_keys(first: str, second: str) -> None:
    assert text_key(first) != text_key(second)


def test_training_rows_with_held_out_sides_are_left_out_and_counted(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "a",
        "train.tsv",
        "i see a tiger\t나는 호랑이가 보여",  # its English is in b's test rows
        "Yesterday.\t어제 왔어요!",  # its Korean too
        f"{EVERYDAY_TEXT.upper()}\t고양이",
        "Green tea, please.\t녹차 주세요.",
        ":)\t:(",
        "...\t!",
    )
    write_rows(tmp_path / "a", "test.tsv", "Other.\t다른 것.", "-\t?")
    write_rows(tmp_path / "b", "test.tsv", "I see a tiger.\t호랑이다!", "He came.\t어제 왔어요")
    config = make_config("translation", {"path": "a"}, {"path": "b", "weight": 0})

    [(source, rows)] = read_training(config, tmp_path)
    assert source.path == "a"
    assert rows == [("Green tea, please.", "녹차 주세요."), (":)", ":("), ("...", "!")]
    assert set(training_texts(config, tmp_path)) == {text for row in rows for text in row}

    overlap = HeldOut.of(config, tmp_path).measure_overlap(
        "a", [*rows, ("I see a tiger", "어제 왔어요")]
    )
    assert overlap == Overlap("a", 4, 1, {"b test": 1})


def test_sentiment_holds_out_everyday_sentences_and_no_test_rows(tmp_path: Path) -> None:
    rows = [f"{label}\t{text}" for label, text in enumerate(("not good", "a lovely film"))]
    for split in ("train", "test"):
        write_rows(tmp_path / "a", f"{split}.tsv", *rows)

    [(_, kept)] = read_training(make_config("classification", {"path": "a"}), tmp_path)

    assert kept == [("1", "a lovely film")]


def test_everyday_lines_hold_out_the_texts_of_their_task() -> None:
    for task, column in (("classification", 2), ("translation", 2)):
        held_out = HeldOut(task)
        for columns in read_everyday(task):
            assert held_out.find_sets(("", columns[column])) == {EVERYDAY_NAME}


def test_training_prints_what_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path / "a", "train.tsv", f"{EVERYDAY_TEXT}\t고양이", "One.\t하나.")
    write_rows(tmp_path / "a", "valid.tsv", "Two.\t둘.")
    write_rows(tmp_path / "b", "train.tsv", "Three.\t셋.")
    config = make_config("translation", {"path": "a", "test": ""}, {"path": "b", "valid": ""})

    check_sources(config, tmp_path)

    assert capsys.readouterr().out.splitlines() == [
        "b test: no such test rows; training rows are not compared with them",
        "left out of a: 1 of 2 training rows, 1 in models/everyday",
    ]


def test_weightless_sources_are_not_trained_on(tmp_path: Path) -> None:
    write_rows(tmp_path / "a", "train.tsv", "One.\t하나.")
    config = make_config("translation", {"path": "a", "weight": 0})

    assert list(read_training(config, tmp_path)) == []
