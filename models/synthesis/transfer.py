"""Generates labelled sentences of a language that has none, from parallel text.

Run it as `python -m models.synthesis.transfer ...`. An exported classifier reads the first column;
the second gets its label if the classifier is confident. Sentences it is unsure of are written
once with each label, for training only. Both labels are equally frequent.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from models.training.data.sources import read_split, write_split
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.model import LoadedModel, make_sequences

MIN_WORDS, MAX_WORDS = 3, 30
CONFIDENT = 0.92
UNSURE = 0.6  # a higher score below CONFIDENT says too little
UNSURE_SHARE = 0.25  # of the training rows, counting both copies
CHUNK = 5000
SPLITS = ("train", "valid", "test")

Scored = tuple[float, str]  # probability of the second label, and the text


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    model = load_model(arguments.version_dir, Device("cpu"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        rng = random.Random(split)
        scored = list(score_translations(model, arguments.sources, split, arguments.limit, rng))
        rows = choose_rows(scored, rng, with_unsure=split == "train")
        write_split(arguments.out, split, rows)
        print(f"{split}: {len(rows)} rows of {len(scored)} sentences")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m models.synthesis.transfer", description=__doc__
    )
    parser.add_argument(
        "--version-dir", type=Path, required=True, help="version of a classifier with two labels"
    )
    parser.add_argument(
        "--sources", type=Path, nargs="+", required=True, help="folders of parallel text"
    )
    parser.add_argument(
        "--limit", type=int, default=60_000, help="sentences of each source (default: 60000)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write the splits into")
    return parser.parse_args(argv)


def score_translations(
    model: LoadedModel, sources: Sequence[Path], split: str, limit: int, rng: random.Random
) -> Iterator[Scored]:
    """Yields the translations of a split with the scores of their originals."""
    for source in sources:
        try:
            rows = read_split(source, split, ())
        except FileNotFoundError:
            continue  # small sets are for training only
        rows = [row for row in rows if MIN_WORDS <= len(row[0].split()) <= MAX_WORDS]
        rng.shuffle(rows)
        for start in range(0, min(limit, len(rows)), CHUNK):
            chunk = rows[start : min(limit, start + CHUNK)]
            sequences = make_sequences(model, [original for original, _ in chunk])
            results = run_sequences(model.runner, sequences)
            for (_, translation), result in zip(chunk, results, strict=True):
                assert isinstance(result, np.ndarray), "a classifier answers with an array"
                yield float(model.probabilities(result)[1]), translation


def choose_rows(
    scored: Sequence[Scored], rng: random.Random, *, with_unsure: bool
) -> list[tuple[int, str]]:
    """Labels confident ones, as many of each label, and doubles unsure ones; in random order."""
    negative = [text for score, text in scored if score <= 1 - CONFIDENT]
    positive = [text for score, text in scored if score >= CONFIDENT]
    size = min(len(negative), len(positive))
    rows = [
        (label, text) for label, texts in enumerate((negative, positive)) for text in texts[:size]
    ]
    if with_unsure:
        unsure = [text for score, text in scored if 1 - UNSURE <= score <= UNSURE]
        num_unsure = round(size * UNSURE_SHARE / (1 - UNSURE_SHARE))
        rows += [(label, text) for text in unsure[:num_unsure] for label in (0, 1)]
    rng.shuffle(rows)
    return rows
