"""Measures the served graphs on the test sets, and writes the figures into the manifest."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from export.publish import export_run
from export.quality.answers import measure_answers
from export.quality.conditions import find_judge, judge_conditions
from export.quality.everyday import (
    judge_answers,
    judge_labels,
    judge_spacing,
    judge_translations,
    list_misses,
)
from export.quality.formality import judge_formality
from export.quality.perplexity import measure_texts
from export.quality.score_fit import describe_fits, fit_scores
from export.quality.translate import translate_texts
from models.config import RunConfig, SourceConfig, read_run_config
from models.training.data.sources import Row, index_labels, read_source, read_text
from models.training.data.texts import read_rows
from models.training.metrics import (
    PER_CHARACTER,
    Figure,
    accuracy,
    calibration_error,
    f1_score,
    translation_figures,
)
from models.training.tasks.tagging import LabelledText, encode_texts, measure_labels
from models.training.tasks.task import CHECKS
from service.engine.batch import TokenSequence
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device, available_cpus
from service.repository.loader import load_model
from service.repository.manifest import PAIRED, Quality, ScoreFit, read_manifest, write_manifest
from service.repository.model import LoadedModel, make_sequences
from service.settings import Settings

EVERYDAY = "everyday sentences"


def evaluate_version(folder: Path, run_folder: Path, data: Path, beam_size: int) -> None:
    """Measures the version's best CPU precision on each test set, and rewrites the manifest.

    For a version without float32 graphs, the greedy figures are measured in float32 too, to show
    the cost of its precision.

    Args:
        folder: the version.
        run_folder: the training run, for the configured sources.
        data: the data folder.
        beam_size: beam size to measure in addition to greedy and the server's default, for
            translation; 1 measures greedy only.
    """
    config = read_run_config(run_folder)
    model = load_model(folder, Device("cpu"), num_threads=available_cpus())
    quality = evaluate_tests(model, config, data, beam_size)
    quality += evaluate_conditions(model, folder.parent.parent, config, data)
    quality += evaluate_everyday(model)
    if "fp32" not in model.manifest.precisions:
        quality += evaluate_float(run_folder, config, data)
    fits = calibrate_scores(model, config, data) if config.task == "translation" else ()
    measured = {"quality": tuple(quality), "score_fits": fits}
    write_manifest(read_manifest(folder).model_copy(update=measured), folder)


def calibrate_scores(model: LoadedModel, config: RunConfig, data: Path) -> tuple[ScoreFit, ...]:
    """The fits of a translator's scores; none without the validation splits."""
    try:
        fits = fit_scores(model, config, data, default_beam_size())
    except FileNotFoundError as exc:
        print(f"translations have no scores: {exc}")
        return ()
    print(f"scores of translations tell acceptable ones with an AUC of {describe_fits(fits)}")
    return fits


def evaluate_tests(
    model: LoadedModel, config: RunConfig, data: Path, beam_size: int
) -> list[Quality]:
    """Measures every test set of the configuration."""
    sources = [source for source in config.sources if source.test]
    return [
        figure
        for source in tqdm(sources, desc=f"test sets, {model.precision}", unit="set")
        for figure in evaluate_source(model, config, source, data, beam_size)
    ]


