"""Translation: text -> sentences -> ids -> submit -> text, with timings. Knows no HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import chain

from service.answers import (
    Delta,
    Detection,
    Language,
    Started,
    StreamEvent,
    TranslateAnswer,
    TranslateOptions,
    Translation,
)
from service.engine.batch import Result, SearchOptions, TokenSequence
from service.errors import (
    InputTooLong,
    InvalidInput,
)
from service.pipeline.intake import (
    check_texts,
    detect_languages,
    observe_tokens,
    offload,
)
from service.pipeline.states import StatesPlan, choose_units
from service.pipeline.submission import ModelBatch, Submission, group_by_model, name_models
from service.pipeline.task_pipeline import TaskPipeline
from service.pipeline.translation.documents import Document, Passage, assemble, parse_text, segment
from service.pipeline.translation.pivot import (
    Found,
    Stretch,
    choose_ways,
    cut_stretches,
    join_answers,
    whole_stretch,
)
from service.pipeline.translation.reader import make_reader
from service.pipeline.translation.source_tokens import list_readings
from service.pipeline.translation.streaming import GrowingTexts
from service.repository.registry import Leg, ServedModel
from service.text.languages import detection
from service.text.languages.names import display_name, match_code
from service.text.levels.speech_level import Level
from service.text.levels.suggestions import suggest_level
from service.text.markup import Node
from service.text.masking.latin_names import find_latin_names
from service.text.masking.terms import Terms

AUTO = "auto"
UNREAD_REMEDY = "name the source if the text is in one of these"
# A text of many sentences would else make an answer of hundreds of megabytes from a small body.
MAX_ATTENTION_WEIGHTS = 500_000


@dataclass(frozen=True)
class TranslationJob:
    """Texts on their way through the translators.

    Attributes:
        terms: those whose translations are given.
        work: the sequences of all documents by model.
        states: those to be shown, by index of the texts that a model reads.
        onward: the second half of the way, by index of the texts that take one.
        model_names, model_versions: of the models that will answer, comma-separated.
        deadline, arrived_at, encoded_at: monotonic seconds.
    """

    texts: Sequence[str]
    options: TranslateOptions
    terms: Terms
    documents: list[Document]
    served: list[ServedModel | None]
    work: list[ModelBatch]
    states: dict[int, StatesPlan]
    onward: dict[int, Leg]
    model_names: str
    model_versions: str
    deadline: float
    arrived_at: float
    encoded_at: float

    def find_names(self) -> dict[str, str]:
        """Names in the texts that go onward, with their translations out of the first language."""
        return {
            text[each.start : each.end]: each.translation
            for index in self.onward
            for text, reader in [(self.texts[index], self.documents[index].reader)]
            if reader
            for each in find_latin_names(text, reader.source, self.options.target)
        }

    def suggest_levels(self) -> dict[int, Level | None]:
        """The levels that the texts that go onward ask for."""
        return {
            index: suggest_level(self.texts[index], reader.source)
            for index in self.onward
            if (reader := self.documents[index].reader)
        }

    def select(self, deltas: Iterable[Delta]) -> list[Delta]:
        """Leaves out text in the pivot language."""
        return [delta for delta in deltas if delta.index not in self.onward]


class TranslatePipeline(TaskPipeline):
    """Translates texts with the translators of a registry, and names their languages."""

    tasks = ("translation",)

    async def translate(
        self, texts: Sequence[str], options: TranslateOptions, deadline: float
    ) -> TranslateAnswer:
        """Translations of each text; long texts are cut into sentences, which run as one batch.

        Args:
            texts: one or more.
            options: see `TranslateOptions`.
            deadline: monotonic seconds.

        Raises:
            What `open_job` and `answer_job` raise.
        """
        return await self.answer_job(await self.open_job(texts, options, deadline))

    async def open_job(
        self, texts: Sequence[str], options: TranslateOptions, deadline: float
    ) -> TranslationJob:
        """Checks texts and options, cuts and encodes; nothing is submitted yet.

        Raises:
            EmptyInput, InputTooLong, InvalidInput, ModelNotFound, DeadlineExceeded.
            Overloaded: the queue of the second half of the way is too slow.
        """
        # among others a blank text comes back as it is, so that lists need no sorting out
        check_texts(texts, self._settings, may_be_blank=any(map(str.strip, texts)))
        self._check_terms(options)
        options = self._resolve_codes(options)
        if options.rerank is None and not self._settings.rerank:
            options = replace(options, rerank=False)
        return await self._open_texts(texts, options, self._find_terms(options), deadline)

    async def _open_texts(
        self,
        texts: Sequence[str],
        options: TranslateOptions,
        terms: Terms,
        deadline: float,
        suggested: Sequence[Level | None] = (),
    ) -> TranslationJob:
        arrived_at = self._clock()
        like = TokenSequence([], arrived_at, deadline, self._choose_search(options))

        def open_documents() -> list[tuple[Document, list[Leg]]]:
            parsed = [parse_text(text, options.text_format) for text in texts]
            detections = (
                self._detect_sources(parsed) if options.source == AUTO else [None] * len(texts)
            )
            levels = suggested or [None] * len(texts)
            opened = []
            for index, each in enumerate(zip(texts, parsed, detections, levels, strict=True)):
                try:
                    opened.append(self._open_document(*each, options, like, terms))
                except InputTooLong as exc:
                    raise InputTooLong(name_text(exc, index, len(texts))) from exc
            return opened

        opened = await offload(texts, open_documents, deadline - arrived_at)
        work = group_by_model(
            (legs[0].served, document.sequences) for document, legs in opened if legs
        )
        onward = {index: legs[1] for index, (_, legs) in enumerate(opened) if len(legs) > 1}
        check_onward(onward.values(), options)
        if options.attention:
            check_attention(work)
        documents = [document for document, _ in opened]
        states = self._plan_states(texts, opened, options)
        served = [legs[0].served if legs else None for _, legs in opened]
        times = (deadline, arrived_at, self._clock())
        second_work = [ModelBatch(leg.served, []) for leg in onward.values()]
        names = name_models(group_by_model((part.served, []) for part in [*work, *second_work]))
        return TranslationJob(
            texts, options, terms, documents, served, work, states, onward, *names, *times
        )

    async def answer_job(self, job: TranslationJob) -> TranslateAnswer:
        """Has the models of a job translate its texts.

        Raises:
            Overloaded, DeadlineExceeded, InferenceFailed, ModelNotReady.
        """
        results = await self._run_job(job)
        answer = await self._assemble_answer(job, results, [None] * len(job.documents))
        if job.onward:
            stretches = await self._cut_onward(job, results, answer, self._count_ways(job))
            answer = await self._answer_onward(job, stretches, answer)
        return keep_unsure(answer, job)

    async def _run_job(self, job: TranslationJob) -> dict[TokenSequence, Result]:
        """What the models make of a job's sentences, in a second reading where it takes one."""
        with Submission(job.work, job.deadline, self._clock) as submission:
            results = await submission.results()
            for document, served in zip(job.documents, job.served, strict=True):
                submit_again(submission, served, document.read_all_again(results))
            results = await submission.results()
            levelled = await offload(
                job.texts, lambda: [document.level_all(results) for document in job.documents]
            )
            for served, again in zip(job.served, levelled, strict=True):
                submit_again(submission, served, again)
            results = await submission.results()
        observe_tokens(submission.work, results, self._metrics)
        return results

    async def stream_job(self, job: TranslationJob) -> AsyncGenerator[StreamEvent, None]:
        """Like `answer_job`, but the text comes as it becomes certain.

        The first item tells that the job is admitted, the last one is the answer; the text between
        them, put together, is the answer's.

        Raises:
            As `answer_job` does; Overloaded before the first item.
        """
        growing = GrowingTexts(job.documents, job.options.text_format)
        events: asyncio.Queue[tuple[TokenSequence, list[int] | None]] = asyncio.Queue()
        if job.options.text_format == "text":
            listen(growing.sequences, events)
        with Submission(job.work, job.deadline, self._clock) as submission:
            submission.call_when_done(lambda sequence: events.put_nowait((sequence, None)))
            await submission.settle()
            yield Started(job.model_names, job.model_versions)
            for delta in job.select(growing.take_deltas()):
                yield delta
            while growing.num_unfinished:
                sequence, token_ids = await events.get()
                if token_ids is None:
                    again = growing.finish(sequence, submission.result(sequence))
                    submit_again(submission, job.served[growing.index_of(sequence)], again)
                else:
                    growing.add_tokens(sequence, token_ids)
                for delta in job.select(growing.take_deltas()):
                    yield delta
            results = await submission.results()
        observe_tokens(submission.work, results, self._metrics)
        answer = await self._assemble_answer(job, results, growing.texts)
        if job.onward:
            async with aclosing(self._stream_onward(job, results, answer)) as second_half:
                async for event in second_half:
                    yield event
        else:
            yield answer

    async def _cut_onward(
        self,
        job: TranslationJob,
        results: Mapping[TokenSequence, Result],
        answer: TranslateAnswer,
        max_ways: int,
    ) -> list[list[Stretch]]:
        """The stretches of each text that goes on from the pivot language."""
        if max_ways == 1:
            return [[whole_stretch(answer.translations[index])] for index in job.onward]

        def cut_all() -> list[list[Stretch]]:
            return [cut_stretches(job.documents[index], results, max_ways) for index in job.onward]

        return await offload(job.texts, cut_all)

    def _count_ways(self, job: TranslationJob) -> int:
        """The translations of a sentence that go on; one if the best could not be told, or sent."""
        manifests = [
            served.manifest
            for index, leg in job.onward.items()
            for served in (job.served[index], leg.served)
            if served
        ]
        can_tell = job.options.rerank is not False and all(each.has_scorer for each in manifests)
        if not can_tell or job.options.text_format != "text":
            return 1
        num_sentences = sum(len(job.documents[index].sequences) for index in job.onward)
        fitting = self._settings.max_queue_size // 2 // max(1, num_sentences)
        return max(1, min(self._settings.pivot_candidates, fitting))

    async def _answer_onward(
        self, job: TranslationJob, stretches: list[list[Stretch]], answer: TranslateAnswer
    ) -> TranslateAnswer:
        """The answer to all texts, some of which go on by the best of their ways."""
        second = await self._open_onward(job, stretches)
        results = await self._run_job(second)

        def choose_all() -> list[list[Found]]:
            return choose_ways(stretches, second.documents, results, second.options)

        found = await offload(second.texts, choose_all)
        timings = self._observe_stages(second, results)
        return join_answers(answer, job.onward, stretches, found, timings)

    async def _open_onward(
        self, job: TranslationJob, stretches: list[list[Stretch]]
    ) -> TranslationJob:
        """The job of all ways, by the same deadline."""
        ways = [
            (index, way)
            for index, each in zip(job.onward, stretches, strict=True)
            for stretch in each
            for way in stretch.ways
        ]
        texts = [way.text for _, way in ways]
        names, levels = await offload(job.texts, lambda: (job.find_names(), job.suggest_levels()))
        suggested = [levels.get(index) for index, _ in ways]
        options = replace(
            job.options,
            source=self._settings.pivot_language,
            min_score=0.0,
            states=None,
        )
        kept = {given: given for given in job.terms.translations.values()}
        return await self._open_texts(texts, options, Terms(names | kept), job.deadline, suggested)

    async def _stream_onward(
        self,
        job: TranslationJob,
        results: Mapping[TokenSequence, Result],
        answer: TranslateAnswer,
    ) -> AsyncGenerator[StreamEvent, None]:
        """The second half of a stream; where there are ways to choose from, each text at once."""
        indices, max_ways = list(job.onward), self._count_ways(job)
        stretches = await self._cut_onward(job, results, answer, max_ways)
        if max_ways > 1:
            joined = await self._answer_onward(job, stretches, answer)
            for index in indices:
                yield Delta(index, joined.translations[index].text)
            yield joined
            return
        second = await self._open_onward(job, stretches)
        async with aclosing(self.stream_job(second)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    yield replace(event, index=indices[event.index])
                elif isinstance(event, TranslateAnswer):
                    ends = zip(stretches, event.translations, strict=True)
                    found = [[(each[0].ways[0], end)] for each, end in ends]
                    yield join_answers(answer, job.onward, stretches, found, event.timings)

    def languages(self) -> list[Language]:
        """Source languages with their targets."""
        targets: dict[str, list[str]] = {}
        for source, target in self._registry.directions():
            targets.setdefault(source, []).append(target)
        return [
            Language(code, display_name(code), sorted({code, *found}))
            for code, found in targets.items()
        ]

    def detect(self, text: str) -> list[Detection]:
        """Likely languages of a text, best first: those served, and others that it may be in."""
        check_texts([text], self._settings)
        found = detection.detect(text, self._source_codes())
        return [Detection(code, confidence) for code, confidence in found]

    def _source_codes(self) -> list[str]:
        codes = [language.code for language in self.languages()]
        return codes or self._registry.classified_languages()

    async def _assemble_answer(
        self,
        job: TranslationJob,
        results: Mapping[TokenSequence, Result],
        known: Sequence[str | None],
    ) -> TranslateAnswer:
        """The answer of a job that is done; `known` are the translations that were streamed."""

        def assemble_all() -> list[Translation]:
            return [
                assemble(document, results, job.options, text)
                for document, text in zip(job.documents, known, strict=True)
            ]

        translations = await offload(job.texts, assemble_all)
        if job.options.states:
            translations = [
                replace(found, states=await self._states.read(job.states.get(index), job.deadline))
                for index, found in enumerate(translations)
            ]
        timings = self._observe_stages(job, results)
        return TranslateAnswer(job.model_names, job.model_versions, timings, translations)

    def _plan_states(
        self,
        texts: Sequence[str],
        opened: Sequence[tuple[Document, list[Leg]]],
        options: TranslateOptions,
    ) -> dict[int, StatesPlan]:
        """The states that are to be shown, by index of the texts that a model reads.

        Raises:
            InvalidInput: the texts are HTML, or a model does not show these.
            InputTooLong: together they are too many.
        """
        if options.states is None:
            return {}
        if options.text_format == "html":
            raise InvalidInput("states are shown of plain text; send the text without markup")
        plans = {
            index: StatesPlan(
                legs[0].served,
                choose_units(legs[0].served.manifest, options.states),
                list_readings(document, texts[index]),
            )
            for index, (document, legs) in enumerate(opened)
            if legs
        }
        self._states.check(sum(plan.num_values for plan in plans.values()))
        return plans

    def _resolve_codes(self, options: TranslateOptions) -> TranslateOptions:
        """The options with codes as the models spell them."""
        codes = list(dict.fromkeys(chain.from_iterable(self._registry.pairs())))
        source = match_code(options.source, [AUTO, *codes])
        target = match_code(options.target, codes)
        if (source, target) == (options.source, options.target):
            return options
        return replace(options, source=source, target=target)

    def _check_terms(self, options: TranslateOptions) -> None:
        limit = self._settings.max_terms
        if len(options.terms) > limit:
            raise InvalidInput(
                f"keep and glossary have {len(options.terms)} terms, above the limit of {limit}; "
                "send those that the text has"
            )

    def _find_terms(self, options: TranslateOptions) -> Terms:
        """The terms of a request, and those of the glossary that it names.

        Raises:
            InvalidInput: a glossary is named, but no source.
            GlossaryNotFound: no glossary of that name has the direction.
        """
        if not options.glossary:
            return Terms(options.terms)
        glossary = self._registry.glossaries.find(options.glossary)
        if options.source == AUTO:
            raise InvalidInput(
                f"glossary is {options.glossary!r}, and source is {AUTO}; name the source, since a "
                "glossary is for a direction"
            )
        named = glossary.find_terms(options.source, options.target)
        return Terms({**named.translations, **options.terms}) if options.terms else named

    def _choose_search(self, options: TranslateOptions) -> SearchOptions:
        settings = self._settings
        # the beams of one sentence must fit the engine together
        max_beam_size = min(settings.max_beam_size, settings.max_batch_size)
        beam_size = options.beam_size or min(settings.default_beam_size, max_beam_size)
        max_new_tokens = options.max_new_tokens or settings.max_new_tokens
        max_alternatives = min(settings.max_alternatives, max_beam_size - 1)
        for name, value, limit in (
            ("alternatives", options.alternatives, max_alternatives),
            ("beam_size", beam_size, max_beam_size),
            ("max_new_tokens", max_new_tokens, settings.max_new_tokens),
        ):
            if value > limit:
                raise InvalidInput(f"{name} is {value}, above the limit of {limit}; ask for less")
        return SearchOptions(
            max(beam_size, options.alternatives + 1), max_new_tokens, options.attention
        )

    def _open_document(
        self,
        text: str,
        nodes: list[Node],
        detection: Detection | None,
        level: Level | None,
        options: TranslateOptions,
        like: TokenSequence,
        terms: Terms,
    ) -> tuple[Document, list[Leg]]:
        """Cuts a text into requests with the times and options of `like`, and finds its way.

        It suggests a level itself if none is given.
        """
        source = detection.language if detection else options.source
        if source == options.target and any(source in pair for pair in self._registry.pairs()):
            return Document(None, detection, [Passage(Node(text, False, text), [])]), []
        legs = self._registry.find_route(source, options.target)
        first, *onward = legs
        if onward:  # what is asked of the translation is asked of the second half
            options = replace(options, target=first.target, formality="default")
        level = level or suggest_level(text, source)
        reader = make_reader(first.served.model, source, options, like, terms, level)
        return Document(reader, detection, segment(nodes, reader)), legs

    def _detect_sources(self, parsed: Sequence[Sequence[Node]]) -> list[Detection]:
        # the names of tags are not English
        texts = [" ".join(node.text for node in nodes if node.is_text) for nodes in parsed]
        return detect_languages(texts, self._source_codes(), UNREAD_REMEDY)


def name_text(error: InputTooLong, index: int, num_texts: int) -> str:
    """What is wrong, and with which text if there are several."""
    return str(error) if num_texts == 1 else f"text {index} of {num_texts}: {error}"


def submit_again(
    submission: Submission, served: ServedModel | None, sequences: list[TokenSequence]
) -> None:
    """Submits what the sentences of one text are read as in a second attempt, if any are."""
    if served and sequences:
        submission.add(served, sequences)


def keep_unsure(answer: TranslateAnswer, job: TranslationJob) -> TranslateAnswer:
    """The answer with the sources of the texts whose scores are below the one asked for."""
    wanted = job.options.min_score
    if not wanted:
        return answer
    translations = [
        found
        if found.score is None or found.score >= wanted
        else replace(found, text=text, is_unsure=True)
        for found, text in zip(answer.translations, job.texts, strict=True)
    ]
    return replace(answer, translations=translations)


def listen(
    sequences: Iterable[TokenSequence],
    events: "asyncio.Queue[tuple[TokenSequence, list[int] | None]]",
) -> None:
    """Has the token ids of requests put into a queue as they come from the engine's thread."""
    loop = asyncio.get_running_loop()
    for sequence in sequences:

        def tell(token_ids: list[int], sequence: TokenSequence = sequence) -> None:
            loop.call_soon_threadsafe(events.put_nowait, (sequence, token_ids))

        sequence.on_tokens = tell


def check_onward(legs: Iterable[Leg], options: TranslateOptions) -> None:
    """Refuses early what the second half of the way could not do.

    Raises:
        InvalidInput: the attention is asked for, which does not go from the source to the target.
        Overloaded: the queue of its model is too slow.
    """
    for leg in legs:
        if options.attention:
            raise InvalidInput(
                f"no single model translates to {leg.target}, so that there is no attention from "
                f"the source; leave `attention` out, or translate to {leg.source} first"
            )
        leg.served.batcher.forecast().admit()


def check_attention(work: Sequence[ModelBatch]) -> None:
    """Refuses what could have too many attention weights.

    Raises:
        InputTooLong: together the sentences are too long.
    """
    num_weights = 0
    for part in work:
        for sequence in part.sequences:
            assert sequence.search is not None
            num_weights += sequence.num_tokens * sequence.search.max_new_tokens
    if num_weights > MAX_ATTENTION_WEIGHTS:
        raise InputTooLong(
            f"the attention would have up to {num_weights} weights, above the limit of "
            f"{MAX_ATTENTION_WEIGHTS}; send less text at a time, a lower max_new_tokens, or no "
            "`attention`"
        )
