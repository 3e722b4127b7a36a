"""Exports a training run as a version of the model repository, completely or not at all."""

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import onnx

from export.curves import draw_curves
from export.graphs.builder import OPSET, graph_file, save_graphs
from export.graphs.half import to_half
from export.graphs.host_lengths import split_lengths
from export.graphs.language import (
    build_conditioner,
    build_generator,
    build_prefill,
    without_rounding,
)
from export.graphs.layers import Weights
from export.graphs.networks import build_classifier, build_decoder, build_encoder
from export.graphs.slot_beams import build_beams_join, build_slot_beams
from export.graphs.slots import build_slot_decoder, build_slot_join, name_states
from export.graphs.states import add_states
from export.graphs.taggers import tagging_graphs
from export.parity.check import HALF, check_figures, check_parity, make_batches
from export.parity.comparison import Comparison
from export.parity.slots import MAX_ROWS, compare_beams, compare_slots, judge_beams
from export.quality.calibration import find_temperature, set_temperature
from export.quality.lengths import measure_limits
from models.card import CURVES, write_card
from models.networks.classifier import Classifier
from models.networks.seq2seq import Seq2Seq
from models.training.runs import Run, read_run
from service.engine.runtime.binding import OnnxBoundSession, OnnxMemory
from service.engine.runtime.device import Device
from service.engine.runtime.device_thread import thread_of
from service.engine.runtime.session import OnnxSession
from service.engine.search.decoder_session import DecoderSession
from service.engine.search.translator import TranslatorRunner
from service.errors import ArtefactError
from service.repository.defaults import check_defaults
from service.repository.goldens import agrees, answer_golden, check_goldens
from service.repository.loader import bind_slots, load_model, make_slot_runner
from service.repository.manifest import (
    GENERATIVE,
    MANIFEST,
    SLOT_ROLES,
    SLOT_STEPS,
    TOKENIZER,
    Condition,
    FileEntry,
    Golden,
    Graph,
    Limits,
    Manifest,
    Parity,
    Precision,
    Role,
    Source,
    describe_file,
    list_roles,
    read_manifest,
    write_manifest,
)
from service.repository.versions import find_versions

SPAM_TEXTS = {
    "en": [
        "Are we still meeting for lunch today?",
        "WINNER! You have won a free prize. Call 09061701461 now to claim, 150p per min.",
    ],
}
GOLDEN_TEXTS = {
    "ko": ["이 영화 정말 재미있어요", "시간이 아까웠다. 다시는 안 본다."],
    "en": ["A delight from start to finish.", "Two hours I will never get back."],
    "de": ["Ein großartiger Film, sehr zu empfehlen.", "Nie wieder, schade um das Geld."],
}
GOLDENS_BY_PURPOSE = {"spam": SPAM_TEXTS}
TRANSLATION_TEXTS = {
    "en": ["A man is riding a bicycle.", "Two dogs are playing in the snow."],
    "de": ["Ein Mann fährt mit dem Fahrrad.", "Zwei Hunde spielen im Schnee."],
    "ko": ["한 남자가 자전거를 타고 있다.", "지하철역이 어디예요?"],
}
PROMPTS = {
    "en": ["", "The king"],
    "de": ["", "Der König"],
    "ko": ["", "이 영화"],
}
REMARKS = {
    "en": ["I am tired today.", "What shall we eat?"],
    "de": ["Ich bin heute müde.", "Was sollen wir essen?"],
    "ko": ["오늘 너무 피곤해", "뭐 먹을까?"],
}
PROMPTS_BY_TASK = {"language": PROMPTS, "text2text": REMARKS}
PARITY_LENGTH = 48
TOOLS = ("torch", "onnx", "onnxruntime", "onnxruntime-gpu", "tokenizers")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
VERSION = re.compile(r"[1-9][0-9]{0,8}")


