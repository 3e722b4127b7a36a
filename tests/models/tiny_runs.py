"""Fixtures of tiny runs: real text, seeded random weights, a folder as training leaves it."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models.config import RunConfig, parse_config
from models.train import prepare_run
from models.training.tasks.task import build_model
from models.training.trainer import BEST, LAST

SAMPLES = Path(__file__).parent / "samples"

TASKS: dict[str, dict[str, Any]] = {
    "classification": {
        "languages": ["ko"],
        "labels": ["negative", "positive"],
        "sources": [{"path": "nsmc", "licence": "CC0-1.0", "commercial_use": True}],
    },
    "translation": {
        "languages": ["en", "ko"],
        "sources": [{"path": "tatoeba", "licence": "CC BY 2.0 FR", "commercial_use": True}],
    },
    "language": {
        "languages": ["ko"],
        "condition": {"labels": ["negative", "positive"]},
        "sources": [{"path": "nsmc", "licence": "CC0-1.0", "commercial_use": True}],
    },
    "text2text": {
        "languages": ["ko"],
        "sources": [{"path": "tatoeba", "licence": "CC BY 2.0 FR", "commercial_use": True}],
    },
    "tagging": {
        "languages": ["ko"],
        "labels": ["O", "SPACE"],
        "sources": [{"path": "spacing", "licence": "CC0-1.0", "commercial_use": True}],
        "model": {"vocabulary": "characters", "residual": True, "layer_norm": True},
    },
    "stream-tagging": {
        "task": "tagging",
        "languages": ["ko"],
        "labels": ["O", "SPACE"],
        "sources": [{"path": "spacing", "licence": "CC0-1.0", "commercial_use": True}],
        "model": {"vocabulary": "characters", "lookahead": 2},
    },
}

SIZES = {
    "vocab_size": 700,
    "embedding_size": 24,
    "encoder_size": 16,
    "encoder_layers": 2,
    "decoder_size": 20,
    "attention_size": 12,
    "hidden_size": 18,
    "num_layers": 2,
    "max_tokens": 64,
}


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the sample data sets, what `--data` takes."""
    return SAMPLES


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., RunConfig]:
    """Makes the configuration of a tiny model over the samples: (task, cell, training={}).

    "stream-tagging" is the task "tagging" of text as it comes in.
    """

    def make(
        task: str, cell: str = "gru", training: dict[str, Any] | None = None, **model: Any
    ) -> RunConfig:
        own = TASKS[task]
        fields = {"task": task} | own
        fields |= {
            "name": f"tiny-{task}-{cell}",
            "model": SIZES | {"cell": cell} | own.get("model", {}) | model,
            "training": {"seed": 7} | (training or {}),
        }
        return parse_config(fields)

    return make


@pytest.fixture(scope="session")
def tiny_run(
    tiny_config: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Path]:
    """Makes, once per task and cell, a run's folder as training leaves it, with random weights."""

    @functools.cache
    def make(task: str, cell: str) -> Path:
        folder = tmp_path_factory.mktemp(f"{task}-{cell}")
        config, _ = prepare_run(tiny_config(task, cell), folder, SAMPLES)
        with torch.random.fork_rng():
            torch.manual_seed(7)
            torch.save(build_model(config).state_dict(), folder / BEST)
        torch.save({"progress": {"seconds": 90.0}}, folder / LAST)
        return folder

    return make
