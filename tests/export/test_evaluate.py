import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from export.evaluate import (
    EVERYDAY,
    check_tests,
    choose_beams,
    evaluate_conditions,
    evaluate_version,
    read_tests,
)
from export.quality.answers import answer_texts, measure_answers, sum_losses
from export.torch_run import export_run
from models.config import SourceConfig, dump_config, parse_config
from models.training.runs import read_run
from models.training.tasks.task import build_task
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.manifest import Quality, read_manifest
from tests.export.conftest import FolderMaker

ROWS = 12
REPOSITORY = Path(__file__).parents[2] / "models" / "repository"


@pytest.fixture
def data(samples: Path, tmp_path: Path) -> Path:
    """A few rows of each test set."""
    for source in ("nsmc", "tatoeba"):
        (tmp_path / "data" / source).mkdir(parents=True)
        lines = (samples / source / "test.tsv").read_text(encoding="utf-8").splitlines()
        text = "\n".join([*lines[:ROWS], "1\t ", ""])  # a row without a text is passed over
        (tmp_path / "data" / source / "test.tsv").write_text(text, encoding="utf-8")
    return tmp_path / "data"


def measure(
    version: Path, run_folder: Path, data: Path, scratch: Path, beam_size: int = 1
) -> tuple[Quality, ...]:
    folder = scratch / version.parent.name / "1"
    shutil.copytree(version, folder)
    evaluate_version(folder, run_folder, data, beam_size)
    return read_manifest(folder).quality


