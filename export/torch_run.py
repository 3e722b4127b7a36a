"""Exports a training run as a version of the model repository."""

import contextlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from export.curves import draw_curves
from export.graphs.builder import OPSET, graph_file, save_graphs
from export.graphs.runs import build_graphs, roles_of
from export.graphs.states import add_states
from export.lexicons import write_lexicons
from export.parity.runs import check_folder, check_run
from export.publish import claim_folder, describe_files, open_scratch, publish_folder
from export.quality.calibration import find_temperature, set_temperature
from export.quality.lengths import measure_limits
from models.card import CURVES
from models.networks.classifier import Classifier
from models.training.runs import Run, read_run
from service.engine.runtime.device import Device
from service.repository.manifest import (
    GENERATIVE,
    TOKENIZER,
    Graph,
    Limits,
    Manifest,
    Parity,
    Precision,
    Source,
)

TOOLS = ("torch", "onnx", "onnxruntime", "onnxruntime-gpu", "tokenizers")


def export_run(
    run_folder: Path,
    repository: Path,
    precisions: Sequence[Precision],
    *,
    name: str | None = None,
    version: str | None = None,
    data: Path | None = None,
    only_when_named: bool = False,
) -> Path:
    """Writes `<repository>/<name>/<version>/`, completely or not at all.

    With the data folder, the scores of a classifier are calibrated on its validation splits, and
    the length limits and the words of a translator are those of its training splits.

    With `only_when_named`, a classifier answers only requests that name it, whatever its
    configuration says.

    The float32 graphs are always built and checked, even if they are not written: their tolerance
    is the tightest.

    Raises:
        ParityError: the results of a graph differ from the torch model.
        FileExistsError: the version is there already.
        ArtefactError: name or version is not a valid folder name, or the goldens fail.
    """
    run = read_run(run_folder)
    name = name or run.config.name
    target = claim_folder(repository, name, version)
    description = calibrate(run, data) if data else ""
    limits = find_limits(run, data)
    where = Device("cpu")
    parity = [] if "fp32" in precisions else [check_run(run, "fp32", where)]
    with open_scratch(repository, target) as folder:
        graphs = {
            graph_file(role, precision): graph
            for precision in precisions
            for role, graph in build_graphs(run, precision).items()
        }
        save_graphs(graphs, folder)
        parity += [check_folder(run, folder, precision, where) for precision in precisions]
        run.tokenizer.save(folder / TOKENIZER)
        lexicons = find_lexicons(run, data, folder)
        manifest = describe_run(run, precisions, folder, parity, limits)
        by_default = manifest.answers_by_default and not only_when_named
        told = {
            "description": description,
            "answers_by_default": by_default,
            "lexicons": lexicons,
        }
        manifest = manifest.model_copy(update=told)
        manifest = add_states(manifest, folder)
        draw_curves(run_folder, folder / CURVES)
        publish_folder(manifest, folder, target)
    return target


def calibrate(run: Run, data: Path) -> str:
    """Sets the temperature of a classifier, and returns a sentence for the model card."""
    if not isinstance(run.model, Classifier):
        return ""
    temperature = find_temperature(run.model, run.config, run.tokenizer, data)
    set_temperature(run.model, temperature)
    return f"Scores are calibrated on the validation data, temperature {temperature:.2f}."


def find_limits(run: Run, data: Path | None) -> Limits:
    """The limits of the model: measured if the training data is there, else the defaults."""
    if data and run.config.task == "translation":
        try:
            return measure_limits(run.config, run.tokenizer, data)
        except FileNotFoundError as exc:
            print(f"the length limits of translations stay at their defaults: {exc}")
    longest = run.config.model.max_tokens
    if run.config.task in GENERATIVE:
        return Limits(max_input_tokens=longest, max_new_tokens=longest)
    return Limits(max_input_tokens=longest)


def find_lexicons(run: Run, data: Path | None, folder: Path) -> dict[str, str]:
    """Writes the words that a translator learnt from, if the training data is there."""
    if not data or run.config.task != "translation":
        return {}
    try:
        return write_lexicons(run.config, data, folder)
    except FileNotFoundError as exc:
        print(f"words that the translator makes up will not be told from others: {exc}")
        return {}


def describe_run(
    run: Run,
    precisions: Sequence[Precision],
    folder: Path,
    parity: Sequence[Parity],
    limits: Limits,
) -> Manifest:
    """Builds the manifest of the files in `<name>/<version>`, without goldens and quality."""
    config = run.config
    return Manifest(
        name=folder.parent.name,
        version=folder.name,
        task=config.task,
        cell=config.model.cell,
        languages=config.languages,
        pairs=config.pairs if config.task == "translation" else (),
        labels=config.labels,
        condition=config.condition,
        purpose=config.purpose,
        answers_by_default=config.answers_by_default,
        lower_capitals=config.model.lower_capitals,
        masks=run.masks if config.task == "translation" else {},
        lookahead=config.model.lookahead,
        ids=run.special_ids,
        limits=limits,
        opset=OPSET,
        graphs=tuple(
            Graph(role=role, precision=precision, file=graph_file(role, precision))
            for precision in precisions
            for role in roles_of(run, precision)
        ),
        files=describe_files(folder),
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
        trained_minutes=run.minutes,
        tools=find_tools(),
    )


def find_tools() -> dict[str, str]:
    """Returns the versions of the tools; one of the two runtimes is installed."""
    found = {}
    for package in TOOLS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
