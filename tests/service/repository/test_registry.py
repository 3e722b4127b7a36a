import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.engine.runtime.device import Device
from service.errors import ArtefactError, DeviceUnavailable, ModelNotFound, ModelNotReady
from service.repository.manifest import MANIFEST, Limits
from service.repository.registry import (
    Registry,
    batch_bounds,
    default_engines,
    verify,
)
from service.settings import Settings
from service.text.languages.detection import list_known, open_scores
from service.text.languages.scores import load_detector
from tests.fakes import (
    FakeRunner,
    make_manifest,
    make_metrics,
    make_model,
    make_sequence,
    read_metric,
)
from tests.service.repository.copies import add_version

SENTIMENT, TRANSLATION = "tiny-classification-gru", "tiny-translation-lstm"


def make_settings(models_dir: Path, device: str = "cpu", drain_seconds: float = 5.0) -> Settings:
    return Settings(models_dir=models_dir, device=device, drain_seconds=drain_seconds)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    """Three fake models, served, and nothing read from a disk."""
    registry = Registry(make_settings(tmp_path), make_metrics())
    for manifest in (
        make_manifest("classification", "film-en", languages=("en",)),
        make_manifest("classification", "film-ko", languages=("ko",)),
        make_manifest("translation", "words"),
    ):
        registry.serve(make_model(manifest))
    yield registry
    await registry.stop()


async def test_a_model_can_ask_for_smaller_batches_than_the_server_allows(tmp_path: Path) -> None:
    registry = Registry(make_settings(tmp_path), make_metrics())
    limits = Limits(max_input_tokens=100, max_batch_size=2)
    small, large = FakeRunner(max_rows=2), FakeRunner(max_rows=64)
    registry.serve(make_model(make_manifest("classification", "small", limits=limits), small))
    registry.serve(make_model(make_manifest("classification", "large"), large))
    for name, runner in (("small", small), ("large", large)):
        runner.gate.clear()
        futures = registry.find_model(name, "classification").batcher.submit(
            [make_sequence() for _ in range(7)]
        )
        runner.gate.set()
        await asyncio.gather(*futures)
    await registry.stop()

    assert max(map(len, small.batches)) == 2
    assert max(map(len, large.batches)) > 2


@pytest.mark.parametrize(
    ("own", "bounds"), [((None, None), (64, 4096)), ((8, 512), (8, 512)), ((128, 9999), (64, 4096))]
)
def test_the_smaller_bound_of_model_and_server_holds(
    own: tuple[int | None, int | None], bounds: tuple[int, int]
) -> None:
    limits = Limits(max_input_tokens=100, max_batch_size=own[0], max_batch_tokens=own[1])

    assert batch_bounds(make_manifest(limits=limits), Settings()) == bounds


async def test_all_models_are_loaded_and_ready(tiny_repository: Path) -> None:
    metrics = make_metrics()
    registry = Registry(make_settings(tiny_repository), metrics)
    readiness = [not registry.faults()]
    await registry.start()
    readiness.append(not registry.faults())
    await registry.stop()
    readiness.append(not registry.faults())

    assert readiness == [False, True, False]
    assert [served.manifest.name for served in registry.models()] == [SENTIMENT, TRANSLATION]

    labels = {"version": "1", "task": "classification", "cell": "gru"}
    where = {"model": SENTIMENT, "precision": "int8", "device": "cpu"}
    assert read_metric(metrics, "model_info", **labels, **where) == 1


async def test_served_model_tells_device_and_precision(tiny_repository: Path) -> None:
    registry = Registry(make_settings(tiny_repository), make_metrics())
    await registry.start()
    try:
        served = registry.find_model(SENTIMENT, "classification")
        assert (served.device, served.precision) == ("cpu", "int8")
    finally:
        await registry.stop()


async def test_detector_is_loaded_at_the_start_of_a_server_of_classifiers(repository: Path) -> None:
    shutil.rmtree(repository / TRANSLATION)
    manifest = repository / SENTIMENT / "1" / MANIFEST
    fields = json.loads(manifest.read_text(encoding="utf-8")) | {"languages": ["en"]}
    manifest.write_text(json.dumps(fields), encoding="utf-8")
    for cached in (load_detector, list_known, open_scores):
        cached.cache_clear()
    registry = Registry(make_settings(repository), make_metrics())
    await registry.start()
    await registry.stop()
    assert load_detector.cache_info().currsize == 1


async def test_highest_version_is_served_by_number_not_by_spelling(repository: Path) -> None:
    for version in ("9", "10"):
        add_version(repository, SENTIMENT, version)
    registry = Registry(make_settings(repository), make_metrics())
    await registry.start()
    try:
        assert registry.find_model(SENTIMENT, "classification").manifest.version == "10"
    finally:
        await registry.stop()


