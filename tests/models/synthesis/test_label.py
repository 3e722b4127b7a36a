import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.config import SourceConfig, dump_config, parse_config
from models.synthesis.label import (
    MIN_LOGIT,
    PRIOR,
    Teacher,
    check_labels,
    draw_sentences,
    label_sentences,
    main,
    split_sentences,
)
from models.training.runs import read_run

FolderMaker = Callable[[str, str], Path]

REVIEW = (
    'I saw it twice in a week.<br /><br />"Not for me!" said Ann. It is by Mr. Hill, I think. '
    "Too short. And the ending? 10 out of 10 from all of us."
)


class FixedTeacher:
    """Returns given log-odds."""

    def __init__(self, *logits: float) -> None:
        self.logits = logits

    def read(self, texts: list[str]) -> Tensor:
        assert len(texts) == len(self.logits)
        return torch.tensor(self.logits)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Makes a data folder with two reviews in one source."""
    (tmp_path / "data" / "reviews").mkdir(parents=True)
    text = f"1\t{REVIEW}\n0\tI want all of my money back. Never again.\n"
    (tmp_path / "data" / "reviews" / "train.tsv").write_text(text, encoding="utf-8")
    return tmp_path / "data"


@pytest.fixture
def run(tiny_run: FolderMaker, tmp_path: Path) -> Path:
    """Makes a run over those reviews with random weights."""
    made = tiny_run("classification", "gru")
    config = parse_config(json.loads((made / "config.json").read_text(encoding="utf-8")))
    source = SourceConfig(path="reviews", licence="CC0-1.0", commercial_use=True)
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("best.pt", "tokenizer.json"):
        (folder / name).symlink_to(made / name)
    fields = dump_config(replace(config, sources=(source,)))
    (folder / "config.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder


def test_text_is_split_into_sentences_of_several_words() -> None:
    assert split_sentences(REVIEW) == [
        "I saw it twice in a week.",
        '"Not for me!" said Ann.',
        "It is by Mr.",
        "10 out of 10 from all of us.",
    ]


def test_teachers_and_the_label_of_the_text_are_combined() -> None:
    sure, torn = MIN_LOGIT - PRIOR + 0.1, MIN_LOGIT - PRIOR - 0.1
    sentences = [(1, "a"), (0, "b"), (1, "c"), (0, "d"), (0, "e")]
    first = FixedTeacher(sure + 1.0, -sure, torn, sure, MIN_LOGIT + PRIOR + 0.1)
    second = FixedTeacher(sure - 1.0, -sure, torn, sure, MIN_LOGIT + PRIOR + 0.1)
    kept = label_sentences([first, second], sentences)  # type: ignore[list-item]
    assert kept == [(1, "a"), (0, "b"), (1, "e")]


def test_same_sentences_are_drawn_at_every_call(run: Path, reviews: Path) -> None:
    config = parse_config(json.loads((run / "config.json").read_text(encoding="utf-8")))
    drawn = draw_sentences(config, "reviews", reviews, 3)
    assert drawn == draw_sentences(config, "reviews", reviews, 3)
    everything = draw_sentences(config, "reviews", reviews, 99)
    assert len(drawn) == 3 < len(everything) == 5
    assert (0, "I want all of my money back.") in everything
    with pytest.raises(ValueError, match="the run's sources are reviews"):
        draw_sentences(config, "films", reviews, 3)


def test_output_can_be_trained_on(
    run: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.synthesis.label.MIN_LOGIT", 0.0)
    out = tmp_path / "data" / "sentences"
    main(["--runs", str(run), "--data", str(reviews), "--source", "reviews", "--out", str(out)])
    lines = (out / "train.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5
    assert {line.partition("\t")[0] for line in lines} <= {"0", "1"}


def test_teachers_must_have_the_same_labels_in_the_same_order(run: Path) -> None:
    first, second = Teacher(read_run(run)), Teacher(read_run(run))
    check_labels([first, second])
    second.config = replace(second.config, labels=tuple(reversed(second.config.labels)))
    with pytest.raises(ValueError, match="all runs must have the same labels"):
        check_labels([first, second])


@pytest.mark.parametrize("task", ["translation", "classification"])
def test_error_is_one_sentence(
    task: str, tiny_run: FolderMaker, reviews: Path, tmp_path: Path
) -> None:
    arguments = ["--runs", str(tiny_run(task, "gru")), "--data", str(reviews), "--source", "films"]
    with pytest.raises(SystemExit, match=r"^models\.synthesis\.label: ") as caught:
        main([*arguments, "--out", str(tmp_path / "out")])
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()
