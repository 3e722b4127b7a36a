"""Checks that training data holds nothing that models are measured with.

Run it as `python -m models.overlap --config FILE... --data FOLDER`. It compares the training rows
of the configurations with the everyday sentences and, in translation, with the test rows of all
configurations of the same languages; see `models.training.data.held_out`. It lists the rows that
training would leave out, and exits with 1 if there are any.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.config import RunConfig, read_config
from models.training.data.held_out import HeldOut, Overlap
from models.training.data.sources import read_source


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    try:
        configs = [read_config(path) for path in arguments.config]
        overlaps = list(find_overlaps(configs, arguments.data))
    except (ValueError, OSError) as exc:
        raise SystemExit(f"models.overlap: {exc}") from exc
    found = [overlap for overlap in overlaps if overlap]
    for overlap in found:
        print(overlap)
    num_rows = sum(overlap.num_left_out for overlap in found)
    print(f"held-out rows: {num_rows:,}, in {len(found)} of {len(overlaps)} training sets")
    if found:
        raise SystemExit(1)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.overlap", description=__doc__)
    parser.add_argument(
        "--config", type=Path, nargs="+", required=True, help="TOML files, see models/configs"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that the sources' paths are relative to"
    )
    return parser.parse_args(argv)


def find_overlaps(configs: Sequence[RunConfig], data: Path) -> Iterator[Overlap]:
    """Compares every training set with what configurations of its task and languages hold out.

    Prints the name of each file that is not there.

    Raises:
        ValueError: a file cannot be read.
        OSError: the same.
    """
    for task, languages in dict.fromkeys((config.task, config.languages) for config in configs):
        alike = [
            config for config in configs if (config.task, config.languages) == (task, languages)
        ]
        held_out = HeldOut(task)
        for config in alike:
            held_out.add_tests(config, data)
        missing = list(held_out.missing)
        trained = {
            (source.path, source.train): (config, source)
            for config in alike
            for source in config.sources
            if source.weight
        }
        for config, source in trained.values():
            try:
                rows = read_source(config, source, data, "train")
            except FileNotFoundError:
                missing.append(f"{source.path} {source.train}")
            else:
                yield held_out.measure_overlap(source.path, rows)
        for name in dict.fromkeys(missing):
            print(f"{name}: no such rows, not compared")


if __name__ == "__main__":
    main()
