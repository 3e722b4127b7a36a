"""Generation over real models with random weights."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from service.answers import (
    GenerateAnswer,
    GeneratedText,
    GenerateOptions,
    Prompt,
    Started,
    TokenDelta,
)
from service.errors import (
    DeadlineExceeded,
    InputTooLong,
    InvalidInput,
    ModelNotFound,
    ServingError,
)
from service.pipeline.generation.generate import GeneratePipeline
from service.repository.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.fakes import make_metrics, read_metric

LSTM, GRU = "tiny-language-lstm", "tiny-language-gru"
DRAWN = GenerateOptions(temperature=1.0, seed=5, max_new_tokens=30)


@dataclass
class Languages:
    pipeline: GeneratePipeline
    registry: Registry
    metrics: Metrics

    async def ask(
        self, text: str, options: GenerateOptions, label: str | None = None
    ) -> GeneratedText:
        (found,) = (await self.ask_all([Prompt(text, label)], options)).texts
        return found

    async def ask_all(
        self, prompts: list[Prompt], options: GenerateOptions, seconds: float = 60.0
    ) -> GenerateAnswer:
        return await self.pipeline.generate(prompts, options, time.monotonic() + seconds)

    async def stream(
        self, prompts: list[Prompt], options: GenerateOptions
    ) -> tuple[list[TokenDelta], GenerateAnswer]:
        job = await self.pipeline.open_job(prompts, options, time.monotonic() + 60.0)
        first, *deltas, answer = [event async for event in self.pipeline.stream_job(job)]
        assert isinstance(first, Started)
        assert isinstance(answer, GenerateAnswer)
        return [delta for delta in deltas if isinstance(delta, TokenDelta)], answer


@pytest.fixture
async def languages(tiny_languages: Path) -> AsyncIterator[Languages]:
    fields = {"models_dir": tiny_languages, "device": "cpu", "max_batch_size": 8}
    settings, metrics = Settings.model_validate(fields), make_metrics()
    registry = Registry(settings, metrics)
    await registry.start()
    yield Languages(GeneratePipeline(registry, settings, metrics), registry, metrics)
    await registry.stop()


async def test_a_text_goes_on_from_its_prompt(languages: Languages) -> None:
    greedy = GenerateOptions(max_new_tokens=20)

    first = await languages.ask("the cat", greedy)
    again = await languages.ask("the cat", greedy)
    other = await languages.ask("A", greedy)

    assert first.text == again.text != other.text
    assert (first.prompt, first.num_prompt_tokens, first.num_tokens) == ("the cat", 5, 20)
    assert first.finish == "length"


async def test_a_seed_gives_the_same_text_in_any_company(languages: Languages) -> None:
    prompts = [Prompt(text) for text in ("the cat", "", "A and the", "b", "the cat")]

    together = (await languages.ask_all(prompts, DRAWN)).texts
    alone = [await languages.ask(prompt.text, DRAWN) for prompt in prompts]

    assert together == alone
    assert together[0] == together[4]


async def test_the_texts_of_a_prompt_differ_and_the_first_is_that_of_a_single_one(
    languages: Languages,
) -> None:
    several = (await languages.ask_all([Prompt("A")], replace(DRAWN, num_texts=4))).texts

    assert len({text.text for text in several}) == 4
    assert several[0] == await languages.ask("A", DRAWN)


async def test_without_a_seed_each_text_is_drawn_anew(languages: Languages) -> None:
    options = replace(DRAWN, seed=None)

    texts = (await languages.ask_all([Prompt("A"), Prompt("A")], options)).texts

    assert texts[0].text != texts[1].text
    assert await languages.ask("A", replace(options, seed=texts[1].seed)) == texts[1]


@pytest.mark.parametrize("keeps_stop", [False, True])
@pytest.mark.parametrize("stop", [(), ("an", "E"), ("q\u00e9z",), ("y",), (" ",)])
async def test_streaming_gives_what_a_whole_answer_does(
    languages: Languages, stop: tuple[str, ...], keeps_stop: bool
) -> None:
    options = replace(DRAWN, stop=stop, keeps_stop=keeps_stop, details=True, num_texts=3)
    prompts = [Prompt("the"), Prompt("A n")]

    whole = await languages.ask_all(prompts, options)
    deltas, streamed = await languages.stream(prompts, options)

    assert streamed.texts == whole.texts
    for index, text in enumerate(whole.texts):
        own = [delta for delta in deltas if delta.index == index]
        assert [delta.token for delta in own] == text.tokens
        assert [delta.position for delta in own] == list(range(text.num_tokens))
        assert [delta.finished for delta in own] == [None] * (len(own) - 1) + [text]
        assert "".join(token.text for token in text.tokens) == text.text


async def test_a_text_ends_at_its_stop_string(languages: Languages) -> None:
    options = replace(DRAWN, max_new_tokens=60)
    whole = await languages.ask("the cat", options)
    stop = whole.text[9:11]  # of two tokens
    place = whole.text.index(stop)

    without = await languages.ask("the cat", replace(options, stop=(stop,)))
    behind = await languages.ask("the cat", replace(options, stop=(stop,), keeps_stop=True))

    assert (without.text, without.finish) == (whole.text[:place], "stop")
    assert (behind.text, behind.finish) == (whole.text[: place + 2], "stop")
    assert without.num_tokens < whole.num_tokens


async def test_a_text_that_its_model_ends_has_eos_for_its_last_token(
    languages: Languages,
) -> None:
    options = replace(DRAWN, num_texts=16, max_new_tokens=100, details=True)

    texts = (await languages.ask_all([Prompt("the cat")], options)).texts

    ended = [text for text in texts if text.finish == "eos"]
    assert ended
    for text in ended:
        assert [token.is_special for token in text.tokens] == [False] * (text.num_tokens - 1) + [
            True
        ]
        assert text.tokens[-1].text == ""


async def test_a_label_chooses_the_model_and_the_text(languages: Languages) -> None:
    options = GenerateOptions(max_new_tokens=20)

    bad, good = [await languages.ask("", options, label) for label in ("negative", "positive")]
    answer = await languages.ask_all([Prompt("A", "positive")], options)

    assert bad.text != good.text
    assert answer.model_name == GRU
    assert (await languages.ask_all([Prompt("A")], options)).model_name == LSTM


async def test_a_prompt_is_read_from_its_end_if_it_may_be_truncated(languages: Languages) -> None:
    options = replace(DRAWN, truncate=3)

    cut = await languages.ask("b" * 500 + "xyz", options)

    assert cut.num_prompt_tokens == 3
    assert cut.text == (await languages.ask("xyz", options)).text


@pytest.mark.parametrize(
    ("prompt", "options", "error", "message"),
    [
        (Prompt("b" * 65), DRAWN, InputTooLong, "65 tokens, above the limit of 64 of model"),
        (Prompt("b" * 100_001), DRAWN, InputTooLong, "100001 characters"),
        (Prompt("b"), replace(DRAWN, max_new_tokens=201), InvalidInput, "201 new .* limit of 200"),
        (Prompt("b"), replace(DRAWN, num_texts=17), InvalidInput, "17 texts .* limit of 16"),
        (Prompt("b"), replace(DRAWN, stop=("x",) * 9), InvalidInput, "9 stop strings .* of 8"),
        (Prompt("b"), replace(DRAWN, model="none"), ModelNotFound, f"there are {GRU}, {LSTM}"),
        (Prompt("b"), replace(DRAWN, model=GRU), InvalidInput, "one of negative, positive"),
        (Prompt("b", "angry"), DRAWN, InvalidInput, "negative, positive; or model"),
    ],
)
async def test_what_is_above_a_limit_is_refused(
    languages: Languages,
    prompt: Prompt,
    options: GenerateOptions,
    error: type[ServingError],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        await languages.ask_all([prompt], options)


async def test_prompts_count_with_their_texts(languages: Languages) -> None:
    with pytest.raises(InputTooLong, match="20 prompts with 16 texts each are 320"):
        await languages.ask_all([Prompt("b")] * 20, replace(DRAWN, num_texts=16))


async def test_a_text_that_is_given_up_frees_its_row(languages: Languages) -> None:
    batcher = languages.registry.find_model(LSTM, "language").batcher
    options = replace(DRAWN, max_new_tokens=200, num_texts=8)
    asking = asyncio.create_task(languages.ask_all([Prompt("")], options))
    for _ in range(5000):
        if read_metric(languages.metrics, "running_sequences", model=LSTM):
            break
        await asyncio.sleep(0.001)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    late = await languages.ask("late", DRAWN)

    assert late.text
    assert batcher.num_pending == 0
    assert read_metric(languages.metrics, "running_sequences", model=LSTM) == 0


async def test_a_deadline_ends_a_text(languages: Languages) -> None:
    with pytest.raises(DeadlineExceeded):
        await languages.ask_all(
            [Prompt("")] * 16, replace(DRAWN, max_new_tokens=200, num_texts=16), 0.01
        )


async def test_tokens_and_stages_are_counted(languages: Languages) -> None:
    answer = await languages.ask_all([Prompt("the cat")], replace(DRAWN, num_texts=2))
    counts = {
        direction: read_metric(languages.metrics, "tokens_total", model=LSTM, direction=direction)
        for direction in ("input", "output")
    }

    written = sum(text.num_tokens - (text.finish == "eos") for text in answer.texts)
    assert counts == {"input": 12, "output": written}  # with bos
    assert answer.timings.inference_seconds > 0.0
