"""Keeps the labelled texts whose label an exported classifier is sure of, too.

Run it as `python -m models.synthesis.agree ...`. Ratings and texts differ: praise with one star, or
a plain fact with five. A model that writes by a label learns less of them than of clear texts.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from models.training.data.sources import Row, index_labels, limit_rows, read_split, write_split
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.model import LoadedModel, make_sequences

SPLITS = ("train", "valid")
CHUNK = 5000


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    model = load_model(arguments.version_dir, Device("cpu"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        rows = [
            row
            for row in read_split(arguments.source, split, ())
            if len(row[1]) >= arguments.min_characters
        ]
        rows = limit_rows(rows, arguments.limit)
        kept = list(keep_sure(model, rows, arguments.min_score))
        write_split(arguments.out, split, kept)
        print(f"{split}: {len(kept)} of {len(rows)} rows", flush=True)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.synthesis.agree", description=__doc__)
    parser.add_argument(
        "--version-dir", type=Path, required=True, help="version of a classifier of the labels"
    )
    parser.add_argument("--source", type=Path, required=True, help="folder of labelled texts")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the splits into")
    parser.add_argument(
        "--min-score",
        type=float,
        default=0.9,
        help="the least probability of a text's label (default: %(default)s)",
    )
    parser.add_argument(
        "--min-characters", type=int, default=1, help="shorter texts are left out (default: 1)"
    )
    parser.add_argument(
        "--limit", type=int, help="rows of each split that are looked at (default: all)"
    )
    return parser.parse_args(argv)


def keep_sure(model: LoadedModel, rows: Sequence[Row], min_score: float) -> Iterator[Row]:
    """Yields the rows whose label the classifier gives at least `min_score`, in their order.

    Raises:
        ValueError: a label is unknown to the classifier.
    """
    for start in range(0, len(rows), CHUNK):
        chunk = [row for row in rows[start : start + CHUNK] if model.encode([row[1]])[0]]
        labels = index_labels(chunk, model.manifest.labels)
        results = run_sequences(model.runner, make_sequences(model, [text for _, text in chunk]))
        for row, label, result in zip(chunk, labels, results, strict=True):
            assert isinstance(result, np.ndarray), "a classifier answers with an array"
            if model.probabilities(result)[label] >= min_score:
                yield row


if __name__ == "__main__":
    main()