def evaluate_float(run_folder: Path, config: RunConfig, data: Path) -> list[Quality]:
    """Measures the run in float32, with temporary graphs."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = export_run(run_folder, Path(scratch), ["fp32"])
        model = load_model(folder, Device("cpu"), num_threads=available_cpus())
        quality = evaluate_tests(model, config, data, beam_size=1)
    # these graphs are not calibrated: choices are comparable, scores are not
    return [figure for figure in quality if figure.metric != "calibration error"]


def check_tests(run_folder: Path, data: Path) -> None:
    """Reads the test sets of a run, to detect a wrong folder before a long export.

    Raises:
        FileNotFoundError: a test set is missing.
        ValueError: a test set cannot be read, is empty, or has other labels.
    """
    config = read_run_config(run_folder)
    for source in config.sources:
        if source.test:
            check_test(config, source, data)


def check_test(config: RunConfig, source: SourceConfig, data: Path) -> None:
    """Reads one test set.

    Raises:
        FileNotFoundError, ValueError: see `check_tests`.
    """
    if config.task == "language" and not config.condition:
        read_text(data / source.path, source.test)
        return
    rows = read_tests(config, source, data)
    if not rows:
        raise ValueError(f"{source.path}: the test set {source.test} has no usable rows")
    if config.task in CHECKS:
        CHECKS[config.task](config, source, "test", rows)
    if config.condition:
        read_rows(config, source, data, "test")


def read_tests(config: RunConfig, source: SourceConfig, data: Path) -> list[Row]:
    """Returns the non-empty rows of a test set."""
    rows = read_source(config, source, data, "test")
    # a text without labelled spans is a test, too
    texts = 2 if config.task in PAIRED else 1
    return [row for row in rows if all(text.strip() for text in row[-texts:])]


def evaluate_source(
    model: LoadedModel, config: RunConfig, source: SourceConfig, data: Path, beam_size: int
) -> list[Quality]:
    """Measures one test set."""
    return MEASURES[config.task](model, config, source, data, beam_size)


def measure_language(
    model: LoadedModel, config: RunConfig, source: SourceConfig, data: Path, _: int
) -> list[Quality]:
    return [
        as_quality(model, name, figure)
        for name, figure in measure_texts(model, config, source, data)
    ]


def measure_classifier(
    model: LoadedModel, config: RunConfig, source: SourceConfig, data: Path, _: int
) -> list[Quality]:
    figures = classify_rows(model, read_tests(config, source, data))
    return [as_quality(model, f"{source.path} {source.test}", figure) for figure in figures]


def measure_tagger(
    model: LoadedModel, config: RunConfig, source: SourceConfig, data: Path, _: int
) -> list[Quality]:
    rows = read_tests(config, source, data)
    labelled = encode_texts(config, source, "test", rows, model.tokenizer)
    name = f"{source.path} {source.test}"
    return [as_quality(model, name, figure) for figure in tag_texts(model, labelled)]


def measure_answerer(
    model: LoadedModel, config: RunConfig, source: SourceConfig, data: Path, _: int
) -> list[Quality]:
    rows = read_tests(config, source, data)
    figures = measure_answers(model, config, source, data, rows)
    return [
        as_quality(model, f"{source.path} {source.test}", figure, decoding="greedy")
        for figure in figures
    ]


def measure_translator(
    model: LoadedModel, config: RunConfig, source: SourceConfig, data: Path, beam_size: int
) -> list[Quality]:
    name, rows = f"{source.path} {source.test}", read_tests(config, source, data)
    quality = []
    for side, (first, second) in enumerate(config.pairs):
        for beam in choose_beams(beam_size):
            started = time.monotonic()
            texts = translate_texts(model, [row[side] for row in rows], first, second, beam)
            decoding = "greedy" if beam == 1 else f"beam {beam}"
            figures = translation_figures(texts, [row[1 - side] for row in rows], second)
            quality += [
                as_quality(model, name, figure, f"{first}-{second}", decoding) for figure in figures
            ]
            print(
                f"{name} {first}-{second} {decoding}: {describe(quality[-len(figures) :])}, "
                f"{time.monotonic() - started:.0f} s"
            )
    return quality


def choose_beams(beam_size: int) -> list[int]:
    """Beam sizes to measure: greedy, the server's default, and the one asked for."""
    return [1] if beam_size == 1 else sorted({1, default_beam_size(), beam_size})


def default_beam_size() -> int:
    return int(Settings.model_fields["default_beam_size"].default)


def evaluate_everyday(model: LoadedModel) -> list[Quality]:
    """Measures the everyday sentences as served, and prints the misses."""
    judge = JUDGES.get(model.manifest.task)
    return judge(model) if judge else []


def judge_classifier(model: LoadedModel) -> list[Quality]:
    return [
        as_quality(model, EVERYDAY, replace(figure, metric=f"{figure.metric}, {kind}"))
        for kind, figure in judge_labels(model).items()
    ]


