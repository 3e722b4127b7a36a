"""Trains a model from a configuration: `python -m models.train --config FILE --data FOLDER`.

Writes config.json, tokenizer.json, history.jsonl, last.pt and best.pt into the run's folder, and
the same files of a configured pretraining or base into its subfolder `pretraining` or `base`. Run
the same command again to resume.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from models.config import (
    CONFIG,
    RunConfig,
    SourceConfig,
    describe_faults,
    dump_config,
    read_config,
    read_run_config,
)
from models.training.data import texts as language_texts
from models.training.initial import load_initial
from models.training.runs import positive
from models.training.tasks.pretraining import PretrainingTask
from models.training.tasks.task import build_task, check_sources, training_texts
from models.training.trainer import LAST, Trainer
from models.training.vocabulary.characters import train_characters
from models.training.vocabulary.subwords import train_tokenizer
from models.training.vocabulary.text_subwords import train_text_tokenizer
from service.errors import ArtefactError
from service.repository.manifest import PAIRED, TOKENIZER
from service.text.tokenizer import Tokenizer

BASE, PRETRAINING = "base", "pretraining"  # folders below the run's


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        device = choose_device(arguments.device)
        for config in list_stages(arguments, arguments.config):
            check_sources(config, arguments.data)
        run_training(prepare_trainer(arguments, arguments.config, arguments.out, device))
    except (ValueError, OSError, ArtefactError, FloatingPointError) as exc:
        raise SystemExit(f"models.train: {exc}") from exc


def list_stages(
    arguments: argparse.Namespace, path: Path, later: Sequence[Path] = ()
) -> list[RunConfig]:
    """Lists the configurations of a run and of the runs that it starts from, last one first.

    Raises:
        ValueError: a configuration is invalid, missing, or its own base.
    """
    if path in later:
        raise ValueError(f"{path} is its own base")
    config = choose_config(arguments, path)
    if not config.base or arguments.init:
        return [config]
    base_path = path.parent / config.base
    if not base_path.is_file():
        raise ValueError(f"{path}: its base {base_path} does not exist")
    return [config, *list_stages(arguments, base_path, [*later, path])]


def prepare_trainer(
    arguments: argparse.Namespace, config_path: Path, folder: Path | None, device: torch.device
) -> Trainer:
    """Runs the base or the pretraining first, unless `--init` replaces them, and opens the run.

    Raises:
        ValueError, OSError, ArtefactError: see `open_trainer`.
    """
    config = choose_config(arguments, config_path)
    folder = folder or Path("runs") / config.name
    initial: Path | None = arguments.init
    if config.base and not initial:
        initial = folder / BASE
        base_path = config_path.parent / config.base
        run_training(prepare_trainer(arguments, base_path, initial, device))
    if config.pretraining and not initial:
        initial = folder / PRETRAINING
        run_training(open_trainer(arguments, config, initial, device, is_pretraining=True))
    return open_trainer(arguments, config, folder, device, initial)


def run_training(trainer: Trainer) -> None:
    num_parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    print(
        f"{trainer.folder}: {num_parameters / 1e6:.1f} M parameters, {trainer.device}, "
        f"{'bf16' if trainer.use_bf16 else 'fp32'}"
    )
    progress = trainer.train()
    print(
        f"best validation score {progress.best_score:.4g} after {progress.seconds / 60:.0f} min; "
        f"run is in {trainer.folder}"
    )


def open_trainer(
    arguments: argparse.Namespace,
    config: RunConfig,
    folder: Path,
    device: torch.device,
    initial: Path | None = None,
    *,
    is_pretraining: bool = False,
) -> Trainer:
    """Prepares a run up to its first step; starts from the run `initial`, if given.

    Raises:
        ValueError: configuration, data or device are invalid.
        OSError: a file is missing or cannot be read.
        ArtefactError: the tokenizer of the run to resume is missing or damaged.
    """
    donor = None if config.new_vocabulary else initial
    config, tokenizer = prepare_run(config, folder, arguments.data, donor)
    make_task = PretrainingTask if is_pretraining else build_task
    training = config.pretraining if is_pretraining else None
    trainer = Trainer(
        make_task(config, tokenizer, arguments.data),
        training or config.training,
        folder,
        device,
        use_bf16=is_bf16_faster(device) if arguments.bf16 is None else arguments.bf16,
        checkpoint_seconds=arguments.checkpoint_seconds,
    )
    if initial and not trainer.has_begun:
        random_names = trainer.start_from(*load_initial(initial, tokenizer))
        print(f"starts from the weights of {initial}; random: {', '.join(random_names) or 'none'}")
    return trainer


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file, see models/configs")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that the sources' paths are relative to"
    )
    parser.add_argument("--out", type=Path, help="the run's folder (default: runs/NAME)")
    parser.add_argument(
        "--init",
        type=Path,
        help="start from the vocabulary and the weights of another run's folder, or of a version "
        "in the model repository, instead of the configured base or pretraining",
    )
    parser.add_argument(
        "--new-vocabulary",
        action="store_true",
        help="with --init: learn a vocabulary from the data; its embeddings start from those of "
        "the old tokens that spell them",
    )
    parser.add_argument(
        "--sources",
        nargs="+",
        help="train on these folders below --data instead of the configured ones",
    )
    parser.add_argument(
        "--name",
        help="name of the model (default: the configured one; with --sources that of --out)",
    )
    parser.add_argument(
        "--labels", nargs="+", help="override the class names, in the order of their ids"
    )
    parser.add_argument(
        "--purpose",
        help='what the labels tell, as "spam" (default: the configured purpose; none with '
        "--sources)",
    )
    parser.add_argument(
        "--only-when-named",
        action="store_true",
        help="the classifier answers only requests that name it",
    )
    parser.add_argument(
        "--languages",
        nargs="+",
        help="override the language codes: the input languages, or the pair to translate",
    )
    parser.add_argument(
        "--epochs", type=positive, help="override the configured number of epochs of every stage"
    )
    parser.add_argument(
        "--pretraining",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="--no-pretraining skips the configured pretraining",
    )
    parser.add_argument("--seed", type=int, help="override the configured seed")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: cuda if available)")
    parser.add_argument("--threads", type=positive, help="CPU threads (default: all cores)")
    parser.add_argument(
        "--bf16",
        action=argparse.BooleanOptionalAction,
        help="autocast to bfloat16 (default: if it is faster on the device)",
    )
    parser.add_argument(
        "--checkpoint-seconds",
        type=float,
        default=120.0,
        help="time between checkpoints, the most that a kill can lose (default: 120)",
    )
    return parser.parse_args(argv)


def choose_config(arguments: argparse.Namespace, path: Path) -> RunConfig:
    """Reads a configuration file and applies the overrides of the command line.

    Raises:
        ValueError: a field is invalid, or a model of other data would reuse the configured name.
    """
    config = read_config(path)
    overrides = given_fields(arguments, "name", "labels", "languages", "purpose")
    if arguments.sources:
        name = arguments.name or (arguments.out and arguments.out.name)
        if not name:
            raise ValueError("--sources trains another model; give it another --name")
        sources = tuple(
            SourceConfig(path=path, licence="unstated", commercial_use=False)
            for path in arguments.sources
        )
        overrides = {"purpose": ""} | overrides | {"name": name, "sources": sources}
    if arguments.only_when_named:
        overrides["answers_by_default"] = False
    if arguments.new_vocabulary:
        overrides["new_vocabulary"] = True
    overrides["training"] = dataclasses.replace(
        config.training, **given_fields(arguments, "epochs", "seed")
    )
    if config.pretraining:
        overrides["pretraining"] = (
            dataclasses.replace(config.pretraining, **given_fields(arguments, "seed"))
            if arguments.pretraining
            else None
        )
    try:
        return dataclasses.replace(config, **overrides)
    except ValidationError as exc:
        raise ValueError(f"invalid options: {describe_faults(exc)}") from exc


def given_fields(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    fields = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in fields.items() if value is not None}


def choose_device(name: str | None) -> torch.device:
    """Returns the requested device, or by default the best one available.

    Raises:
        ValueError: the device is unknown or not available.
    """
    num_gpus = torch.cuda.device_count()
    if name is None:
        return torch.device("cuda" if num_gpus else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise ValueError(f"--device {name}: use cpu, cuda or cuda:N") from exc
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"--device {name}: use cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= num_gpus:
        raise ValueError(f"--device {name}: torch finds {num_gpus} CUDA devices")
    return device


def prepare_run(
    config: RunConfig, folder: Path, data: Path, initial: Path | None = None
) -> tuple[RunConfig, Tokenizer]:
    """Opens the folder of a run, or creates it.

    The vocabulary is learnt once, or copied from the run to start from, and its actual size is
    saved in the configuration. A folder without a checkpoint is set up again from scratch.

    Raises:
        ValueError: the folder belongs to another configuration.
    """
    config_path, tokenizer_path = folder / CONFIG, folder / TOKENIZER
    has_begun = (folder / LAST).exists()
    if config_path.exists() and has_begun:
        tokenizer = Tokenizer.load(tokenizer_path)
        config = fit_vocabulary(config, tokenizer)
        if read_run_config(folder) != config:
            raise ValueError(
                f"{folder} belongs to another configuration; choose another --out or remove it"
            )
        return config, tokenizer
    if has_begun:
        raise ValueError(f"{folder} has weights but no config.json; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.load(initial / TOKENIZER) if initial else learn_vocabulary(config, data)
    tokenizer.save(tokenizer_path)
    config = fit_vocabulary(config, tokenizer)
    partial = config_path.with_suffix(".partial")  # complete or absent, even after a kill
    partial.write_text(
        json.dumps(dump_config(config), ensure_ascii=False, indent=1), encoding="utf-8"
    )
    partial.replace(config_path)
    return config, tokenizer


def learn_vocabulary(config: RunConfig, data: Path) -> Tokenizer:
    if config.task == "language":
        texts = language_texts.training_texts(config, data)
        lowercase = config.model.lowercase
        return train_text_tokenizer(texts, config.model.vocab_size, lowercase=lowercase)
    languages = config.languages if config.task in PAIRED else ()
    texts = training_texts(config, data)
    if config.model.vocabulary == "characters":
        return train_characters(texts, config.model.vocab_size, config.model.lowercase)
    return train_tokenizer(texts, config.model.vocab_size, languages, config.model.lowercase)


def fit_vocabulary(config: RunConfig, tokenizer: Tokenizer) -> RunConfig:
    """Sets the actual vocabulary size: small data may give fewer tokens than configured."""
    return dataclasses.replace(
        config, model=dataclasses.replace(config.model, vocab_size=tokenizer.vocab_size)
    )


def is_bf16_faster(device: torch.device) -> bool:
    """Tells whether bfloat16 is faster: on GPUs and on CPUs that multiply it (AMX, AVX512-BF16).

    On others it has to be emulated: 0.6 times the speed of float32 with plain AVX-512.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


if __name__ == "__main__":
    main()
