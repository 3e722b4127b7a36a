from pathlib import Path

import numpy as np

from models.synthesis.digits import ENGLISH, KOREAN, main


def test_every_image_has_64_features_and_a_caption_in_both_languages(tmp_path: Path) -> None:
    main(["--out", str(tmp_path)])
    for split, num_rows in (("train", 1200), ("valid", 240), ("test", 357)):
        rows = [
            line.split("\t")
            for line in (tmp_path / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
        ]
        assert len(rows) == num_rows
        features = np.array([row[0].split() for row in rows], dtype=float)
        assert features.shape == (num_rows, 64)
        assert (features.min(), features.max()) == (0.0, 1.0)
        captions = {row[1] for row in rows}
        assert captions == {
            f"{english}, written by hand / 손으로 쓴 {korean}"
            for english, korean in zip(ENGLISH, KOREAN, strict=True)
        }


def test_no_test_image_is_trained_on(tmp_path: Path) -> None:
    main(["--out", str(tmp_path)])
    train, test = (
        {line.split("\t")[0] for line in (tmp_path / f"{split}.tsv").read_text().splitlines()}
        for split in ("train", "test")
    )
    assert not train & test
