"""Generates a parallel training set with trained translators (distillation).

Run it as `python -m models.synthesis.distil ...`.

An ensemble of all runs translates each sentence of a source, in both languages. A student that
trains on the result beside the source learns from the ensemble (sequence-level distillation, Kim
and Rush 2016; from ensembles, Freitag et al. 2017), and in the opposite direction from synthetic
sources (back-translation, Sennrich et al. 2016).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from models.config import RunConfig
from models.networks.seq2seq import Seq2Seq
from models.training.data.sources import Row, read_source
from models.training.runs import Run, add_run_arguments, read_run
from models.training.tasks.translation import translate_sources
from models.training.vocabulary.subwords import EOS, PAD, start_token
from service.errors import ArtefactError
from service.text.tokenizer import Tokenizer


class Ensemble:
    """Ensemble of translators with the same vocabulary.

    Raises:
        ValueError: a run has another task, another vocabulary or other languages.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.config: RunConfig = runs[0].config
        self.tokenizer: Tokenizer = runs[0].tokenizer
        self.models: list[Seq2Seq] = []
        for run in runs:
            if not isinstance(run.model, Seq2Seq):
                raise ValueError(f"{run.config.name} is not a translator")
            if run.config.languages != self.config.languages:
                raise ValueError(f"{run.config.name} translates other languages than the first run")
            if run.tokenizer.to_json() != self.tokenizer.to_json():
                raise ValueError(f"{run.config.name} has another vocabulary than the first run")
            self.models.append(run.model)

    def translate(self, texts: Sequence[str], target: str) -> list[str]:
        """Translates texts greedily, in their order; "" for a text that is empty or too long."""
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
    print(f"wrote {len(made)} pairs, generated from {len(rows)}, to {arguments.out}")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.synthesis.distil", description=__doc__)
    add_run_arguments(parser, "translators")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write train.<language> files into"
    )
    return parser.parse_args(argv)


def distil_rows(ensemble: Ensemble, rows: Sequence[Row]) -> list[Row]:
    """Pairs each first sentence with its translation, then each second one with its translation."""
    first, second = ensemble.config.languages
    ahead = ensemble.translate([row[0] for row in rows], second)
    back = ensemble.translate([row[1] for row in rows], first)
    made = [(row[0], text) for row, text in zip(rows, ahead, strict=True)]
    made += [(text, row[1]) for row, text in zip(rows, back, strict=True)]
    return [row for row in made if all(row)]


if __name__ == "__main__":
    main()
