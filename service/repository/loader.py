"""Turns a version folder into a model that runs, its files and goldens checked."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from service.arrays import FloatArray
from service.engine.classifier import ClassifierRunner
from service.engine.device import Device
from service.engine.generation.generator import GeneratorRunner
from service.engine.generation.generator_session import GeneratorSession, StateShape
from service.engine.runner import Runner
from service.engine.search.decoder_session import DecoderSession
from service.engine.search.translator import TranslatorRunner
from service.engine.session import OnnxSession
from service.engine.states import StatesSession
from service.engine.tagger import StreamTaggerRunner, TaggerRunner
from service.errors import ArtefactError
from service.repository.manifest import (
    TOKENIZER,
    Manifest,
    Precision,
    Role,
    SpecialIds,
    check_files,
    read_manifest,
)
from service.repository.model import LoadedModel
from service.text.tokenizer import Tokenizer

Sessions = Mapping[Role, OnnxSession]

PREFERENCE: dict[str, tuple[Precision, ...]] = {
    "cpu": ("int8", "fp32", "w8"),
    "cuda": ("fp32", "w8"),
}


# What the runners feed and read, by role.
INPUTS: dict[Role, set[str]] = {
    "classifier": {"input_ids", "lengths"},
    "encoder": {"input_ids", "lengths"},
    "decoder": {
        *("token_ids", "parents", "rows", "hidden", "cell"),
        *("keys", "values", "num_candidates"),
    },
    "tagger": {"input_ids", "lengths"},
    "stream_tagger": {"token_ids", "parents", "hidden", "cell"},
    "prefill": {"input_ids", "lengths", "hidden", "cell"},
    "generator": {"token_ids", "parents", "hidden", "cell"},
    "conditioner": {"features"},
    "states": {"input_ids", "lengths", "hidden", "cell"},
}
OUTPUTS: dict[Role, set[str]] = {
    "classifier": {"logits"},
    "encoder": {"keys", "values", "hidden"},
    "decoder": {"scores", "candidates", "next_hidden", "attention"},
    "tagger": {"logits"},
    "stream_tagger": {"logits", "next_hidden"},
    "prefill": {"next_hidden"},
    "generator": {"logits", "next_hidden"},
    "conditioner": {"hidden"},
    "states": set(),  # those of the layers that the manifest lists
}

# Whether runs of white space are read as one space; a task that is not here reads all of its text.
SQUEEZES_SPACES = {"classification": True, "translation": False, "tagging": False}


def load_model(
    folder: Path,
    device: Device,
    *,
    precision: str = "auto",
    num_threads: int = 1,
    num_runners: int = 1,
    max_rows: int = 64,
) -> LoadedModel:
    """Loads one version.

    Args:
        folder: of the version.
        device: where its sessions run.
        precision: `auto` takes the best for the device.
        num_threads: within an operator.
        num_runners: over the same sessions, which may be run from several threads.
        max_rows: rows that each runner takes at a time; the manifest may ask for fewer.

    Raises:
        ArtefactError: files are damaged, or the version lacks the precision.
        DeviceUnavailable: the device cannot be used.
    """
    manifest = read_manifest(folder)
    check_files(manifest, folder)
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    if manifest.task in SQUEEZES_SPACES:
        tokenizer.ignore_layout(squeeze_spaces=SQUEEZES_SPACES[manifest.task])
    chosen = choose_precision(manifest, device, precision)

    def open_graph(role: Role) -> OnnxSession:
        graph = manifest.graph(role, chosen)
        path = folder / graph.file
        session = OnnxSession(path, device, num_threads, graph.inputs, graph.outputs)
        check_names(session, role, path)
        return session

    sessions = {role: open_graph(role) for role in manifest.roles}
    max_rows = min(max_rows, manifest.limits.max_batch_size or max_rows)
    make_runner = RUNNERS[manifest.task]
    runners = [make_runner(manifest.ids, sessions, max_rows) for _ in range(num_runners)]
    return LoadedModel(
        manifest,
        tokenizer,
        runners,
        device,
        chosen,
        StatesSession(
            lambda: open_graph("states"), find_first_states(sessions), sessions.get("conditioner")
        ),
    )


def make_classifier(ids: SpecialIds, sessions: Sessions, max_rows: int) -> Runner:
    return ClassifierRunner(sessions["classifier"], ids.pad_id, max_rows)


def make_translator(ids: SpecialIds, sessions: Sessions, max_rows: int) -> Runner:
    assert ids.eos_id is not None, "the manifest of a translation model has an eos_id"
    session = DecoderSession(sessions["encoder"], sessions["decoder"], ids.pad_id)
    return TranslatorRunner(session, ids.eos_id, max_rows)


def make_tagger(ids: SpecialIds, sessions: Sessions, max_rows: int) -> Runner:
    """A runner of whole texts and, if there is a graph for it, of text as it comes in.

    Raises:
        ArtefactError: the step's graph does not fix the sizes of its states.
    """
    whole = TaggerRunner(sessions["tagger"], ids.pad_id, max_rows)
    step = sessions.get("stream_tagger")
    if step is None:
        return whole
    shape = find_state_shape(step)
    shapes = dict.fromkeys(shape.names, (shape.num_layers, shape.size))
    return StreamTaggerRunner(whole, step, shapes, max_rows)


def make_generator(ids: SpecialIds, sessions: Sessions, max_rows: int) -> Runner:
    session = GeneratorSession(
        sessions["prefill"],
        sessions["generator"],
        sessions.get("conditioner"),
        find_state_shape(sessions["generator"]),
        ids.pad_id,
    )
    return GeneratorRunner(session, ids.eos_id, max_rows)


RUNNERS: dict[str, Callable[[SpecialIds, Sessions, int], Runner]] = {
    "classification": make_classifier,
    "translation": make_translator,
    "tagging": make_tagger,
    "language": make_generator,
}


def find_first_states(sessions: Sessions) -> dict[str, FloatArray]:
    """The states of a text before its first token, in a model that keeps them between steps."""
    generator = sessions.get("generator")
    if generator is None:
        return {}
    shape = find_state_shape(generator)
    zeros = np.zeros((shape.num_layers, 1, shape.size), np.float32)
    return dict.fromkeys(shape.names, zeros)


def find_state_shape(generator: OnnxSession) -> StateShape:
    """The states that the graph of a step takes.

    Raises:
        ArtefactError: the graph leaves their layers or units open.
    """
    names = tuple(name for name in ("hidden", "cell") if name in generator.input_names)
    num_layers, _, size = generator.input_shape(names[0]) if names else (None, None, None)
    if not (isinstance(num_layers, int) and isinstance(size, int)):
        raise ArtefactError(
            "a graph of steps must declare `hidden` as (layers, rows, units), layers and units as "
            f"numbers; it has {num_layers} and {size}"
        )
    return StateShape(num_layers, size, names)


def check_names(session: OnnxSession, role: Role, path: Path) -> None:
    """Refuses a graph that the runner of its role could not feed or read.

    Raises:
        ArtefactError: names what is too much or too little.
    """
    strange = set(session.input_names) - INPUTS[role]
    missing = OUTPUTS[role] - set(session.output_names)
    if strange or missing:
        raise ArtefactError(
            f"{path} does not fit its role {role}: unknown inputs: "
            f"{', '.join(sorted(strange)) or 'none'}, missing outputs: "
            f"{', '.join(sorted(missing)) or 'none'}; the manifest can map names"
        )


def choose_precision(manifest: Manifest, device: Device, wanted: str) -> Precision:
    """The wanted precision, or for `auto` the best of those that the version has for the device.

    Raises:
        ArtefactError: there is none.
    """
    usable = [
        precision for precision in PREFERENCE[device.kind] if precision in manifest.precisions
    ]
    if wanted == "auto" and usable:
        return usable[0]
    for precision in usable:
        if precision == wanted:
            return precision
    raise ArtefactError(
        f"{manifest.name}/{manifest.version} has no graphs in precision {wanted} for "
        f"{device.kind}; it has {', '.join(manifest.precisions)}, of which "
        f"{', '.join(usable) or 'none'} can run there"
    )
