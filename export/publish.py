"""Turns a training run into a version of the model repository, whole or not at all."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path

import onnx
import torch

from export.graph import OPSET, save_graphs
from export.layers import Weights
from export.parity import check_parity
from export.to_onnx import build_classifier, build_decoder, build_encoder
from models.classifier import Classifier
from models.config import RunConfig, parse_config
from models.seq2seq import Seq2Seq
from models.tasks import build_model
from models.trainer import BEST, LAST
from models.vocabulary import BOS, EOS, PAD, language_tag
from service.engine import Device, OnnxSession, resolve_device
from service.errors import ArtefactError
from service.loader import answer_golden, load_model
from service.manifest import (
    MANIFEST,
    TOKENIZER,
    Golden,
    Graph,
    Limits,
    Manifest,
    Parity,
    Precision,
    Role,
    Source,
    SpecialIds,
    describe_file,
    write_manifest,
)
from service.tokenizer import Tokenizer

GOLDEN_TEXTS = {
    "ko": ["이 영화 정말 재미있어요", "시간이 아까웠다. 다시는 안 본다."],
    "en": ["A delight from start to finish.", "Two hours I will never get back."],
    "de": ["Ein Mann fährt mit dem Fahrrad.", "Zwei Hunde spielen im Schnee."],
}
TRANSLATION_TEXTS = {
    "en": ["A man is riding a bicycle.", "Two dogs are playing in the snow."],
    "de": GOLDEN_TEXTS["de"],
    "ko": ["한 남자가 자전거를 타고 있다.", "지하철역이 어디예요?"],
}
PARITY_LENGTH = 48


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    config: RunConfig
    tokenizer: Tokenizer
    model: Classifier | Seq2Seq
    minutes: float

    @property
    def special_ids(self) -> SpecialIds:
        if self.config.task == "sentiment":
            return SpecialIds(pad_id=self.tokenizer.token_id(PAD))
        return SpecialIds(
            pad_id=self.tokenizer.token_id(PAD),
            bos_id=self.tokenizer.token_id(BOS),
            eos_id=self.tokenizer.token_id(EOS),
            language_tags={
                language: self.tokenizer.token_id(language_tag(language))
                for language in self.config.languages
            },
        )

    @property
    def forbidden_ids(self) -> list[int]:
        """What a translation never contains: bos first, then padding and language tags."""
        ids = self.special_ids
        return (
            [ids.bos_id, ids.pad_id, *ids.language_tags.values()] if ids.bos_id is not None else []
        )


def read_run(folder: Path) -> Run:
    """Reads the best weights of a run folder.

    Raises:
        FileNotFoundError: training has not finished an epoch yet.
    """
    if not (folder / BEST).exists():
        raise FileNotFoundError(f"{folder} holds no {BEST}; train at least one epoch")
    config = parse_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    model = build_model(config)
    model.load_state_dict(torch.load(folder / BEST, map_location="cpu", weights_only=True))
    progress = torch.load(folder / LAST, map_location="cpu", weights_only=True)["progress"]
    return Run(
        config, Tokenizer.load(folder / TOKENIZER), model.float().eval(), progress["seconds"] / 60
    )


def build_graphs(
    run: Run, precision: Precision, linear_before_reset: int = 1
) -> dict[Role, onnx.ModelProto]:
    """The graphs of a run in one precision."""
    weights: Weights = {name: array.numpy() for name, array in run.model.state_dict().items()}
    cell, num_layers = run.config.model.cell, run.config.model.encoder_layers
    if run.config.task == "sentiment":
        return {
            "classifier": build_classifier(
                weights, cell, num_layers, precision, linear_before_reset
            )
        }
    return {
        "encoder": build_encoder(weights, cell, num_layers, precision, linear_before_reset),
        "decoder": build_decoder(weights, cell, run.forbidden_ids, precision, linear_before_reset),
    }


def check_run(
    run: Run,
    precision: Precision,
    device: Device,
    linear_before_reset: int = 1,
    max_length: int = PARITY_LENGTH,
) -> Parity:
    """Builds the graphs of one precision and compares them with the torch model.

    Raises:
        ParityError: they differ.
    """
    with tempfile.TemporaryDirectory() as folder:
        graphs = build_graphs(run, precision, linear_before_reset)
        save_graphs({f"{role}.onnx": graph for role, graph in graphs.items()}, Path(folder))
        sessions = {role: OnnxSession(Path(folder) / f"{role}.onnx", device) for role in graphs}
        length = min(max_length, run.config.model.max_tokens)
        return check_parity(run.model, sessions, precision, device.kind, length, run.forbidden_ids)


def export_run(
    run_folder: Path,
    repository: Path,
    precisions: Sequence[Precision],
    *,
    name: str | None = None,
    version: str | None = None,
    device: str = "cpu",
) -> Path:
    """Writes `<repository>/<name>/<version>/`, or nothing at all.

    The float32 graphs are always built and checked, also when they are not among the precisions
        written: their
    tolerance is the tight one.

    Raises:
        ParityError: a graph does not answer as the torch model does.
        FileExistsError: the version is there already.
    """
    run = read_run(run_folder)
    checked = dict.fromkeys(["fp32", *precisions])
    parity = {precision: check_run(run, precision, resolve_device(device)) for precision in checked}
    name = name or run.config.name
    version = version or next_version(repository / name)
    target = claim_folder(repository, name, version)
    with tempfile.TemporaryDirectory(dir=repository) as scratch:
        folder = Path(scratch) / name / version
        folder.mkdir(parents=True)
        graphs = {
            (role, precision): graph
            for precision in precisions
            for role, graph in build_graphs(run, precision).items()
        }
        save_graphs(
            {f"{role}.{precision}.onnx": graph for (role, precision), graph in graphs.items()},
            folder,
        )
        run.tokenizer.save(folder / TOKENIZER)
        manifest = describe_run(
            run, name, version, folder, [parity[precision] for precision in checked]
        )
        write_manifest(manifest, folder)
        write_manifest(add_goldens(folder), folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, target)
    return target


def describe_run(
    run: Run, name: str, version: str, folder: Path, parity: Sequence[Parity]
) -> Manifest:
    """The manifest of the files in a folder, without goldens and quality."""
    config = run.config
    graph_files = sorted(folder.glob("*.onnx"))
    return Manifest(
        name=name,
        version=version,
        task=config.task,
        cell=config.model.cell,
        languages=config.languages,
        pairs=config.pairs if config.task == "translation" else (),
        labels=config.labels,
        ids=run.special_ids,
        limits=Limits(max_input_tokens=config.model.max_tokens),
        opset=OPSET,
        graphs=tuple(
            Graph(role=file.name.split(".")[0], precision=file.name.split(".")[1], file=file.name)  # type: ignore[arg-type]
            for file in graph_files
        ),
        files=tuple(
            describe_file(file) for file in sorted(folder.iterdir()) if file.name != MANIFEST
        ),
        sources=tuple(
            Source(
                name=source.path,
                licence=source.licence,
                commercial_use=source.commercial_use,
                weight=source.weight,
            )
            for source in config.sources
        ),
        parity=tuple(parity),
        num_parameters=sum(parameter.numel() for parameter in run.model.parameters()),
        trained_minutes=round(run.minutes, 1),
        tools={
            package: package_version(package)
            for package in ("torch", "onnx", "onnxruntime", "tokenizers")
        },
    )


def add_goldens(folder: Path) -> Manifest:
    """The manifest with goldens as the first of its precisions answers them."""
    model = load_model(folder, Device("cpu"))
    manifest = model.manifest
    if manifest.task == "sentiment":
        wanted = [
            Golden(text=text, output="", score=0.0)
            for language in manifest.languages
            for text in GOLDEN_TEXTS.get(language, GOLDEN_TEXTS["en"])
        ]
    else:
        wanted = [
            Golden(text=text, output="", score=0.0, source=source, target=target)
            for source, target in manifest.pairs
            for text in TRANSLATION_TEXTS.get(source, TRANSLATION_TEXTS["en"])
        ]
    goldens = []
    for golden in wanted:
        output, score = answer_golden(model, golden)
        goldens.append(golden.model_copy(update={"output": output, "score": round(score, 4)}))
    return manifest.model_copy(update={"goldens": tuple(goldens)})


def next_version(folder: Path) -> str:
    """One above the highest version of a model."""
    versions = [int(path.name) for path in folder.glob("*") if path.name.isdecimal()]
    return str(max(versions, default=0) + 1)


def claim_folder(repository: Path, name: str, version: str) -> Path:
    """Where a new version goes; the repository is made if need be.

    Raises:
        FileExistsError: the version is there already.
        ArtefactError: the version is no number.
    """
    if not version.isdecimal():
        raise ArtefactError(f"version {version!r} is not a positive whole number")
    folder = repository / name / version
    if folder.exists():
        raise FileExistsError(f"{folder} exists; remove it or choose another version")
    repository.mkdir(parents=True, exist_ok=True)
    return folder
