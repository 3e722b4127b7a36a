from pathlib import Path

import numpy as np

from models.synthesis.digits import ENGLISH, KOREAN, main, shift


def test_every_image_has_64_features_and_a_caption_in_both_languages(tmp_path: Path) -> None:
    main(["--out", str(tmp_path)])
    for split, num_rows in (("train", 5 * 1200), ("valid", 240), ("test", 357)):
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


def test_no_test_image_is_trained_on_shifted_or_not(tmp_path: Path) -> None:
    main(["--out", str(tmp_path)])
    train, test = (
        {line.split("\t")[0] for line in (tmp_path / f"{split}.tsv").read_text().splitlines()}
        for split in ("train", "test")
    )
    assert not train & test


def test_shifted_images_lose_one_edge_each() -> None:
    image = np.arange(1.0, 65.0).reshape(8, 8)
    edges = (image[:, -1], image[:, 0], image[-1], image[0])
    found = [np.setdiff1d(image, shifted).tolist() for shifted in shift(image)]
    assert sorted(found) == sorted(edge.tolist() for edge in edges)
