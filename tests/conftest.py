"""Fixtures shared by all tests: real text, tiny seeded models, a repository made of them."""

import functools
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from export.graph import save_graphs
from export.publish import export_run
from export.to_onnx import build_decoder, build_encoder
from models.config import RunConfig, parse_config
from models.networks.seq2seq import Seq2Seq
from models.train import prepare_run
from models.training.tasks import build_model
from models.training.trainer import BEST, LAST
from models.training.vocabulary import EOS
from service.engine.decoder_session import DecoderSession
from service.engine.device import Device
from service.engine.session import OnnxSession
from service.engine.translator import TranslatorRunner
from service.repository.manifest import TOKENIZER
from service.text.tokenizer import Tokenizer

SAMPLES = Path(__file__).parent / "models" / "samples"

TASKS: dict[str, dict[str, Any]] = {
    "sentiment": {
        "languages": ["ko"],
        "labels": ["negative", "positive"],
        "sources": [{"path": "nsmc", "licence": "CC0-1.0", "commercial_use": True}],
    },
    "translation": {
        "languages": ["en", "ko"],
        "sources": [{"path": "tatoeba", "licence": "CC BY 2.0 FR", "commercial_use": True}],
    },
}

SIZES = {
    "vocab_size": 700,
    "embedding_size": 24,
    "encoder_size": 16,
    "encoder_layers": 2,
    "decoder_size": 20,
    "attention_size": 12,
    "max_tokens": 64,
}


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the sample data sets, what `--data` takes."""
    return SAMPLES


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., RunConfig]:
    """Makes the configuration of a tiny model over the samples: (task, cell, training={})."""

    def make(
        task: str, cell: str = "gru", training: dict[str, Any] | None = None, **model: Any
    ) -> RunConfig:
        fields = {
            "name": f"tiny-{task}-{cell}",
            "task": task,
            "model": SIZES | {"cell": cell} | model,
            "training": {"seed": 7} | (training or {}),
        }
        return parse_config(fields | TASKS[task])

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


@pytest.fixture(scope="session")
def tiny_repository_runs(
    tiny_run: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The runs, by task, that `tiny_repository` is exported from."""
    folders: dict[str, Path] = {}
    for task, cell in (("sentiment", "gru"), ("translation", "lstm")):
        folder = folders[task] = tmp_path_factory.mktemp("runs") / task
        shutil.copytree(tiny_run(task, cell), folder)
        weights = torch.load(folder / BEST, weights_only=True)
        enliven(weights.values(), 0.5)
        if task == "translation":
            eos_id = Tokenizer.load(folder / TOKENIZER).token_id(EOS)
            weights["output_bias"][eos_id] = 5.0  # sentences end
        torch.save(weights, folder / BEST)
    return folders


@pytest.fixture(scope="session")
def tiny_repository(
    tiny_repository_runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model repository of two exported models with random weights, in all precisions.

    tiny-sentiment-gru/1 reads Korean, tiny-translation-lstm/1 translates en-ko and ko-en. Shared:
    a test that changes something copies it first.
    """
    repository = tmp_path_factory.mktemp("repository")
    for folder in tiny_repository_runs.values():
        export_run(folder, repository, ["fp32", "w8", "int8"])
    return repository


def enliven(weights: Iterable[Tensor], scale: float) -> None:
    """Adds seeded noise: the small weights of a fresh model say nearly the same to every text."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in weights:
            tensor.add_(scale * torch.randn(tensor.shape, generator=generator))


@dataclass(frozen=True)
class TinyTranslator:
    """A torch model with sharp choices, and the graphs made of it."""

    model: Seq2Seq
    folder: Path
    pad_id: int = 0
    start_id: int = 1
    eos_id: int = 2
    first_free_id: int = 5

    def make_runner(self, max_rows: int = 64) -> TranslatorRunner:
        encoder, decoder = (
            OnnxSession(self.folder / f"{role}.onnx", Device("cpu"))
            for role in ("encoder", "decoder")
        )
        session = DecoderSession(encoder, decoder, self.pad_id)
        return TranslatorRunner(session, self.eos_id, max_rows)


@pytest.fixture(scope="session")
def tiny_translator(
    tiny_config: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], TinyTranslator]:
    """Makes, once per cell, a float32 translator whose sentences end at many different lengths."""

    @functools.cache
    def make(cell: str) -> TinyTranslator:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            model = Seq2Seq(tiny_config("translation", cell).model).eval()
        enliven(model.parameters(), 0.7)
        translator = TinyTranslator(model, tmp_path_factory.mktemp(f"translator-{cell}"))
        forbidden_ids = [translator.start_id, translator.pad_id, 3, 4]
        with torch.no_grad():
            model.embedding.weight *= 3.0  # choices so far apart that rounding turns none
            model.output_bias[:] = 0.0
            model.output_bias[forbidden_ids] = -1e9
            model.output_bias[translator.eos_id] = 16.0
        weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
        graphs = {
            "encoder.onnx": build_encoder(weights, cell, model.config.encoder_layers, "fp32"),
            "decoder.onnx": build_decoder(weights, cell, forbidden_ids, "fp32"),
        }
        save_graphs(graphs, translator.folder)
        return translator

    return make
