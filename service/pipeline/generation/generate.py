"""Generation: prompt -> ids -> submit -> tokens -> text, with timings. Knows no HTTP."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.answers import (
    GenerateAnswer,
    GeneratedText,
    GeneratedToken,
    GenerateEvent,
    GenerateOptions,
    Prompt,
    Started,
    StateToken,
    TokenDelta,
)
from service.engine.batch import Generation, Result, SamplingOptions, TokenSequence
from service.errors import InputTooLong, InvalidInput
from service.pipeline.generation.growing_text import GrowingText
from service.pipeline.generation.prompts import choose_generator, encode_condition, encode_prompt
from service.pipeline.intake import check_texts, offload
from service.pipeline.states import Reading, StatesPlan, Unit, choose_units, make_tokens
from service.pipeline.submission import ModelBatch, Submission
from service.pipeline.task_pipeline import TaskPipeline
from service.repository.manifest import GENERATIVE
from service.repository.registry import ServedModel

# What a seed is drawn from if the client gives none: short enough for JavaScript's numbers.
SEED_BITS = 32


@dataclass(frozen=True)
class Text:
    """One text on its way.

    Attributes:
        index: of the text in the answer.
        growing: what is known of it, if anyone listens.
    """

    index: int
    prompt: str
    sequence: TokenSequence
    growing: GrowingText

    @property
    def sampling(self) -> SamplingOptions:
        assert self.sequence.sampling is not None
        return self.sequence.sampling

    @property
    def max_tokens(self) -> int:
        """Of prompt and text."""
        return self.sequence.num_tokens - 1 + self.sampling.max_new_tokens


@dataclass(frozen=True)
class GenerationJob:
    """Prompts on their way through a language model.

    Attributes:
        units: those whose states are shown.
        texts: those of the first prompt, then those of the second, and so on.
        deadline, arrived_at, encoded_at: monotonic seconds.
    """

    options: GenerateOptions
    served: ServedModel
    units: list[Unit]
    texts: list[Text]
    deadline: float
    arrived_at: float
    encoded_at: float

    def open_growing(self) -> GrowingText:
        """A text without tokens yet."""
        return open_growing(self.served, self.options)

    @property
    def work(self) -> list[ModelBatch]:
        return [ModelBatch(self.served, [text.sequence for text in self.texts])]

    @property
    def model_names(self) -> str:
        return self.served.manifest.name

    @property
    def model_versions(self) -> str:
        return self.served.manifest.version


class GeneratePipeline(TaskPipeline):
    """Goes on from prompts, or answers them, with the models of a registry that write texts."""

    tasks = GENERATIVE

    async def generate(
        self, prompts: Sequence[Prompt], options: GenerateOptions, deadline: float
    ) -> GenerateAnswer:
        """Texts that go on from each prompt.

        Args:
            prompts: one or more.
            options: see `GenerateOptions`.
            deadline: monotonic seconds.

        Raises:
            What `open_job` and `answer_job` raise.
        """
        return await self.answer_job(await self.open_job(prompts, options, deadline))

    async def open_job(
        self, prompts: Sequence[Prompt], options: GenerateOptions, deadline: float
    ) -> GenerationJob:
        """Checks prompts and options, chooses the model, encodes; nothing is submitted yet.

        Raises:
            EmptyInput, InputTooLong, InvalidInput, ModelNotFound, DeadlineExceeded.
        """
        arrived_at = self._clock()
        check_texts([prompt.text for prompt in prompts], self._settings, may_be_blank=True)
        self._check_options(options, len(prompts))
        served = choose_generator(self._registry, options.model, prompts)
        sampling = self._choose_sampling(options, served)

        def encode_prompts() -> list[Text]:
            return [
                text
                for number, prompt in enumerate(prompts)
                for text in open_texts(
                    served,
                    prompt,
                    options,
                    sampling,
                    number * options.num_texts,
                    (arrived_at, deadline),
                )
            ]

        units = choose_units(served.manifest, options.states) if options.states else []
        texts = await offload(
            [prompt.text for prompt in prompts], encode_prompts, deadline - arrived_at
        )
        self._states.check(len(units) * sum(text.max_tokens for text in texts))
        return GenerationJob(options, served, units, texts, deadline, arrived_at, self._clock())

    async def answer_job(self, job: GenerationJob) -> GenerateAnswer:
        """Has the model of a job generate its texts.

        Raises:
            Overloaded, DeadlineExceeded, InferenceFailed, ModelNotReady.
        """
        if job.options.stop:
            for text in job.texts:
                text.sequence.on_token = watch_stop(text.growing)
        with Submission(job.work, job.deadline, self._clock) as submission:
            results = await submission.results()
        finished = [
            await self._finish(job, text, read_generation(results[text.sequence]))
            for text in job.texts
        ]
        return self._answer(job, results, finished)

    async def stream_job(self, job: GenerationJob) -> AsyncGenerator[GenerateEvent, None]:
        """Like `answer_job`, but token by token.

        The first item tells that the job is admitted, the last one is the answer.

        Raises:
            As `answer_job` does; Overloaded before the first item.
        """
        events: asyncio.Queue[Heard] = asyncio.Queue()
        by_sequence = {text.sequence: text for text in job.texts}
        for text in job.texts:
            text.sequence.on_token = TokenListener(text, events)
        last: dict[int, GeneratedToken] = {}
        finished: dict[int, GeneratedText] = {}
        with Submission(job.work, job.deadline, self._clock) as submission:
            submission.call_when_done(
                lambda sequence: events.put_nowait(Heard(by_sequence[sequence]))
            )
            await submission.settle()
            yield Started(job.model_names, job.model_versions)
            while len(finished) < len(job.texts):
                heard = await events.get()
                text, index = heard.text, heard.text.index
                if heard.token is None:
                    generation = read_generation(submission.result(text.sequence))
                    token = close_tokens(job, text.growing, generation, last.get(index))
                    finished[index] = await self._finish(job, text, generation)
                    position = len(generation.log_probabilities) - 1
                    yield TokenDelta(index, position, token, finished[index])
                elif heard.is_last:
                    last[index] = heard.token  # it waits for the result, which is on its way
                else:
                    yield TokenDelta(index, heard.position, heard.token)
            results = await submission.results()
        yield self._answer(job, results, [finished[text.index] for text in job.texts])

    async def _finish(
        self, job: GenerationJob, text: Text, generation: Generation
    ) -> GeneratedText:
        """The whole text, with its states if they were asked for."""
        finished = finish_text(job, text, generation)
        if not job.options.states:
            return finished
        plan = StatesPlan(job.served, job.units, [read_again(job, text, generation)])
        return replace(finished, states=await self._states.read(plan, job.deadline))

    def _answer(
        self,
        job: GenerationJob,
        results: Mapping[TokenSequence, Result],
        texts: list[GeneratedText],
    ) -> GenerateAnswer:
        timings = self._observe(job, results)
        return GenerateAnswer(job.model_names, job.model_versions, timings, texts)

    def _check_options(self, options: GenerateOptions, num_prompts: int) -> None:
        settings = self._settings
        for what, value, limit in (
            ("stop strings", len(options.stop), settings.max_stop_strings),
            ("texts for one prompt", options.num_texts, settings.max_return_sequences),
        ):
            if value > limit:
                raise InvalidInput(f"{value} {what} are above the limit of {limit}; ask for fewer")
        num_texts = num_prompts * options.num_texts
        if num_texts > settings.max_texts:
            raise InputTooLong(
                f"{num_prompts} prompts with {options.num_texts} texts each are {num_texts}, above "
                f"the limit of {settings.max_texts} per request; send fewer"
            )

    def _choose_sampling(self, options: GenerateOptions, served: ServedModel) -> SamplingOptions:
        limit = min(self._settings.max_generated_tokens, served.manifest.limits.max_new_tokens)
        default = min(self._settings.default_generated_tokens, limit)
        max_new_tokens = default if options.max_new_tokens is None else options.max_new_tokens
        if max_new_tokens > limit:
            raise InvalidInput(
                f"{max_new_tokens} new tokens are above the limit of {limit} of model "
                f"{served.manifest.name}; ask for less"
            )
        return SamplingOptions(
            max_new_tokens,
            options.temperature,
            options.top_k,
            options.top_p,
            options.repetition_penalty,
        )


@dataclass(frozen=True)
class Heard:
    """A token of a text from the engine; none once the engine is done with the text.

    Attributes:
        is_last: the text ends with it.
    """

    text: Text
    token: GeneratedToken | None = None
    position: int = 0
    is_last: bool = False


class TokenListener:
    """Puts the tokens of one text into a queue as they come from the engine's thread."""

    def __init__(self, text: Text, events: asyncio.Queue[Heard]) -> None:
        self._text, self._events = text, events
        self._loop = asyncio.get_running_loop()
        self._num_heard = 0

    def __call__(self, token_id: int, log_probability: float) -> bool:
        growing, position = self._text.growing, self._num_heard
        token = GeneratedToken(token_id, growing.add(token_id), log_probability)
        self._num_heard += 1
        is_last = growing.is_stopped or self._num_heard == self._text.sampling.max_new_tokens
        heard = Heard(self._text, token, position, is_last)
        self._loop.call_soon_threadsafe(self._events.put_nowait, heard)
        return growing.is_stopped