@pytest.mark.parametrize("exists", [True, False])
async def test_empty_repository_is_refused_with_the_setting_to_change(
    tmp_path: Path, exists: bool
) -> None:
    models_dir = tmp_path if exists else tmp_path / "nowhere"

    with pytest.raises(ArtefactError, match=r"holds no model .* set SEQSERVE_MODELS_DIR"):
        await Registry(make_settings(models_dir), make_metrics()).start()


async def test_one_damaged_model_refuses_to_start_and_leaves_nothing_running(
    repository: Path,
) -> None:
    with (repository / TRANSLATION / "1" / "weights.bin").open("r+b") as stream:
        stream.write(b"damage")
    registry = Registry(make_settings(repository), make_metrics())
    tasks = asyncio.all_tasks()

    with pytest.raises(ArtefactError, match=rf"{TRANSLATION}/1/weights\.bin is damaged"):
        await registry.start()

    assert (registry.models(), asyncio.all_tasks()) == ([], tasks)
    assert registry.faults() == ["the models are not loaded"]


async def test_glossary_that_is_not_right_refuses_to_start(repository: Path) -> None:
    path = repository / "glossaries" / "products" / "en-ko.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("dog 개", encoding="utf-8")
    settings = Settings(models_dir=repository, device="cpu", precision="fp32")

    with pytest.raises(ArtefactError, match=r"en-ko\.tsv, line 1 is not a term, a tab"):
        await Registry(settings, make_metrics()).start()
    (fault,) = verify(repository, settings)
    assert "line 1 is not a term" in fault


async def test_model_that_fails_its_goldens_refuses_to_start(repository: Path) -> None:
    path = repository / SENTIMENT / "1" / MANIFEST
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["goldens"][0]["score"] = 0.01
    path.write_text(json.dumps(fields), encoding="utf-8")

    with pytest.raises(ArtefactError, match=f"{SENTIMENT}/1 in int8 on cpu fails its golden"):
        await Registry(make_settings(repository), make_metrics()).start()


async def test_wanted_precision_that_a_model_lacks_refuses_to_start(repository: Path) -> None:
    path = repository / SENTIMENT / "1" / MANIFEST
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["graphs"] = [graph for graph in fields["graphs"] if graph["precision"] != "fp32"]
    path.write_text(json.dumps(fields), encoding="utf-8")
    settings = Settings(models_dir=repository, device="cpu", precision="fp32")

    with pytest.raises(ArtefactError, match="has no graphs in precision fp32"):
        await Registry(settings, make_metrics()).start()


async def test_cuda_asked_for_and_absent_refuses_to_start(tiny_repository: Path) -> None:
    settings = make_settings(tiny_repository, device="cuda:7")

    with pytest.raises(DeviceUnavailable, match="set the device to cpu"):
        await Registry(settings, make_metrics()).start()


async def test_models_are_found_by_name_and_task(registry: Registry) -> None:
    assert registry.find_model("film-en", "classification").manifest.name == "film-en"
    with pytest.raises(
        ModelNotFound, match="no classification model is called 'words'; there are film-en, film-ko"
    ):
        registry.find_model("words", "classification")
    with pytest.raises(ModelNotFound, match="no translation model is called 'x'; there are words"):
        registry.find_model("x", "translation")


async def test_classifiers_are_found_by_language(registry: Registry) -> None:
    assert registry.find_classifier("ko").manifest.name == "film-ko"
    assert registry.classified_languages() == ["en", "ko"]
    with pytest.raises(
        ModelNotFound, match="no classifier answers by default for the language 'de'"
    ):
        registry.find_classifier("de")


async def test_translators_are_found_by_direction(registry: Registry) -> None:
    (leg,) = registry.find_route("de", "en")
    assert (leg.served.manifest.name, leg.source, leg.target) == ("words", "de", "en")
    assert registry.pairs() == [("en", "de"), ("de", "en")]
    with pytest.raises(
        ModelNotFound, match="no model translates from en to fr; there are en-de, de-en"
    ):
        registry.find_route("en", "fr")


async def test_dead_engine_makes_the_server_unready(tiny_repository: Path) -> None:
    registry = Registry(make_settings(tiny_repository), make_metrics())
    await registry.start()
    try:
        runner = FakeRunner()
        runner.failures = [RuntimeError("broken")]
        runner.reset_failure = RuntimeError("cannot reset")
        model = make_model(make_manifest(name="doomed"), runner)
        registry.serve(model)
        (future,) = registry.find_model("doomed", "classification").batcher.submit(
            [make_sequence()]
        )
        with pytest.raises(ModelNotReady):
            await future

        assert registry.faults() == ["the batcher of model doomed is not running"]
    finally:
        await registry.stop()


