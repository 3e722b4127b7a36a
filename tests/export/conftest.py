"""Runs with random weights, versions exported from them, and a repository made of those."""

import functools
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from export.graphs.builder import save_graphs
from export.graphs.networks import build_decoder, build_encoder
from export.graphs.scorer import build_scorer
from export.torch_run import export_run
from models.config import RunConfig
from models.networks.seq2seq import Seq2Seq
from models.networks.tagger import PAD_ID, StreamTagger
from models.training.runs import Run, read_run
from models.training.trainer import BEST
from models.training.vocabulary.subwords import EOS
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.engine.search.decoder_session import DecoderSession
from service.engine.search.reranker import Reranker
from service.engine.search.translator import TranslatorRunner
from service.repository.manifest import TOKENIZER
from service.text.tokenizer import Tokenizer
from tests.models.tiny_runs import samples, tiny_config, tiny_run

__all__ = ["samples", "tiny_config", "tiny_run"]

RunMaker = Callable[..., Run]
FolderMaker = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def random_run(tiny_run: FolderMaker) -> RunMaker:
    """Makes a run whose weights, biases included, are all random and far from zero.

    With the zero biases of a fresh one, gates or biases in a wrong order would go unnoticed.
    """

    @functools.cache
    def make(task: str, cell: str, noise: float = 0.2) -> Run:
        run = read_run(tiny_run(task, cell))
        generator = torch.Generator().manual_seed(11)
        with torch.no_grad():
            for parameter in run.model.parameters():
                parameter.add_(noise * torch.randn(parameter.shape, generator=generator))
            if isinstance(run.model, StreamTagger):
                run.model.embedding.weight[PAD_ID] = 0.0  # as training leaves it
        return run

    return make


@pytest.fixture(scope="session")
def tiny_version(tiny_run: FolderMaker, tmp_path_factory: pytest.TempPathFactory) -> FolderMaker:
    """Makes the folder of an exported version in all precisions; tests only read it."""

    @functools.cache
    def make(task: str, cell: str) -> Path:
        repository = tmp_path_factory.mktemp("repository")
        return export_run(tiny_run(task, cell), repository, ["fp32", "int8", "w8"])

    return make


@pytest.fixture(scope="session")
def tiny_repository_runs(
    tiny_run: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The runs, by task, that `tiny_repository` is exported from."""
    folders: dict[str, Path] = {}
    for task, cell in (("classification", "gru"), ("translation", "lstm")):
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

    tiny-classification-gru/1 reads Korean, tiny-translation-lstm/1 translates en-ko and ko-en.
    Shared:
    a test that changes something copies it first.
    """
    repository = tmp_path_factory.mktemp("repository")
    for folder in tiny_repository_runs.values():
        export_run(folder, repository, ["fp32", "w8", "int8"])
    return repository


@pytest.fixture(scope="session")
def tiny_taggers(tiny_run: FolderMaker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository of two taggers with random weights, in all precisions.

    tiny-tagging-gru/1 reads whole texts, tiny-stream-tagging-lstm/1 text as it comes in.
    """
    repository = tmp_path_factory.mktemp("taggers")
    for task, cell in (("tagging", "gru"), ("stream-tagging", "lstm")):
        folder = tmp_path_factory.mktemp("runs") / task
        shutil.copytree(tiny_run(task, cell), folder)
        weights = torch.load(folder / BEST, weights_only=True)
        enliven(weights.values(), 0.5)
        weights["embedding.weight"][PAD_ID] = 0.0
        torch.save(weights, folder / BEST)
        export_run(folder, repository, ["fp32", "w8", "int8"])
    return repository


@pytest.fixture(scope="session")
def tiny_answerers(tiny_run: FolderMaker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository of one model that answers texts, with random weights, in all precisions.

    tiny-text2text-lstm/1 answers requests that name none.
    """
    repository = tmp_path_factory.mktemp("answerers")
    folder = tmp_path_factory.mktemp("runs") / "text2text"
    shutil.copytree(tiny_run("text2text", "lstm"), folder)
    weights = torch.load(folder / BEST, weights_only=True)
    enliven(weights.values(), 0.5)
    eos_id = Tokenizer.load(folder / TOKENIZER).token_id(EOS)
    weights["output_bias"][eos_id] = 3.0  # some answers end
    torch.save(weights, folder / BEST)
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
        encoder, decoder, scorer = (
            OnnxSession(self.folder / f"{role}.onnx", Device("cpu"))
            for role in ("encoder", "decoder", "scorer")
        )
        session = DecoderSession(encoder, decoder, self.pad_id)
        reranker = Reranker(scorer, self.pad_id, self.eos_id)
        return TranslatorRunner(session, self.eos_id, max_rows, reranker)


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
            "encoder.onnx": build_encoder(weights, model.config, "fp32"),
            "decoder.onnx": build_decoder(weights, model.config, forbidden_ids, "fp32"),
            "scorer.onnx": build_scorer(weights, model.config, "fp32"),
        }
        save_graphs(graphs, translator.folder)
        return translator

    return make


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
