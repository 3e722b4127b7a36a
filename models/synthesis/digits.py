"""Writes images of digits with captions: `python -m models.synthesis.digits --out FOLDER`.

Captioning in miniature: the 8x8 images of scikit-learn (UCI ML hand-written digits, CC BY 4.0) are
64 features each, and the caption says the digit in English and in Korean.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KOREAN = ("영", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
SPLITS = {"train": 1200, "valid": 240, "test": 357}  # 1,797 images
DARKEST = 16.0
SEED = 1


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.synthesis.digits", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    write_digits(parser.parse_args(argv).out)


def write_digits(folder: Path) -> None:
    """Writes train.tsv, valid.tsv and test.tsv: 64 numbers from 0 to 1, a TAB, the caption."""
    images, digits = load_digits(return_X_y=True)
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(SEED).permutation(len(digits))
    for split, size in SPLITS.items():
        lines = [write_row(images[index] / DARKEST, int(digits[index])) for index in order[:size]]
        (folder / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")
        order = order[size:]


def write_row(image: NDArray[np.float64], digit: int) -> str:
    features = " ".join(f"{value:g}" for value in image)
    return f"{features}\t{describe_digit(digit)}\n"


def describe_digit(digit: int) -> str:
    """The caption of a digit."""
    return f"{ENGLISH[digit]}, written by hand / 손으로 쓴 {KOREAN[digit]}"


if __name__ == "__main__":
    main()