def watch_stop(growing: GrowingText) -> Callable[[int, float], bool]:
    """Ends a text on the engine's thread once it has come to a stop string."""

    def listen(token_id: int, _: float) -> bool:
        growing.add(token_id)
        return growing.is_stopped

    return listen


def open_texts(
    served: ServedModel,
    prompt: Prompt,
    options: GenerateOptions,
    sampling: SamplingOptions,
    first_index: int,
    times: tuple[float, float],
) -> list[Text]:
    """The texts of one prompt; with the same seed the same, whatever other prompts there are.

    Raises:
        InputTooLong: the prompt has more tokens than the model reads.
    """
    input_ids = encode_prompt(served, prompt.text, options)
    features = encode_condition(prompt, served.manifest)
    seed = random.getrandbits(SEED_BITS) if options.seed is None else options.seed
    return [
        Text(
            first_index + number,
            prompt.text,
            TokenSequence(
                input_ids,
                *times,
                sampling=replace(sampling, seed=seed, index=number),
                features=features,
            ),
            open_growing(served, options),
        )
        for number in range(options.num_texts)
    ]


def open_growing(served: ServedModel, options: GenerateOptions) -> GrowingText:
    return GrowingText(served.model.tokenizer, options.stop, keeps_stop=options.keeps_stop)