def judge_tagger(model: LoadedModel) -> list[Quality]:
    spaced = judge_spacing(model)
    if not spaced:
        return []
    print(f"{EVERYDAY}:\n{list_misses(spaced[1])}")
    return [as_quality(model, EVERYDAY, spaced[0])]


def judge_answerer(model: LoadedModel) -> list[Quality]:
    judged = judge_answers(model)
    if not judged:
        return []
    print(f"{EVERYDAY}:\n{list_misses(judged[1])}")
    return [as_quality(model, EVERYDAY, judged[0], decoding="greedy")]


def judge_translator(model: LoadedModel) -> list[Quality]:
    quality = []
    beam_size = default_beam_size()
    for source, target in model.manifest.pairs:
        judged = judge_translations(model, source, target, beam_size)
        if judged:
            figure, misses = judged
            decoding = f"beam {beam_size}"
            quality.append(as_quality(model, EVERYDAY, figure, f"{source}-{target}", decoding))
            print(f"{EVERYDAY} {source}-{target}: {describe(quality[-1:])}\n{list_misses(misses)}")
        for formality, figure in judge_formality(model, source, target, beam_size):
            decoding = f"beam {beam_size}, {formality}"
            quality.append(as_quality(model, EVERYDAY, figure, f"{source}-{target}", decoding))
            print(f"{EVERYDAY} {source}-{target} {formality}: {describe(quality[-1:])}")
    return quality


def evaluate_conditions(
    model: LoadedModel, repository: Path, config: RunConfig, data: Path
) -> list[Quality]:
    """Measures whether texts are what their label asks for, if a classifier can judge them."""
    judge = find_judge(repository, model.manifest)
    if judge is None:
        return []
    figures = judge_conditions(model, judge, config, data)
    return [as_quality(model, "its own texts", figure) for figure in figures]


def classify_rows(model: LoadedModel, rows: Sequence[Row]) -> list[Figure]:
    results = run_sequences(model.runner, make_sequences(model, [text for _, text in rows]))
    scores = np.stack([result for result in results if isinstance(result, np.ndarray)])
    labels = index_labels(rows, model.manifest.labels)
    predicted = scores.argmax(axis=-1).tolist()
    return [
        accuracy(predicted, labels),
        f1_score(predicted, labels, model.manifest.labels),
        calibration_error(model.probabilities(scores), labels),
    ]


def tag_texts(model: LoadedModel, texts: Sequence[LabelledText]) -> list[Figure]:
    now = time.monotonic()
    limit = model.manifest.limits.max_input_tokens
    texts = [text for text in texts if len(text) <= limit]
    sequences = [TokenSequence(text.example.input_ids, now, math.inf) for text in texts]
    results = run_sequences(model.runner, sequences)
    predicted = [
        result.argmax(axis=-1).tolist() for result in results if isinstance(result, np.ndarray)
    ]
    return measure_labels(predicted, texts, model.manifest.labels)


def as_quality(
    model: LoadedModel,
    data: str,
    figure: Figure,
    pair: str | None = None,
    decoding: str | None = None,
) -> Quality:
    return Quality(
        data=data,
        metric=figure.metric,
        value=round(figure.value, 4 if figure.metric.endswith(PER_CHARACTER) else 2),
        precision=model.precision,
        signature=figure.signature,
        pair=pair,
        decoding=decoding,
    )


def describe(quality: Sequence[Quality]) -> str:
    return ", ".join(f"{figure.metric} {figure.value}" for figure in quality)


Measure = Callable[[LoadedModel, RunConfig, SourceConfig, Path, int], list[Quality]]

MEASURES: dict[str, Measure] = {
    "classification": measure_classifier,
    "translation": measure_translator,
    "language": measure_language,
    "tagging": measure_tagger,
    "text2text": measure_answerer,
}
"""What measures a test set, with a beam size for translators."""

JUDGES: dict[str, Callable[[LoadedModel], list[Quality]]] = {
    "classification": judge_classifier,
    "translation": judge_translator,
    "tagging": judge_tagger,
    "text2text": judge_answerer,
}
"""What measures the everyday sentences; language models are not asked to say anything in them."""
