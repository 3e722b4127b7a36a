"""Writes sentence pairs around masks: `python -m models.synthesis.placeables --out FOLDER`.

Everyday data holds few links, ids and placeholders, so a model would not learn to carry their masks
through. Writes `placeables_deen/train.tsv` and `placeables_koen/train.tsv`, the mask characters of
`service.text.masking.masks` in them.
"""

import argparse
import random
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from models.training.data.sources import write_split
from service.text.masking.masks import MASKS, MASKS_PER_KIND
from service.text.masking.placeables import Kind

SENTENCES = Path(__file__).with_suffix(".toml")
SLOT = re.compile(r"\{([nx]2?)\}")
KINDS: dict[str, Kind] = {"n": "number", "x": "name"}
# Column of the sentences, by the folder that English and it are written to.
FOLDERS = {"placeables_deen": 1, "placeables_koen": 2}
# The first masks are the most frequent in use: a sentence usually has one or two.
FIRST_SHARE = 0.6


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.synthesis.placeables", description=__doc__
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the two folders")
    parser.add_argument("--copies", type=int, default=12, help="pairs per sentence (default: 12)")
    parser.add_argument("--seed", type=int, default=1, help="of the masks chosen (default: 1)")
    arguments = parser.parse_args(argv)
    sentences = tomllib.loads(SENTENCES.read_text(encoding="utf-8"))["sentences"]
    for name, column in FOLDERS.items():
        folder = arguments.out / name
        rng = random.Random(arguments.seed)
        pairs = [
            pair
            for sentence in sentences
            for pair in fill(sentence[0], sentence[column], arguments.copies, rng)
        ]
        write_split(folder, "train", pairs)
        print(f"{folder}: {len(pairs)} pairs")


def fill(first: str, second: str, copies: int, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Copies of a pair, with masks in the slots; those of a copy differ from each other."""
    names = list(dict.fromkeys(SLOT.findall(first)))
    for _ in range(copies):
        shift = 0 if rng.random() < FIRST_SHARE else rng.randrange(MASKS_PER_KIND)
        chosen: dict[str, str] = {}
        for name in names:
            kind = KINDS[name[0]]
            place = sum(KINDS[other[0]] == kind for other in chosen)
            chosen[name] = MASKS[kind][(place + shift) % MASKS_PER_KIND]
        yield put_masks(first, chosen), put_masks(second, chosen)


def put_masks(text: str, masks: Mapping[str, str]) -> str:
    return SLOT.sub(lambda match: masks[match[1]], text)


if __name__ == "__main__":
    main()
