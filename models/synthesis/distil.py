"""Makes a parallel training set from the answers of trained translators.

Run it as `python -m models.synthesis.distil ...`.

Each sentence of a source, in either language, is translated by all runs together. A student that
trains on this beside the source learns what the ensemble knows (sequence-level distillation, Kim
and Rush 2016; from ensembles, Freitag et al. 2017), and reads a made-up sentence where it
translates the other way round (back-translation, Sennrich et al. 2016).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from models.config import RunConfig
from models.networks.seq2seq import Seq2Seq
from models.training.data import Row, read_source
from models.training.runs import Run, add_run_arguments, read_run
from models.training.tasks import translate_sources
from models.training.vocabulary import EOS, PAD, start_token
from service.errors import ArtefactError
from service.text.tokenizer import Tokenizer


class Ensemble:
    """Translators with one vocabulary.

    Raises:
        ValueError: a run is another task's, or has another vocabulary or other languages.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.config: RunConfig = runs[0].config
        self.tokenizer: Tokenizer = runs[0].tokenizer
        self.models: list[Seq2Seq] = []
        for run in runs:
            if not isinstance(run.model, Seq2Seq):
                raise ValueError(f"{run.config.name} is no translator")
            if run.config.languages != self.config.languages:
                raise ValueError(f"{run.config.name} translates other languages than the first run")
            if run.tokenizer.to_json() != self.tokenizer.to_json():
                raise ValueError(f"{run.config.name} has another vocabulary than the first run")
            self.models.append(run.model)

    def translate(self, texts: Sequence[str], target: str) -> list[str]:
        """Greedy translations in the order of the texts; "" for one that is empty or too long."""
        pad_id, eos_id = self.tokenizer.token_id(PAD), self.tokenizer.token_id(EOS)
        start_id = self.tokenizer.token_id(start_token(target))
        encoded = [[*ids, eos_id] for ids in self.tokenizer.encode_batch(texts)]
        usable = [
            index
            for index, ids in enumerate(encoded)
            if 1 < len(ids) <= self.config.model.max_tokens
        ]
        rows = translate_sources(
            self.models,
            [encoded[index] for index in usable],
            start_id,
            eos_id,
            pad_id,
            torch.device("cpu"),
            progress=f"into {target}",
        )
        translations = [""] * len(texts)
        for index, row in zip(usable, rows, strict=True):
            translations[index] = " ".join(self.tokenizer.decode(row).split())  # one line
        return translations


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        ensemble = Ensemble([read_run(folder) for folder in arguments.runs])
        source = ensemble.config.find_source(arguments.source)
        rows = read_source(ensemble.config, source, arguments.data, "train")
        made = distil_rows(ensemble, rows)
        arguments.out.mkdir(parents=True, exist_ok=True)
        for side, language in enumerate(ensemble.config.languages):
            lines = [f"{row[side]}\n" for row in made]
            (arguments.out / f"train.{language}").write_text("".join(lines), encoding="utf-8")
    except (ValueError, OSError, ArtefactError) as exc:
        raise SystemExit(f"models.synthesis.distil: {exc}") from exc
    print(f"wrote {len(made)} pairs, made of {len(rows)}, to {arguments.out}")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.synthesis.distil", description=__doc__)
    add_run_arguments(parser, "translators")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write train.<language> files into"
    )
    return parser.parse_args(argv)


def distil_rows(ensemble: Ensemble, rows: Sequence[Row]) -> list[Row]:
    """Each first sentence with its translation, then each second one with its own."""
    first, second = ensemble.config.languages
    ahead = ensemble.translate([row[0] for row in rows], second)
    back = ensemble.translate([row[1] for row in rows], first)
    made = [(row[0], text) for row, text in zip(rows, ahead, strict=True)]
    made += [(text, row[1]) for row, text in zip(rows, back, strict=True)]
    return [row for row in made if all(row)]


if __name__ == "__main__":
    main()
