"""The states of texts through the pipelines of all tasks, over tiny models."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from service.answers import (
    ClassifyOptions,
    GenerateOptions,
    Prompt,
    States,
    StatesOptions,
    TagOptions,
    TranslateOptions,
)
from service.errors import InputTooLong, InvalidInput
from service.pipeline.classify import ClassifyPipeline
from service.pipeline.generation.generate import GeneratePipeline
from service.pipeline.states import NUM_DEFAULT_UNITS, Unit, choose_units
from service.pipeline.tagging.tag import TagPipeline, cut_windows
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.manifest import Find, Manifest, StateLayer
from service.repository.registry import Registry
from service.settings import Settings
from tests.fakes import make_manifest, make_metrics

ALL = StatesOptions()
LAYERS = (
    StateLayer(name="0.forward", units=20, values=("hidden", "cell")),
    StateLayer(name="0.backward", units=4, values=("hidden",)),
)


@pytest.fixture
async def registry(
    tiny_repository: Path, tiny_languages: Path, tiny_taggers: Path, tmp_path: Path
) -> AsyncIterator[Registry]:
    for repository in (tiny_repository, tiny_languages, tiny_taggers):
        for folder in repository.iterdir():
            (tmp_path / folder.name).symlink_to(folder)
    registry = Registry(Settings(models_dir=tmp_path, device="cpu"), make_metrics())
    await registry.start()
    yield registry
    await registry.stop()


def soon() -> float:
    return time.monotonic() + 20.0


def series_of(states: States, layer: str, unit: int, value: str = "hidden") -> list[float]:
    return next(
        each.values
        for each in states.series
        if (each.layer, each.unit, each.value) == (layer, unit, value)
    )


def read_directly(
    registry: Registry, name: str, task: str, text: str, key: str, unit: int
) -> list[float]:
    model = registry.find_model(name, task).model
    (input_ids,) = model.encode([text])
    values: list[float] = model.states.read(input_ids)[key][:, unit].tolist()
    return values


async def classify(
    registry: Registry, *texts: str, states: StatesOptions | None = ALL, limit: int = 1000
) -> list[States | None]:
    pipeline = ClassifyPipeline(registry, Settings(max_state_values=limit), make_metrics())
    options = ClassifyOptions("tiny-classification-gru", states=states)
    answer = await pipeline.classify(texts, options, soon())
    return [each.states for each in answer.classifications]


async def test_states_of_a_classified_text(registry: Registry) -> None:
    text = "이 영화  정말 재미있어요"

    (states,) = await classify(registry, text)

    assert states is not None
    assert "".join(token.text for token in states.tokens) == text.replace(" ", "")
    assert all(text[token.start : token.end] == token.text for token in states.tokens)
    assert {len(each.values) for each in states.series} == {len(states.tokens)}
    assert len(states.series) == 4 * NUM_DEFAULT_UNITS
    expected = read_directly(
        registry, "tiny-classification-gru", "classification", text, "1.backward.hidden", 5
    )
    assert series_of(states, "1.backward", 5) == pytest.approx(expected, abs=1e-6)


async def test_states_do_not_depend_on_other_texts(registry: Registry) -> None:
    texts = ["이 영화", "정말 정말 재미있어요", "시간이 아까웠다"]

    together = await classify(registry, *texts)

    alone = [found for text in texts for found in await classify(registry, text)]
    assert together == alone


async def test_without_asking_there_are_no_states_and_no_graph_is_opened(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = registry.find_model("tiny-classification-gru", "classification").model.states
    monkeypatch.setattr(states, "_open_graph", lambda: pytest.fail("the graph was opened"))

    assert await classify(registry, "이 영화", states=None) == [None]


async def test_states_of_tokens_come_from_the_window_of_their_labels(registry: Registry) -> None:
    text = "가나다라마바사" * 30
    options = TagOptions("tiny-tagging-gru", states=StatesOptions(("0.forward",), (3,)))
    pipeline = TagPipeline(registry, Settings(), make_metrics())

    answer = await pipeline.answer_job(await pipeline.open_job([text], options, soon()))

    (tagging,) = answer.taggings
    assert tagging.states is not None
    assert [token.text for token in tagging.states.tokens] == list(text)
    assert [token.start for token in tagging.states.tokens] == list(range(len(text)))
    model = registry.find_model("tiny-tagging-gru", "tagging").model
    (input_ids,) = model.encode([text])
    windows = list(cut_windows(len(input_ids), model.manifest.limits.max_input_tokens))
    assert len(windows) > 1
    expected = [
        model.states.read(input_ids[start:end])["0.forward.hidden"][kept, 3]
        for start, end, kept in windows
    ]
    found = series_of(tagging.states, "0.forward", 3)
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-6)


async def test_states_of_a_tagger_that_looks_ahead_are_those_of_the_text(
    registry: Registry,
) -> None:
    options = TagOptions("tiny-stream-tagging-lstm", states=ALL)
    pipeline = TagPipeline(registry, Settings(), make_metrics())

    answer = await pipeline.answer_job(await pipeline.open_job(["오늘은"], options, soon()))

    (tagging,) = answer.taggings
    assert tagging.states is not None
    assert [token.text for token in tagging.states.tokens] == ["오", "늘", "은"]
    assert {len(each.values) for each in tagging.states.series} == {3}
    assert {each.layer for each in tagging.states.series} == {"0", "1"}


async def test_states_of_a_generated_text_are_those_of_prompt_and_text(
    registry: Registry,
) -> None:
    wanted = StatesOptions(units=(7,), values=("hidden", "cell"))
    options = GenerateOptions("tiny-language-lstm", 12, states=wanted)
    pipeline = GeneratePipeline(registry, Settings(), make_metrics())

    answer = await pipeline.generate([Prompt("the cat ")], options, soon())

    (text,) = answer.texts
    assert text.states is not None
    assert "".join(token.text for token in text.states.tokens)[-len(text.text) :] == text.text
    whole = text.prompt + text.text
    assert all(whole[token.start : token.end] == token.text for token in text.states.tokens)
    # the text that was written, read again as a prompt
    again = await pipeline.generate(
        [Prompt(whole)], GenerateOptions("tiny-language-lstm", 1, states=wanted), soon()
    )
    assert again.texts[0].states is not None
    for value in ("hidden", "cell"):
        before, after = (
            series_of(each, "1", 7, value) for each in (text.states, again.texts[0].states)
        )
        assert after[: len(before)] == pytest.approx(before, abs=1e-5)


async def test_states_depend_on_the_condition_and_streams_have_them(registry: Registry) -> None:
    options = GenerateOptions("tiny-language-gru", 3, states=StatesOptions(("0",), (2,)))
    pipeline = GeneratePipeline(registry, Settings(), make_metrics())
    prompts = [Prompt("the", label) for label in ("negative", "positive")]

    answer = await pipeline.generate(prompts, options, soon())

    found = [text.states for text in answer.texts]
    assert all(found)
    assert found[0] != found[1]
    job = await pipeline.open_job(prompts[:1], options, soon())
    events = [event async for event in pipeline.stream_job(job)]
    streamed = [event.finished for event in events if getattr(event, "finished", None)]
    assert [text.states for text in streamed] == found[:1]


async def translate(registry: Registry, *texts: str, **options: object) -> list[States | None]:
    pipeline = TranslatePipeline(registry, Settings(), make_metrics())
    fields = {"source": "en", "target": "ko", "states": ALL} | options
    answer = await pipeline.translate(texts, TranslateOptions(**fields), soon())  # type: ignore[arg-type]
    return [each.states for each in answer.translations]


async def test_states_of_a_translation_are_those_of_its_source(registry: Registry) -> None:
    text = "Two dogs sleep.  A man rides bicycles!"

    (states,) = await translate(registry, text)

    assert states is not None
    assert "".join(token.text for token in states.tokens) == text.replace(" ", "")
    assert all(text[token.start : token.end] == token.text for token in states.tokens)
    assert {len(each.values) for each in states.series} == {len(states.tokens)}
    assert {each.layer for each in states.series} == {
        f"{index}.{way}" for index in (0, 1) for way in ("forward", "backward")
    }


async def test_text_in_the_target_language_has_no_states(registry: Registry) -> None:
    assert await translate(registry, "Hello.", target="en") == [None]


async def test_states_of_markup_are_refused(registry: Registry) -> None:
    with pytest.raises(InvalidInput, match="plain text"):
        await translate(registry, "<b>Two</b> dogs.", text_format="html")


async def test_states_above_the_limit_are_refused(registry: Registry) -> None:
    with pytest.raises(InputTooLong, match=r"would have \d+ values.*above the limit of 10"):
        await classify(registry, "이 영화", limit=10)


async def test_generated_tokens_count_with_their_limit(registry: Registry) -> None:
    pipeline = GeneratePipeline(registry, Settings(max_state_values=100), make_metrics())
    options = GenerateOptions("tiny-language-lstm", 101, states=StatesOptions(("0",), (1,)))

    with pytest.raises(InputTooLong, match="above the limit of 100"):
        await pipeline.generate([Prompt("")], options, soon())


async def test_many_ask_for_states_at_once(registry: Registry) -> None:
    texts = [f"이 영화 {number}" for number in range(12)]

    found = await asyncio.gather(*(classify(registry, text) for text in texts))

    assert found == [await classify(registry, text) for text in texts]


def manifest_with(*finds: Find) -> Manifest:
    return make_manifest(states=LAYERS, finds=finds)


def make_find(layer: str, unit: int, value: str) -> Find:
    fields = {"layer": layer, "unit": unit, "value": value, "property": "in quotation marks"}
    measured = {"correlation": 0.9, "data": "some text", "num_tokens": 1000}
    return Find.model_validate(fields | measured)


def test_finds_are_shown_by_default() -> None:
    manifest = manifest_with(
        make_find("0.forward", 17, "cell"), make_find("0.backward", 2, "hidden")
    )

    assert choose_units(manifest, ALL) == [
        Unit("0.forward", 17, "cell"),
        Unit("0.backward", 2, "hidden"),
    ]
    assert choose_units(manifest, StatesOptions(("0.backward",))) == [
        Unit("0.backward", 2, "hidden")
    ]
    assert choose_units(manifest, StatesOptions(units=(1,))) == [
        Unit("0.forward", 1, "hidden"),
        Unit("0.backward", 1, "hidden"),
    ]


def test_first_units_are_shown_if_nothing_was_found() -> None:
    assert choose_units(manifest_with(), ALL) == [
        *(Unit("0.forward", unit, "hidden") for unit in range(NUM_DEFAULT_UNITS)),
        *(Unit("0.backward", unit, "hidden") for unit in range(4)),
    ]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (StatesOptions(("2",)), "no layer of that name; send some of 0.forward, 0.backward"),
        (StatesOptions(units=(3, 4)), "no unit 4 .*send units from 0 to 3"),
        (StatesOptions(values=("cell",)), "layer 0.backward .* has no cell values; send hidden"),
    ],
)
def test_what_is_not_there_is_named(asked: StatesOptions, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        choose_units(manifest_with(), asked)


def test_model_without_states_says_so() -> None:
    with pytest.raises(InvalidInput, match="does not show its states"):
        choose_units(make_manifest(), ALL)
