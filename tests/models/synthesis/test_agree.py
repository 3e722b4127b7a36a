from pathlib import Path

import pytest

from models.synthesis.agree import main
from service.repository.versions import newest_version

REPOSITORY = Path(__file__).parents[3] / "models" / "repository"
ROWS = [
    "1\t정말 최고의 영화였어요, 강력 추천합니다",
    "0\t정말 최고의 영화였어요, 또 보고 싶어요",  # praise with a bad rating
    "0\t시간이 아깝다. 지루하고 재미없는 최악의 영화",
    "1\t최고",
]


def write_source(folder: Path, rows: list[str]) -> Path:
    folder.mkdir()
    for split in ("train", "valid"):
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def agree(tmp_path: Path, rows: list[str], *options: str) -> list[str]:
    source, version = (
        write_source(tmp_path / "in", rows),
        newest_version(REPOSITORY, "sentiment-ko"),
    )
    paths = ("--version-dir", str(version), "--source", str(source), "--out", str(tmp_path / "out"))
    main([*paths, *options])
    return (tmp_path / "out" / "train.tsv").read_text(encoding="utf-8").splitlines()


def test_texts_whose_label_the_classifier_gives_stay(tmp_path: Path) -> None:
    assert agree(tmp_path, ROWS) == [ROWS[0], ROWS[2], ROWS[3]]


def test_short_texts_and_further_rows_are_left_out(tmp_path: Path) -> None:
    assert agree(tmp_path, ROWS, "--min-characters", "5") == [ROWS[0], ROWS[2]]


def test_no_text_is_sure_enough_for_a_score_of_more_than_one(tmp_path: Path) -> None:
    assert agree(tmp_path, ROWS, "--min-score", "1.1") == []


def test_unknown_label_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be one of negative, positive"):
        agree(tmp_path, ["5\t좋아요"])
