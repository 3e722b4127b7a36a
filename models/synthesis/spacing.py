"""Makes a data set for word spacing out of well-spaced texts.

`python -m models.synthesis.spacing --source FOLDER --column N --out FOLDER` reads the splits of a
source of two columns, and writes `train`, `valid` and `test` in the form of
`training.data.labelled_spans`: a span "SPACE" is the character that a white space belongs after.
The texts of `test` have no white space at all; those of `disturbed`, the same texts, some of it in
wrong places; training has both.
"""

import argparse
import gzip
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.training.data.labelled_spans import Span
from models.training.data.sources import read_split
from service.text.tags import SPACE

SEED = 16
REMOVED_SHARE = 0.65  # of the training texts; the others are disturbed
JOINED_SHARE = 0.3  # of the training texts, which are followed by the next one
MIN_CHARACTERS = 4
HANGUL = re.compile("[가-힣]")
MIN_HANGUL = 0.5  # of the characters
# A particle that was cut off its word, as where markup was removed: "값 을", "HTTP 의".
LOOSE_PARTICLE = re.compile(r"\S (은|는|을|를|의|에|로|으로|에서|와|과|에게|이라는|라는)(?= |$)")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    rng = random.Random(SEED)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for split in ("train", "valid", "test"):
        texts = list(read_texts(arguments.source, split, arguments.column))
        if split == "train":
            texts = join_some(texts, rng)
            write_rows(arguments.out / "train.tsv.gz", [vary(text, rng) for text in texts])
        elif texts:
            removed = [label_spaces(text, "".join(text.split())) for text in texts]
            write_rows(arguments.out / f"{split}.tsv.gz", removed)
        if split == "test" and texts:
            disturbed = [label_spaces(text, disturb(text, rng)) for text in texts]
            write_rows(arguments.out / "disturbed.tsv.gz", disturbed)
        print(f"{arguments.out}, {split}: {len(texts):,} texts")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.synthesis.spacing", description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder of well-spaced texts")
    parser.add_argument(
        "--column", type=int, default=1, help="the texts' column, from 0 (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    return parser.parse_args(argv)


def read_texts(folder: Path, split: str, column: int) -> Iterator[str]:
    """Yields the usable texts of a split, single-spaced, none twice; nothing if it has none."""
    try:
        rows = read_split(folder, split, ())
    except FileNotFoundError:
        return
    seen: set[str] = set()
    for row in rows:
        text = " ".join(row[column].split())
        if is_usable(text) and text not in seen:
            seen.add(text)
            yield text


def is_usable(text: str) -> bool:
    """Whether a text is Korean, and its spaces can be trusted."""
    length = len("".join(text.split()))
    return (
        length >= MIN_CHARACTERS
        and len(HANGUL.findall(text)) >= MIN_HANGUL * length
        and LOOSE_PARTICLE.search(text) is None
    )


def join_some(texts: Sequence[str], rng: random.Random) -> list[str]:
    """Lets some texts be followed by the next one, so that ends of sentences are learnt."""
    joined: list[str] = []
    for text in texts:
        if joined and rng.random() < JOINED_SHARE:
            joined[-1] += f" {text}"
        else:
            joined.append(text)
    return joined


def vary(text: str, rng: random.Random) -> tuple[str, str]:
    """A row for training: white space removed or disturbed."""
    is_removed = rng.random() < REMOVED_SHARE
    return label_spaces(text, "".join(text.split()) if is_removed else disturb(text, rng))


def disturb(text: str, rng: random.Random) -> str:
    """Removes some spaces and puts others in wrong places; how many differs from text to text."""
    removed, added = rng.random(), rng.random() * 0.15
    kept = []
    for character in text:
        if character == " ":
            if rng.random() >= removed:
                kept.append(character)
            continue
        kept.append(character)
        if rng.random() < added:
            kept.append(" ")
    return " ".join("".join(kept).split())


def label_spaces(text: str, disturbed: str) -> tuple[str, str]:
    """Labels a disturbed text by the well-spaced text: (spans, disturbed text)."""
    needs_space = [
        following == " "
        for character, following in zip(text, text[1:] + "$", strict=True)
        if character != " "
    ]
    places = [place for place, character in enumerate(disturbed) if character != " "]
    spans = [
        str(Span(place, place + 1, SPACE))
        for place, needed in zip(places, needs_space, strict=True)
        if needed
    ]
    return " ".join(spans), disturbed


def write_rows(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    # without a date in the header, the same texts give the same bytes
    with gzip.GzipFile(path, "wb", mtime=0) as stream:
        for spans, text in rows:
            stream.write(f"{spans}\t{text}\n".encode())


if __name__ == "__main__":
    main()
