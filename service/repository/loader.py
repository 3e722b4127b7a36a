"""Turns a version folder into a model that runs, its files and goldens checked."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from service.arrays import FloatArray
from service.engine.batch import LENGTHS_ON_HOST, Hypothesis, TokenSequence
from service.engine.classification.classifier import ClassifierRunner
from service.engine.classification.tagger import StreamTaggerRunner, TaggerRunner
from service.engine.generation.generator import GeneratorRunner
from service.engine.generation.generator_session import GeneratorSession
from service.engine.hidden_states.states import StatesSession
from service.engine.runner import Runner
from service.engine.runtime.binding import BoundSession, DeviceMemory, OnnxBoundSession, OnnxMemory
from service.engine.runtime.device import Device
from service.engine.runtime.device_thread import DeviceThread, thread_of
from service.engine.runtime.session import OnnxSession
from service.engine.search.decoder_session import DecoderSession
from service.engine.search.reranker import Reranker, UnknownCounter
from service.engine.search.translator import TranslatorRunner
from service.engine.search.writer_session import WriterSession
from service.engine.slots.buckets import list_buckets
from service.engine.slots.session import Graphs, SlotSession
from service.engine.slots.translator import SlotGroup, SlotTranslatorRunner
from service.errors import ArtefactError, DeviceUnavailable
from service.repository.manifest import (
    SLOT_JOINS,
    SLOT_ROLES,
    SLOT_STEPS,
    TOKENIZER,
    Manifest,
    Precision,
    Role,
    SpecialIds,
    check_files,
    read_manifest,
)
from service.repository.model import LoadedModel
from service.text.lexicon import Lexicon
from service.text.tokenizer import Tokenizer

log = logging.getLogger(__name__)

Sessions = Mapping[Role, OnnxSession]
SlotUse = Literal["auto", "always", "never"]
AUTO_SLOTS = ("auto", "cuda")
# Their runs have fixed shapes and places.
CAPTURED = frozenset(role for steps in SLOT_STEPS.values() for role in steps.values())

PREFERENCE: dict[str, tuple[Precision, ...]] = {
    # the CPU computes fp16 in float32, between two roundings, so that it is no faster
    "cpu": ("int8", "fp32", "w8", "fp16"),
    "cuda": ("fp16", "fp32", "w8"),
}


# Of a graph that reads whole texts.
READ = {"input_ids", "lengths", LENGTHS_ON_HOST}
SLOTS = {
    *("token_ids", "keys", "values", "padding"),
    *("hidden_0", "hidden_1", "cell_0", "cell_1"),
}
NEXT_SLOTS = {"next_token_ids", "next_hidden_0", "next_hidden_1"}
BEAMS = SLOTS | {"totals", "first_rows"}
RANKED = {"tokens", "parents", "ranked_totals", "next_totals", *NEXT_SLOTS}
JOINING = {
    *("start_ids", "new_keys", "new_values", "new_padding", "hidden", "cell"),
    *("sources", "width", "added", "new_added"),
}
STATE_NAMES = ("hidden", "cell", "condition")

# What the runners feed and read, by role.
INPUTS: dict[Role, set[str]] = {
    "classifier": READ,
    "encoder": READ,
    "decoder": {
        *("token_ids", "parents", "rows", "hidden", "cell"),
        *("keys", "values", "num_candidates"),
    },
    "writer": {"token_ids", "parents", "rows", "hidden", "cell", "keys", "values"},
    "tagger": READ,
    "stream_tagger": {"token_ids", "parents", "hidden", "cell"},
    "prefill": READ | {*STATE_NAMES},
    "generator": {"token_ids", "parents", *STATE_NAMES},
    "conditioner": {"features"},
    "slot_decoder": SLOTS,
    "slot_decoder_8": SLOTS,
    "slot_beams_2": BEAMS,
    "slot_beams_3": BEAMS,
    "slot_beams_4": BEAMS,
    "slot_join": SLOTS | JOINING,
    "slot_join_beams": SLOTS | JOINING | {"totals", "new_totals", "beams"},
    "scorer": READ | {"target_ids"},
    "states": READ | {*STATE_NAMES},
}
OUTPUTS: dict[Role, set[str]] = {
    "classifier": {"logits"},
    "encoder": {"keys", "values", "hidden"},
    "decoder": {"scores", "candidates", "next_hidden", "attention"},
    "writer": {"logits", "next_hidden"},
    "tagger": {"logits"},
    "stream_tagger": {"logits", "next_hidden"},
    "prefill": {"next_hidden"},
    "generator": {"logits", "next_hidden"},
    "conditioner": {"hidden"},
    "slot_decoder": {"tokens", "scores", *NEXT_SLOTS},
    "slot_decoder_8": {"tokens", "scores", *NEXT_SLOTS},
    "slot_beams_2": RANKED,
    "slot_beams_3": RANKED,
    "slot_beams_4": RANKED,
    "slot_join": {"next_keys", "next_values", "next_padding", *NEXT_SLOTS},
    "slot_join_beams": {"next_keys", "next_values", "next_padding", "next_totals", *NEXT_SLOTS},
    "scorer": {"scores"},
    "states": set(),  # those of the layers that the manifest lists
}

# Whether runs of white space are read as one space; a task that is not here reads all of its text.
SQUEEZES_SPACES = {
    "classification": True,
    "translation": False,
    "tagging": False,
    "text2text": False,
}


def load_model(
    folder: Path,
    device: Device,
    *,
    precision: str = "auto",
    num_threads: int = 1,
    num_runners: int = 1,
    max_rows: int = 64,
    slots: SlotUse = "auto",
) -> LoadedModel:
    """Loads one version.

    Args:
        folder: of the version.
        device: where its sessions run.
        precision: `auto` takes the best for the device.
        num_threads: within an operator.
        num_runners: over the same sessions, which may be run from several threads.
        max_rows: rows that each runner takes at a time; the manifest may ask for fewer.
        slots: whether a translator that can decodes greedily in slots; auto: on CUDA.

    Raises:
        ArtefactError: files are damaged, or the version lacks the precision.
        DeviceUnavailable: the device cannot be used.
    """
    manifest = read_manifest(folder)
    check_files(manifest, folder)
    chosen = choose_precision(manifest, device, precision)

    def open_graph(role: Role) -> OnnxSession:
        graph = manifest.graph(role, chosen)
        path = folder / graph.file

        def open_session(can_capture: bool) -> OnnxSession:
            return OnnxSession(
                path, device, num_threads, graph.inputs, graph.outputs, can_capture=can_capture
            )

        is_captured = role in CAPTURED and device.kind == "cuda"
        session = open_for_capture(open_session) if is_captured else open_session(False)
        check_names(session, role, path)
        return session

    roles = manifest.roles
    if manifest.has_slots(chosen) and (slots == "always" or (slots, device.kind) == AUTO_SLOTS):
        roles = (*roles, *SLOT_ROLES)
    sessions = {role: open_graph(role) for role in roles}
    max_rows = min(max_rows, manifest.limits.max_batch_size or max_rows)
    tokenizer = load_tokenizer(folder, manifest)
    make_runner = RUNNERS[manifest.task]
    if manifest.lexicons:
        count_unknown = make_counter(read_lexicons(folder, manifest), tokenizer)
        make_runner = partial(make_translator, count_unknown=count_unknown)
    runners = [make_runner(manifest.ids, sessions, max_rows) for _ in range(num_runners)]
    if "slot_join" in sessions:
        runners = [
            add_slots(runner, manifest.ids, sessions, max_rows, device)
            for runner in runners
            if isinstance(runner, TranslatorRunner)
        ]
    return LoadedModel(
        manifest,
        tokenizer,
        device,
        chosen,
        runners,
        StatesSession(
            lambda: open_graph("states"), find_first_states(sessions), sessions.get("conditioner")
        ),
    )


def load_tokenizer(folder: Path, manifest: Manifest) -> Tokenizer:
    """The tokenizer of a version, set for its task.

    Raises:
        ArtefactError: it cannot be read.
    """
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    if manifest.task in SQUEEZES_SPACES:
        tokenizer.ignore_layout(squeeze_spaces=SQUEEZES_SPACES[manifest.task])
    return tokenizer


def read_lexicons(folder: Path, manifest: Manifest) -> dict[int, Lexicon]:
    """The lexicon of the translations that a token starts, by that token."""
    lexicons: dict[int, Lexicon] = {}
    for language, file in manifest.lexicons.items():
        lexicon = Lexicon((folder / file).read_bytes())
        lexicons |= dict.fromkeys(manifest.ids.list_start_ids(language), lexicon)
    return lexicons


def make_counter(lexicons: Mapping[int, Lexicon], tokenizer: Tokenizer) -> UnknownCounter:
    """Counts words that are neither in the lexicon of a translation nor in its source."""

    def count_unknown(sequence: TokenSequence, found: Hypothesis) -> int:
        lexicon = lexicons.get(sequence.start_id)
        if lexicon is None:
            return 0
        text, source = map(tokenizer.decode, (found.token_ids, sequence.input_ids))
        return lexicon.count_unknown(text, source)

    return count_unknown


def open_for_capture(open_session: Callable[[bool], OnnxSession]) -> OnnxSession:
    """Opens a session that can record CUDA graphs or, if the runtime refuses that, a plain one.

    Raises:
        ArtefactError, DeviceUnavailable: neither can be opened.
    """
    try:
        return open_session(True)
    except (ArtefactError, DeviceUnavailable) as exc:
        log.warning("steps are not captured as CUDA graphs: %s", exc)
        return open_session(False)


def make_classifier(ids: SpecialIds, sessions: Sessions, max_rows: int) -> Runner:
    return ClassifierRunner(sessions["classifier"], ids.pad_id, max_rows)


def make_translator(
    ids: SpecialIds,
    sessions: Sessions,
    max_rows: int,
    count_unknown: UnknownCounter | None = None,
) -> Runner:
    assert ids.eos_id is not None, "the manifest of a translation model has an eos_id"
    session = DecoderSession(sessions["encoder"], sessions["decoder"], ids.pad_id)
    scorer = sessions.get("scorer")
    reranker = Reranker(scorer, ids.pad_id, ids.eos_id, count_unknown) if scorer else None
    return TranslatorRunner(session, ids.eos_id, max_rows, reranker)


def add_slots(
    paged: TranslatorRunner, ids: SpecialIds, sessions: Sessions, max_rows: int, device: Device
) -> Runner:
    """A runner that decodes in slots what slots can do; on CUDA, its steps are captured."""
    graphs = bind_slots(lambda role: OnnxBoundSession(sessions[role], device))
    runner = make_slot_runner(paged, ids, graphs, OnnxMemory(device), thread_of(device), max_rows)
    if all(sessions[role].can_capture for role in CAPTURED):
        runner.capture()
    return runner


def make_slot_runner(
    paged: TranslatorRunner,
    ids: SpecialIds,
    graphs: Mapping[int, Graphs],
    memory: DeviceMemory,
    thread: DeviceThread,
    max_rows: int,
) -> SlotTranslatorRunner:
    """A runner with a group of slots for each beam size; nothing is captured yet."""
    eos_id = ids.eos_id
    assert eos_id is not None, "the manifest of a translation model has an eos_id"
    groups = {}
    for beam_size, of_size in graphs.items():
        buckets = list_buckets(max_rows, beam_size)
        session = SlotSession(of_size, memory, thread, buckets, ids.pad_id, eos_id)
        groups[beam_size] = SlotGroup(session, buckets, beam_size, eos_id)
    return SlotTranslatorRunner(groups, paged, max_rows)


def bind_slots(open_bound: Callable[[Role], BoundSession]) -> dict[int, Graphs]:
    """The graphs of a translator in slots by beam size, for arrays that stay on the device."""
    encoder = open_bound("encoder")
    joins = {role: open_bound(role) for role in dict.fromkeys(SLOT_JOINS.values())}
    return {
        beam_size: Graphs(
            encoder,
            joins[SLOT_JOINS[beam_size]],
            {count: open_bound(role) for count, role in steps.items()},
        )
        for beam_size, steps in SLOT_STEPS.items()
    }


def make_tagger(ids: SpecialIds, sessions: Sessions, max_rows: int) -> Runner:
    """A runner of whole texts and, if there is a graph for it, of text as it comes in.

    Raises:
        ArtefactError: the step's graph does not fix the sizes of its states.
    """
    whole = TaggerRunner(sessions["tagger"], ids.pad_id, max_rows)
    step = sessions.get("stream_tagger")
    if step is None:
        return whole
    return StreamTaggerRunner(whole, step, find_state_shapes(step), max_rows)


def make_generator(ids: SpecialIds, sessions: Sessions, max_rows: int) -> Runner:
    session = GeneratorSession(
        sessions["prefill"],
        sessions["generator"],
        sessions.get("conditioner"),
        find_state_shapes(sessions["generator"]),
        ids.pad_id,
    )
    return GeneratorRunner(session, ids.eos_id, max_rows)


def make_writer(ids: SpecialIds, sessions: Sessions, max_rows: int) -> Runner:
    (start_id,) = ids.start_ids.values()
    decoder = DecoderSession(sessions["encoder"], sessions["writer"], ids.pad_id)
    return GeneratorRunner(WriterSession(decoder, start_id), ids.eos_id, max_rows)


RUNNERS: dict[str, Callable[[SpecialIds, Sessions, int], Runner]] = {
    "classification": make_classifier,
    "translation": make_translator,
    "tagging": make_tagger,
    "language": make_generator,
    "text2text": make_writer,
}


def find_first_states(sessions: Sessions) -> dict[str, FloatArray]:
    """The states of a text before its first token, in a model that keeps them between steps."""
    generator = sessions.get("generator")
    if generator is None:
        return {}
    shapes = find_state_shapes(generator)
    return {
        name: np.zeros((layers, 1, size), np.float32) for name, (layers, size) in shapes.items()
    }


def find_state_shapes(generator: OnnxSession) -> dict[str, tuple[int, int]]:
    """Layers and units of the states that the graph of a step takes, by name.

    Raises:
        ArtefactError: the graph takes no hidden states, or leaves layers or units open.
    """
    names = ["hidden", *(name for name in STATE_NAMES[1:] if name in generator.input_names)]
    shapes = {}
    for name in names:
        is_there = name in generator.input_names
        num_layers, _, size = generator.input_shape(name) if is_there else (None, None, None)
        if not (isinstance(num_layers, int) and isinstance(size, int)):
            raise ArtefactError(
                f"a graph of steps must declare `{name}` as (layers, rows, units), layers and "
                f"units as numbers; it has {num_layers} and {size}"
            )
        shapes[name] = (num_layers, size)
    return shapes


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
