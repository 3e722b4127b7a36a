"""Writes images of digits with captions: `python -m models.synthesis.digits --out FOLDER`.

Captioning in miniature: the 8x8 images of scikit-learn (UCI ML hand-written digits, CC BY 4.0) are
64 features each, and the caption says the digit in English and in Korean.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KOREAN = ("영", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
SPLITS = {"train": 1200, "valid": 240, "test": 357}  # 1,797 images
SIZE, DARKEST = 8, 16.0
SEED = 1


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.synthesis.digits", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    write_digits(parser.parse_args(argv).out)


def write_digits(folder: Path) -> None:
    """Writes train.tsv, valid.tsv and test.tsv: 64 numbers from 0 to 1, a TAB, the caption.

    Each image to train on is also there shifted by a pixel to the left, right, top and bottom.
    """
    pixels, digits = load_digits(return_X_y=True)
    images = pixels.reshape(-1, SIZE, SIZE) / DARKEST
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(SEED).permutation(len(digits))
    for split, size in SPLITS.items():
        lines = [
            write_row(image, int(digits[index]))
            for index in order[:size]
            for image in (images[index], *(shift(images[index]) if split == "train" else ()))
        ]
        (folder / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")
        order = order[size:]


def shift(image: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yields an image (8, 8) moved by a pixel in each direction; its edge is white."""
    padded = np.pad(image, 1)
    for row, column in ((1, 0), (1, 2), (0, 1), (2, 1)):
        yield padded[row : row + SIZE, column : column + SIZE]


def write_row(image: NDArray[np.float64], digit: int) -> str:
    features = " ".join(f"{value:g}" for value in image.flat)
    return f"{features}\t{describe_digit(digit)}\n"


def describe_digit(digit: int) -> str:
    """The caption of a digit."""
    return f"{ENGLISH[digit]}, written by hand / 손으로 쓴 {KOREAN[digit]}"


if __name__ == "__main__":
    main()
