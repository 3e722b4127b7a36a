"""Averages the weights of two runs, the second of which continues from the first.

Run it as `python -m models.mix --runs FIRST SECOND --share 0.6 --out FOLDER`. The result keeps what
the second run has learnt and more of what the first one knew (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models").
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from models.config import CONFIG
from models.training.trainer import BEST, HISTORY, LAST
from service.repository.manifest import TOKENIZER


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    try:
        first, second = arguments.runs
        mix_runs(first, second, arguments.share, arguments.out)
    except (ValueError, OSError) as exc:
        raise SystemExit(f"models.mix: {exc}") from exc
    print(f"run is in {arguments.out}")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.mix", description=__doc__)
    parser.add_argument("--runs", type=Path, nargs=2, required=True, help="the runs' folders")
    parser.add_argument("--share", type=float, required=True, help="of the second run, 0 to 1")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new run")
    return parser.parse_args(argv)


def mix_runs(first: Path, second: Path, share: float, out: Path) -> None:
    """Writes a run with the second one's files and weights between those of the two.

    Raises:
        ValueError: the share is out of range, or the runs differ in vocabulary or shape.
        OSError: a file is missing, or the folder exists.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"--share {share} is not between 0 and 1")
    if (first / TOKENIZER).read_bytes() != (second / TOKENIZER).read_bytes():
        raise ValueError(f"{first} and {second} have different vocabularies")
    weights = [
        torch.load(folder / BEST, map_location="cpu", weights_only=True)
        for folder in (first, second)
    ]
    shapes = [{name: tensor.shape for name, tensor in each.items()} for each in weights]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{first} and {second} have weights of different shapes")
    out.mkdir(parents=True)
    for name in (CONFIG, TOKENIZER, HISTORY, LAST):
        if (second / name).exists():
            shutil.copy2(second / name, out / name)
    mixed = {name: torch.lerp(weights[0][name], weights[1][name], share) for name in weights[0]}
    torch.save(mixed, out / BEST)


if __name__ == "__main__":
    main()