def read_generation(result: Result) -> Generation:
    assert isinstance(result, Generation), "a language model answers with texts"
    return result


def list_tokens(job: GenerationJob, generation: Generation) -> list[GeneratedToken]:
    """The tokens of a text, as they would have been streamed."""
    growing = job.open_growing()
    tokens = [
        GeneratedToken(token_id, growing.add(token_id), log_probability)
        for token_id, log_probability in zip(
            generation.token_ids, generation.log_probabilities, strict=False
        )
    ]
    last = close_tokens(job, growing, generation, tokens[-1] if tokens else None)
    return [*tokens, last] if last.is_special else [*tokens[:-1], last]


def read_again(job: GenerationJob, text: Text, generation: Generation) -> Reading:
    """Prompt and text as the model reads them, or the prompt alone if the model answers it."""
    num_prompt_tokens = text.sequence.num_tokens - 1  # its bos or eos is not a token of the text
    spans = job.served.model.tokenizer.spans(text.prompt)
    tokens = make_tokens(text.prompt, spans[len(spans) - num_prompt_tokens :])
    if not job.served.manifest.goes_on:
        return Reading(text.sequence.input_ids, tokens)
    end = len(text.prompt)
    for token in list_tokens(job, generation)[: len(generation.token_ids)]:
        start, end = end, end + len(token.text)
        tokens.append(StateToken(token.text, start, end))
    input_ids = [*text.sequence.input_ids, *generation.token_ids]
    return Reading(input_ids, tokens, 1, text.sequence.features)


def close_tokens(
    job: GenerationJob, growing: GrowingText, generation: Generation, last: GeneratedToken | None
) -> GeneratedToken:
    """The last token of a text, with what was not certain of the text before: eos, or `last`."""
    rest = growing.finish(generation.token_ids)
    if generation.end == "eos":
        eos_id = job.served.manifest.ids.eos_id
        assert eos_id is not None
        return GeneratedToken(eos_id, rest, generation.log_probabilities[-1], is_special=True)
    assert last is not None, "a text without eos has a token"
    return replace(last, text=last.text + rest)


def finish_text(job: GenerationJob, text: Text, generation: Generation) -> GeneratedText:
    """The whole text."""
    tokens = list_tokens(job, generation) if job.options.details else []
    text.growing.finish(generation.token_ids)
    return GeneratedText(
        text.prompt,
        text.growing.text,
        "stop" if text.growing.is_stopped else generation.end,
        text.sampling.seed,
        text.sequence.num_tokens - 1,
        len(generation.log_probabilities),
        tokens,
    )
