"""Results of a training run: configuration, vocabulary and best weights."""

import argparse
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch

from models.config import RunConfig, read_run_config
from models.training.special_ids import find_roles
from models.training.tasks.task import Network, build_model
from models.training.trainer import BEST, read_seconds
from service.repository.manifest import TOKENIZER, SpecialIds
from service.text.masking.masks import MASKS
from service.text.masking.placeables import Kind
from service.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Run:
    """Results of a training run.

    Attributes:
        model: with the best weights, float32, in eval mode.
        minutes: training time, or None if the folder has no last checkpoint.
    """

    config: RunConfig
    tokenizer: Tokenizer
    model: Network
    minutes: float | None

    @property
    def special_ids(self) -> SpecialIds:
        return find_roles(self.config, self.tokenizer).special_ids

    @property
    def forbidden_ids(self) -> list[int]:
        """Ids that an answer never contains."""
        return find_roles(self.config, self.tokenizer).forbidden_ids

    @property
    def masks(self) -> dict[Kind, str]:
        """Those that the model was trained with; none if it was not."""
        return dict(MASKS) if self.config.training.masked else {}


def read_run(folder: Path) -> Run:
    """Reads the best weights of a run folder.

    Raises:
        FileNotFoundError: the folder is not a run folder, or no epoch is finished.
        ValueError: the configuration is invalid, or the weights do not match it.
        ArtefactError: the tokenizer is missing or damaged.
    """
    if not (folder / BEST).exists():
        raise FileNotFoundError(f"{folder} has no {BEST}; train at least one epoch")
    config = read_run_config(folder)
    model = build_model(config)
    try:
        model.load_state_dict(torch.load(folder / BEST, map_location="cpu", weights_only=True))
    except (RuntimeError, EOFError, pickle.UnpicklingError) as exc:
        reason = str(exc).splitlines()[0]
        raise ValueError(
            f"{folder / BEST} is damaged or belongs to another model: {reason}"
        ) from exc
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    return Run(config, tokenizer, model.float().eval(), read_minutes(folder))


def read_minutes(folder: Path) -> float | None:
    seconds = read_seconds(folder)
    return None if seconds is None else round(seconds / 60, 1)


def add_run_arguments(parser: argparse.ArgumentParser, models: str) -> None:
    """Adds the options shared by the commands that generate training data with trained models."""
    parser.add_argument(
        "--runs", type=Path, nargs="+", required=True, help=f"folders of trained {models}"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that the source's path is relative to"
    )
    parser.add_argument(
        "--source", required=True, help="path of a source, as configured in the first run"
    )
    parser.add_argument("--threads", type=positive, help="CPU threads (default: all cores)")


def positive(value: str) -> int:
    """Parses a positive number."""
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