def build_graphs(
    run: Run, precision: Precision, linear_before_reset: int = 1
) -> dict[Role, onnx.ModelProto]:
    """The graphs of a run in one precision."""
    if precision == "fp16":
        graphs_in_full = build_graphs(run, "fp32", linear_before_reset)
        halved = {role: to_half(split_lengths(graph)) for role, graph in graphs_in_full.items()}
        return {**halved, **slot_graphs(run)}
    weights: Weights = {name: array.numpy() for name, array in run.model.state_dict().items()}
    graphs: dict[str, Callable[[], dict[Role, onnx.ModelProto]]] = {
        "classification": lambda: classifier_graphs(run, weights, precision, linear_before_reset),
        "translation": lambda: translator_graphs(run, weights, precision, linear_before_reset),
        "text2text": lambda: answerer_graphs(run, weights, precision, linear_before_reset),
        "language": lambda: language_graphs(run, weights, precision, linear_before_reset),
        "tagging": lambda: tagging_graphs(run, weights, precision, linear_before_reset),
    }
    return graphs[run.config.task]()


def classifier_graphs(
    run: Run, weights: Weights, precision: Precision, linear_before_reset: int
) -> dict[Role, onnx.ModelProto]:
    model = run.config.model
    sizes = (model.cell, model.encoder_layers, precision, linear_before_reset)
    return {"classifier": build_classifier(weights, *sizes, residual=model.residual)}


def translator_graphs(
    run: Run, weights: Weights, precision: Precision, linear_before_reset: int
) -> dict[Role, onnx.ModelProto]:
    return {
        "encoder": encoder_graph(run, weights, precision, linear_before_reset),
        "decoder": decoder_graph(run, weights, precision, linear_before_reset),
    }


def answerer_graphs(
    run: Run, weights: Weights, precision: Precision, linear_before_reset: int
) -> dict[Role, onnx.ModelProto]:
    """Like a translator's, but no text depends on its batch: int8 encoders round on its scale."""
    return {
        "encoder": encoder_graph(run, weights, without_rounding(precision), linear_before_reset),
        "writer": decoder_graph(run, weights, precision, linear_before_reset, is_writer=True),
    }


def encoder_graph(
    run: Run, weights: Weights, precision: Precision, linear_before_reset: int
) -> onnx.ModelProto:
    model = run.config.model
    sizes = (model.cell, model.encoder_layers, precision, linear_before_reset)
    return build_encoder(weights, *sizes, residual=model.residual)


def decoder_graph(
    run: Run,
    weights: Weights,
    precision: Precision,
    linear_before_reset: int,
    *,
    is_writer: bool = False,
) -> onnx.ModelProto:
    model = run.config.model
    return build_decoder(
        weights,
        model.cell,
        run.forbidden_ids,
        precision,
        linear_before_reset,
        # hidden states are below 1
        memory_bound=float(model.encoder_layers if model.residual else 1),
        is_writer=is_writer,
    )


def slot_graphs(run: Run) -> dict[Role, onnx.ModelProto]:
    """The graphs of a translator that decodes in slots, in float16; none of other models."""
    if run.config.task != "translation":
        return {}
    weights: Weights = {name: array.numpy() for name, array in run.model.state_dict().items()}
    eos_id = run.special_ids.eos_id
    assert eos_id is not None, "a translator has an eos_id"
    return build_slot_graphs(weights, run.config.model.cell, run.forbidden_ids, eos_id)


def build_slot_graphs(
    weights: Weights, cell: str, forbidden_ids: Sequence[int], eos_id: int
) -> dict[Role, onnx.ModelProto]:
    """The graphs of decoding in slots, in float16."""
    graphs: dict[Role, onnx.ModelProto] = {
        "slot_join": build_slot_join(cell),
        "slot_join_beams": build_beams_join(cell),
    }
    precision: Precision = "fp32"
    same = (weights, cell, forbidden_ids, eos_id, precision)
    for beam_size, steps in SLOT_STEPS.items():
        for num_steps, role in steps.items():
            graphs[role] = (
                build_slot_decoder(*same, num_steps)
                if beam_size == 1
                else build_slot_beams(*same, beam_size, num_steps)
            )
    held = ("keys", "values", "padding", *name_states(cell))
    names = {"new_padding", *held, *(f"next_{name}" for name in held)}
    return {role: to_half(graph, names) for role, graph in graphs.items()}