async def test_stop_lets_admitted_requests_finish_and_refuses_others(registry: Registry) -> None:
    batcher = registry.find_model("film-en", "classification").batcher
    futures = batcher.submit([make_sequence(length) for length in range(1, 40)])

    await registry.stop()

    assert all(future.exception() is None for future in futures)
    assert registry.faults()
    with pytest.raises(ModelNotReady):
        batcher.submit([make_sequence()])


def test_whole_repository_verifies(tiny_repository: Path) -> None:
    assert verify(tiny_repository, make_settings(tiny_repository)) == []


def test_verification_tells_every_fault(repository: Path) -> None:
    (repository / SENTIMENT / "1" / "tokenizer.json").unlink()
    (repository / TRANSLATION / "1" / MANIFEST).write_text("{}", encoding="utf-8")

    faults = verify(repository, make_settings(repository))

    assert len(faults) == 2
    assert "tokenizer.json is missing" in faults[0]
    assert "manifest.json is invalid" in faults[1]


@pytest.mark.parametrize(
    ("num_cpus", "num_front_ends", "num_engines"), [(2, 1, 1), (8, 4, 3), (64, 8, 4), (2, 4, 1)]
)
def test_the_engine_process_has_what_front_ends_leave(
    num_cpus: int, num_front_ends: int, num_engines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.repository.registry.available_cpus", lambda: num_cpus)
    settings = Settings(topology="engine", workers=num_front_ends)
    assert default_engines(Device("cpu"), settings) == num_engines


@pytest.mark.parametrize(
    ("num_cpus", "num_workers", "num_engines"),
    [(1, 0, 1), (2, 1, 1), (3, 0, 2), (64, 1, 4), (2, 2, 1), (8, 4, 1), (12, 4, 2), (4, 8, 1)],
)
def test_event_loop_keeps_a_processor_for_itself(
    num_cpus: int, num_workers: int, num_engines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.repository.registry.available_cpus", lambda: num_cpus)
    settings = Settings(topology="replicas", workers=num_workers)
    assert default_engines(Device("cpu"), settings) == num_engines
    assert default_engines(Device("cuda"), settings) == 1


@pytest.mark.parametrize(
    ("num_cpus", "num_workers", "is_here"),
    [(2, 2, True), (1, 0, True), (2, 1, False), (8, 4, False)],
)
async def test_short_classification_needs_no_thread_where_no_processor_is_left(
    num_cpus: int,
    num_workers: int,
    is_here: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.repository.registry.available_cpus", lambda: num_cpus)
    settings = Settings(models_dir=tmp_path, device="cpu", workers=num_workers)
    registry, runner, threads = Registry(settings, make_metrics()), FakeRunner(), set()
    runner.on_step = lambda: threads.add(threading.get_ident())
    registry.serve(make_model(make_manifest("classification", "s"), runner))
    await registry.find_model("s", "classification").batcher.submit([make_sequence()])[0]
    await registry.stop()

    assert (threads == {threading.get_ident()}) is is_here


async def test_classifier_that_answers_only_when_named_is_found_by_name_alone(
    registry: Registry,
) -> None:
    manifest = make_manifest(name="spam", languages=("en", "de"), answers_by_default=False)
    registry.serve(make_model(manifest))

    assert registry.find_classifier("en").manifest.name == "film-en"
    assert registry.classified_languages() == ["en", "ko"]
    assert [served.manifest.name for served in registry.default_classifiers()] == [
        *("film-en", "film-ko")
    ]
    assert registry.find_model("spam", "classification").manifest == manifest


async def test_second_default_classifier_of_a_language_refuses_to_start(repository: Path) -> None:
    copy_model(repository, "other")
    message = f"other and {SENTIMENT} both answer by default for the language ko; set answers_by"

    with pytest.raises(ArtefactError, match=message):
        await Registry(make_settings(repository), make_metrics()).start()
    assert [fault[: len(message)] for fault in verify(repository, make_settings(repository))] == [
        message
    ]


async def test_second_classifier_of_a_language_is_served_if_it_waits_to_be_named(
    repository: Path,
) -> None:
    copy_model(repository, "other", answers_by_default=False)
    registry = Registry(make_settings(repository), make_metrics())
    await registry.start()
    try:
        assert registry.find_classifier("ko").manifest.name == SENTIMENT
        assert registry.find_model("other", "classification").manifest.version == "1"
    finally:
        await registry.stop()


def copy_model(repository: Path, name: str, **fields: object) -> None:
    """The classifier under another name, with some fields of its manifest changed."""
    folder = shutil.copytree(repository / SENTIMENT, repository / name) / "1"
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(json.dumps(manifest | {"name": name} | fields))