def test_accuracy_of_a_classifier(
    data: Path, tiny_version: FolderMaker, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    version, run_folder = tiny_version("classification", "gru"), tiny_run("classification", "gru")
    figure, f1, error, *everyday = measure(version, run_folder, data, tmp_path)
    assert (figure.data, figure.metric, figure.precision) == ("nsmc test", "accuracy", "int8")
    assert figure.signature == f"percent of {ROWS} texts"
    assert (f1.metric, f1.signature) == ("f1", f"F1 of positive, percent of {ROWS} texts")
    assert (error.data, error.metric) == ("nsmc test", "calibration error")
    assert {row.data for row in everyday} == {EVERYDAY}
    assert {"right, plain", "right, mixed"} < {row.metric for row in everyday}
    assert all(0 <= row.value <= 100 for row in (figure, f1, error, *everyday))


def test_loss_of_a_language_model_is_that_of_torch(
    samples: Path, tiny_version: FolderMaker, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    version, run_folder = tiny_version("language", "lstm"), tiny_run("language", "lstm")
    quality = measure(version, run_folder, samples, tmp_path)
    assert [(row.data, row.metric, row.precision) for row in quality] == [
        (f"nsmc {split}", f"{unit} per character", "int8")
        for split in ("test", "valid")
        for unit in ("nats", "bits")
    ]
    run = read_run(run_folder)
    task = build_task(run.config, run.tokenizer, samples)
    figures = task.validate(run.model, torch.device("cpu"))
    *_, nats, bits = quality
    assert nats.value == pytest.approx(figures["nsmc nats per character"], abs=0.005)
    assert bits.value == pytest.approx(nats.value / math.log(2.0), abs=2e-4)


def test_answers_are_measured_by_their_likelihood_and_variety(
    samples: Path, tiny_answerers: Path, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    run_folder = tiny_run("text2text", "lstm")
    model = load_model(tiny_answerers / "tiny-text2text-lstm" / "1", Device("cpu"))
    config = read_run(run_folder).config
    rows = read_tests(config, config.sources[0], samples)[:ROWS]
    answers = answer_texts(model, [text for text, _ in rows])

    nats, bits, chrf, different, learnt = measure_answers(
        model, config, config.sources[0], samples, rows
    )

    # one answer alone is as likely as among others
    alone = sum(sum_losses(model, [row]) for row in rows) / sum(len(row[1]) + 1 for row in rows)
    assert (nats.metric, nats.value) == ("nats per character", pytest.approx(alone, rel=1e-3))
    assert bits.value == pytest.approx(nats.value / math.log(2.0))
    assert chrf.metric == "chrf"
    assert different.value == pytest.approx(100.0 * len(set(answers)) / ROWS)
    assert (learnt.metric, learnt.value) == ("answers of the training data", 0.0)


def test_texts_are_judged_by_the_classifier_that_knows_their_labels(
    samples: Path, tiny_version: FolderMaker, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    for task, cell in (("language", "lstm"), ("classification", "gru")):
        name = f"tiny-{task}-{cell}"
        shutil.copytree(tiny_version(task, cell), tmp_path / name / "1")
    folder = tmp_path / "tiny-language-lstm" / "1"
    config = read_run(tiny_run("language", "lstm")).config
    model = load_model(folder, Device("cpu"))

    found, learnt = evaluate_conditions(model, tmp_path, config, samples)

    assert found.metric == "asked label found"
    assert found.signature.endswith("of 500 texts at temperature 0.8, by tiny-classification-gru 1")
    assert 0.0 <= found.value <= 100.0
    assert (learnt.metric, learnt.value) == ("texts of the training data", 0.0)
    shutil.rmtree(tmp_path / "tiny-classification-gru")
    assert evaluate_conditions(model, tmp_path, config, samples) == []


def test_bleu_and_chrf_of_both_directions_and_decodings(
    data: Path, tiny_version: FolderMaker, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    version, run_folder = tiny_version("translation", "gru"), tiny_run("translation", "gru")
    quality = measure(version, run_folder, data, tmp_path, beam_size=4)
    found = [(figure.pair, figure.decoding, figure.metric) for figure in quality]
    assert found == [
        (pair, decoding, metric)
        for pair in ("en-ko", "ko-en")
        for decoding in ("greedy", "beam 4")
        for metric in ("bleu", "chrf", *(["bleu-lc"] if pair == "ko-en" else []))
    ] + [("en-ko", "beam 4", "right"), ("ko-en", "beam 4", "right")]
    signatures = {figure.pair: figure.signature for figure in quality if figure.metric == "bleu"}
    assert "tok:char" in signatures["en-ko"]
    assert "tok:13a" in signatures["ko-en"]


@pytest.mark.parametrize(("beam_size", "measured"), [(1, [1]), (2, [1, 2, 4]), (4, [1, 4])])
def test_the_servers_default_beam_is_always_measured(beam_size: int, measured: list[int]) -> None:
    assert choose_beams(beam_size) == measured


def test_beam_of_one_is_measured_once(
    data: Path, tiny_version: FolderMaker, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    version, run_folder = tiny_version("translation", "rnn"), tiny_run("translation", "rnn")
    quality = measure(version, run_folder, data, tmp_path, beam_size=1)
    measured = [figure for figure in quality if figure.data != EVERYDAY]
    assert len(measured) == 5
    assert {figure.decoding for figure in measured} == {"greedy"}


@pytest.mark.parametrize("task", ["classification", "translation"])
def test_version_without_float32_is_compared_with_it(
    task: str, data: Path, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    folder = export_run(tiny_run(task, "lstm"), tmp_path / "repository", ["int8"])
    evaluate_version(folder, tiny_run(task, "lstm"), data, beam_size=2)
    quality = read_manifest(folder).quality
    shipped = {
        (figure.data, figure.pair, figure.metric)
        for figure in quality
        if figure.precision == "int8"
        and figure.metric != "calibration error"
        and figure.data != EVERYDAY
        and figure.decoding in (None, "greedy")
    }
    compared = [figure for figure in quality if figure.precision == "fp32"]
    assert {(figure.data, figure.pair, figure.metric) for figure in compared} == shipped
    assert {figure.decoding for figure in compared} <= {None, "greedy"}


# What int8 may cost; the loss of a language model rises.
LOSSES = {"accuracy": -0.3, "token accuracy": -0.3, "bleu": -0.3, "nats per character": 0.005}


@pytest.mark.parametrize(
    "folder", sorted(REPOSITORY.glob("*/*/")), ids=lambda folder: folder.parent.name
)
def test_int8_costs_shipped_models_little_quality(folder: Path) -> None:
    quality = [
        figure
        for figure in read_manifest(folder).quality
        if figure.metric in LOSSES and figure.decoding in (None, "greedy")
    ]
    found: dict[str, list[Quality]] = {
        precision: [figure for figure in quality if figure.precision == precision]
        for precision in ("int8", "fp32")
    }
    places = [[(figure.data, figure.pair) for figure in each] for each in found.values()]
    assert places[0] == places[1] != []
    # the mean over test sets and directions: BLEU of a few hundred sentences moves by more
    shares = [
        (ours.value - reference.value) / LOSSES[ours.metric]
        for ours, reference in zip(found["int8"], found["fp32"], strict=True)
    ]
    assert sum(shares) / len(shares) < 1.0


def test_source_without_a_test_set_is_skipped(
    data: Path, tiny_version: FolderMaker, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    fields = json.loads((tiny_run("classification", "gru") / "config.json").read_text("utf-8"))
    config = parse_config(fields)
    untested = SourceConfig(path="absent", licence="", commercial_use=True, test="")
    config = replace(config, sources=(*config.sources, untested))
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    (run_folder / "config.json").write_text(json.dumps(dump_config(config)), encoding="utf-8")
    check_tests(run_folder, data)
    quality = measure(tiny_version("classification", "gru"), run_folder, data, tmp_path)
    assert {figure.data for figure in quality} == {"nsmc test", EVERYDAY}


def test_empty_test_set_is_reported_beforehand(tiny_run: FolderMaker, tmp_path: Path) -> None:
    (tmp_path / "nsmc").mkdir()
    (tmp_path / "nsmc" / "test.tsv").write_text("1\t \n\n", encoding="utf-8")
    with pytest.raises(ValueError, match="nsmc: the test set test has no usable rows"):
        check_tests(tiny_run("classification", "gru"), tmp_path)


def test_missing_test_set_is_reported_beforehand(tiny_run: FolderMaker, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nsmc holds neither test"):
        check_tests(tiny_run("classification", "gru"), tmp_path)