def language_graphs(
    run: Run, weights: Weights, precision: Precision, linear_before_reset: int
) -> dict[Role, onnx.ModelProto]:
    cell, num_layers = run.config.model.cell, run.config.model.num_layers
    graphs: dict[Role, onnx.ModelProto] = {
        "prefill": build_prefill(weights, cell, num_layers, precision, linear_before_reset),
        "generator": build_generator(
            weights, cell, num_layers, run.forbidden_ids, precision, linear_before_reset
        ),
    }
    if run.config.condition:
        graphs["conditioner"] = build_conditioner(weights, cell, num_layers, precision)
    return graphs


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
    graphs = build_graphs(run, precision, linear_before_reset)
    return check_graphs(run, graphs, precision, device, max_length)


def check_graphs(
    run: Run,
    graphs: Mapping[Role, onnx.ModelProto],
    precision: Precision,
    device: Device,
    max_length: int = PARITY_LENGTH,
) -> Parity:
    """Compares graphs in memory with the torch model.

    Raises:
        ParityError: they differ.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_graphs({graph_file(role, precision): graph for role, graph in graphs.items()}, folder)
        return check_folder(run, folder, precision, device, max_length)


def check_folder(
    run: Run, folder: Path, precision: Precision, device: Device, max_length: int = PARITY_LENGTH
) -> Parity:
    """Compares the graphs of one precision in a folder with the torch model.

    Raises:
        ParityError: they differ.
    """
    sessions = {
        role: OnnxSession(folder / graph_file(role, precision), device)
        for role in roles_of(run, precision)
    }
    length = min(max_length, run.config.model.max_tokens)
    figures = check_parity(run.model, sessions, precision, device.kind, length, run.forbidden_ids)
    if "slot_join" in sessions:
        check_slots(run, sessions, precision, device, length)
    return figures


def check_slots(
    run: Run,
    sessions: Mapping[Role, OnnxSession],
    precision: Precision,
    device: Device,
    max_length: int,
) -> None:
    """Compares decoding in slots with the torch model.

    Raises:
        ParityError: they differ.
    """
    assert isinstance(run.model, Seq2Seq), "translators alone decode in slots"
    ids = run.special_ids
    assert ids.eos_id is not None, "a translator has an eos_id"
    graphs = bind_slots(lambda role: OnnxBoundSession(sessions[role], device))
    session = DecoderSession(sessions["encoder"], sessions["decoder"], ids.pad_id)
    runner = make_slot_runner(
        TranslatorRunner(session, ids.eos_id, MAX_ROWS),
        *(ids, graphs, OnnxMemory(device), thread_of(device), MAX_ROWS),
    )
    comparison, differences = Comparison(HALF.tie), list[float]()
    start_id = next(iter(ids.start_ids.values()))
    for batch in make_batches(run.config.model.vocab_size, max_length):
        compare_slots(
            *(run.model, runner.slots, batch, start_id, ids.eos_id, run.forbidden_ids, comparison)
        )
        differences += compare_beams(runner, batch, start_id)
    where = f"{precision} in slots on {device.kind}"
    check_figures(comparison, HALF, f"{where} differs from torch")
    judge_beams(differences, f"{where} differs from the search over pages")


def roles_of(run: Run, precision: Precision) -> tuple[Role, ...]:
    """The graphs of a run in one precision; slots are for GPUs."""
    slots = SLOT_ROLES if precision == "fp16" and run.config.task == "translation" else ()
    return (*roles_in_any(run), *slots)


def roles_in_any(run: Run) -> tuple[Role, ...]:
    config = run.config
    has_condition = config.condition is not None
    return list_roles(config.task, config.model.lookahead, has_condition=has_condition)


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
    the length limits of a translator are measured on its training splits.

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
        manifest = describe_run(run, precisions, folder, parity, limits)
        by_default = manifest.answers_by_default and not only_when_named
        told = {"description": description, "answers_by_default": by_default}
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


def describe_files(folder: Path) -> tuple[FileEntry, ...]:
    return tuple(describe_file(file) for file in sorted(folder.iterdir()) if file.name != MANIFEST)


@contextlib.contextmanager
def open_scratch(repository: Path, target: Path) -> Iterator[Path]:
    """Creates a hidden scratch folder `<name>/<version>` in the repository, removed at the end."""
    repository.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=repository, prefix=".partial-") as scratch:
        folder = Path(scratch) / target.parent.name / target.name
        folder.mkdir(parents=True)
        yield folder


def publish_folder(manifest: Manifest, folder: Path, target: Path) -> None:
    """Completes a version in its scratch folder, and moves it into place atomically.

    Raises:
        ArtefactError: the precisions disagree on the goldens, or another classifier of the
            repository answers by default for the same language.
        OSError: the version has been created concurrently.
    """
    check_defaults([*list_others(target), manifest])
    write_manifest(manifest, folder)
    write_manifest(add_goldens(folder), folder)
    for precision in manifest.precisions:
        check_goldens(load_model(folder, Device("cpu"), precision=precision))
    write_card(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(target)


def list_others(target: Path) -> list[Manifest]:
    """The newest versions of the other models in the repository of a version's folder."""
    repository, name = target.parent.parent, target.parent.name
    if not any(repository.glob(f"*/*/{MANIFEST}")):
        return []
    folders = find_versions(repository)
    return [read_manifest(folder) for folder in folders if folder.parent.name != name]


