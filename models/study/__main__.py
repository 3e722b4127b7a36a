"""Compares the cells: `python -m models.study --out FOLDER` (`make study`), in a few minutes.

Writes results.json, gradients.png and recall.png. All seeds are fixed; other processors may round
otherwise. The page docs/recurrent-networks.md shows and explains the results.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from models.study.experiments import (
    QUICK,
    Effort,
    Row,
    compare_clipping,
    compare_language,
    compare_recall,
    compare_truncation,
)
from models.study.language import read_corpus, write_text
from models.study.plots import GRADIENTS, RECALL, draw_gradients, draw_recall

RESULTS = "results.json"
NUM_DIGITS = 5


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    torch.set_num_threads(1)
    effort = QUICK if arguments.quick else Effort()
    try:
        text = (
            arguments.text.read_text(encoding="utf-8")
            if arguments.text
            else write_text(effort.num_sentences)
        )
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_results(text, effort, arguments.out)
    except (OSError, ValueError) as exc:
        raise SystemExit(f"models.study: {exc}") from exc


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.study", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--text",
        type=Path,
        help="text of the language models (default: sentences of models.synthesis.phrases)",
    )
    parser.add_argument("--quick", action="store_true", help="show that it runs, in seconds")
    return parser.parse_args(argv)


def write_results(text: str, effort: Effort, folder: Path) -> None:
    """Runs all experiments, prints their rows, and writes them and the plots.

    Raises:
        ValueError: the text is too short.
    """
    if len(text) < effort.min_characters:
        raise ValueError(
            f"the text has {len(text)} characters; it needs {effort.min_characters} or more"
        )
    corpus = read_corpus(text)
    losses, gradients = compare_language(corpus, effort)
    show("language", losses)
    recall = show("recall", list(compare_recall(effort)))
    results = {
        "effort": dataclasses.asdict(effort),
        "num_characters": len(text),
        "language": losses,
        "gradients": gradients,
        "recall": recall,
        "clipping": show("clipping", list(compare_clipping(corpus, effort))),
        "truncation": show("truncation", list(compare_truncation(effort))),
    }
    draw_gradients(gradients, folder / GRADIENTS)
    draw_recall(recall, folder / RECALL)
    document = json.dumps(round_numbers(results), indent=1)
    (folder / RESULTS).write_text(document + "\n", encoding="utf-8")
    print(f"wrote {folder / RESULTS}")


def show(name: str, rows: list[Row]) -> list[Row]:
    for row in rows:
        print(f"{name}: {json.dumps(round_numbers(row))}", flush=True)
    return rows


def round_numbers(value: object) -> object:
    """Rounds every number of nested lists and dictionaries to `NUM_DIGITS` significant digits."""
    match value:
        case float():
            return float(f"{value:.{NUM_DIGITS}g}")
        case dict():
            return {key: round_numbers(item) for key, item in value.items()}
        case list() | tuple():
            return [round_numbers(item) for item in value]
        case _:
            return value


if __name__ == "__main__":
    main()