def add_goldens(folder: Path) -> Manifest:
    """Adds goldens to a manifest, with the answers of its first precision.

    A text on which the precisions disagree is omitted: rounding flips uncertain answers.

    Raises:
        ArtefactError: no golden text is within the model's limit, or the precisions agree on none.
    """
    model = load_model(folder, Device("cpu"))
    others = [
        load_model(folder, Device("cpu"), precision=precision)
        for precision in model.manifest.precisions
        if precision != model.precision
    ]
    limit = model.manifest.limits.max_input_tokens
    usable = [
        golden
        for golden in list_goldens(model.manifest)
        if 0 < len(model.encode([golden.text])[0]) <= limit
    ]
    if not usable:
        raise ArtefactError(f"no golden text has 1 to {limit} tokens; increase max_tokens")
    goldens = []
    for golden in usable:
        output, score = answer_golden(model, golden)
        answered = golden.model_copy(update={"output": output, "score": round(score, 4)})
        if all(agrees(other, answered, *answer_golden(other, golden)) for other in others):
            goldens.append(answered)
    if not goldens:
        raise ArtefactError(
            f"{' and '.join(model.manifest.precisions)} agree on none of {len(usable)} golden "
            "texts; export one precision, or train longer"
        )
    return model.manifest.model_copy(update={"goldens": tuple(goldens)})


def list_goldens(manifest: Manifest) -> list[Golden]:
    """Returns golden texts in the languages of a model, English by default, without answers."""
    if manifest.task == "translation":
        return [
            Golden(text=text, output="", score=0.0, source=source, target=target)
            for source, target in manifest.pairs
            for text in TRANSLATION_TEXTS.get(source, TRANSLATION_TEXTS["en"])
        ]
    of_purpose = GOLDENS_BY_PURPOSE.get(manifest.purpose, GOLDEN_TEXTS)
    known = PROMPTS_BY_TASK.get(manifest.task, of_purpose)
    texts = [known.get(code, known["en"]) for code in manifest.languages]
    unique = dict.fromkeys(text for group in texts for text in group)
    return [
        Golden(text=text, output="", score=0.0, features=features)
        for features in list_conditions(manifest.condition)
        for text in unique
    ]


def list_conditions(condition: Condition | None) -> list[tuple[float, ...] | None]:
    """Conditions to try a model with: each label, or zeros; None for a model without."""
    if condition is None:
        return [None]
    if condition.labels:
        return [condition.encode(label) for label in condition.labels]
    return [(0.0,) * condition.size]


def next_version(folder: Path) -> str:
    """Returns the version number after the highest of a model."""
    versions = [int(path.name) for path in folder.glob("*") if VERSION.fullmatch(path.name)]
    return str(max(versions, default=0) + 1)


def claim_folder(repository: Path, name: str, version: str | None) -> Path:
    """Returns the folder of a new version, by default one above the highest, without creating it.

    Raises:
        FileExistsError: the version is there already.
        ArtefactError: the name or the version is not a valid folder name.
    """
    if not NAME.fullmatch(name):
        raise ArtefactError(
            f"{name!r} is not a model name; use up to 64 of A-Z a-z 0-9 . _ -, a letter or a "
            "digit first"
        )
    version = version or next_version(repository / name)
    if not VERSION.fullmatch(version):
        raise ArtefactError(f"version {version!r} is not a positive whole number")
    folder = repository / name / version
    if folder.exists():
        raise FileExistsError(f"{folder} exists; remove it or choose another version")
    return folder
