"""Translation: text -> sentences -> ids -> submit -> text, with timings. Knows no HTTP."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.answers import (
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
from service.pipeline.documents import Document, Passage, assemble, parse_text, segment
from service.pipeline.intake import (
    check_texts,
    check_wait,
    detect_language,
    observe_stages,
    offload,
)
from service.pipeline.reader import make_reader
from service.pipeline.streaming import GrowingTexts
from service.pipeline.submission import ModelBatch, Submission, group_by_model, name_models
from service.repository.registry import Registry, ServedModel
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.text import languages
from service.text.markup import Node

# A text of many sentences would else make an answer of hundreds of megabytes from a small body.
MAX_ATTENTION_WEIGHTS = 500_000


@dataclass(frozen=True)
class TranslationJob:
    """Texts on their way through the translators.

    Attributes:
        work: the sequences of all documents by model.
        model_names, model_versions: of the models that will answer, comma-separated.
        deadline, arrived_at, encoded_at: monotonic seconds.
    """

    texts: Sequence[str]
    options: TranslateOptions
    documents: list[Document]
    served: list[ServedModel | None]
    work: list[ModelBatch]
    model_names: str
    model_versions: str
    deadline: float
    arrived_at: float
    encoded_at: float


class TranslatePipeline:
    """Translates texts with the translators of a registry, and names their languages."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._settings = registry, settings
        self._metrics, self._clock = metrics, clock

    def check_wait(self) -> None:
        """Refuses at once, before a body is read, when no model would take a request.

        Raises:
            Overloaded: the queues of all translators are too slow.
        """
        check_wait(self._registry, "translation")

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
        """
        arrived_at = self._clock()
        self._check_terms(options)
        # among others a blank text comes back as it is, so that lists need no sorting out
        check_texts(texts, self._settings, may_be_blank=any(map(str.strip, texts)))
        like = TokenSequence([], arrived_at, deadline, self._choose_search(options))

        def open_documents() -> list[tuple[Document, ServedModel | None]]:
            return [self._open_document(text, options, like) for text in texts]

        opened = await offload(texts, open_documents, deadline - arrived_at)
        work = group_by_model((served, document.sequences) for document, served in opened if served)
        if options.attention:
            check_attention(work)
        documents, served = [list(each) for each in zip(*opened, strict=True)]
        times = (deadline, arrived_at, self._clock())
        return TranslationJob(texts, options, documents, served, work, *name_models(work), *times)

    async def answer_job(self, job: TranslationJob) -> TranslateAnswer:
        """Has the models of a job translate its texts.

        Raises:
            Overloaded, DeadlineExceeded, InferenceFailed, ModelNotReady.
        """
        with Submission(job.work, job.deadline, self._clock) as submission:
            results = await submission.results()
            for document, served in zip(job.documents, job.served, strict=True):
                again = [
                    sentence.sequence
                    for sequence in document.sequences
                    for sentence in document.read_again(sequence, results)
                    if sentence.sequence
                ]
                if served and again:
                    submission.add(served, again)
            results = await submission.results()
        return await self._assemble_answer(job, results, [None] * len(job.documents))

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
            yield Started(job.model_names, job.model_versions)
            for delta in growing.take_deltas():
                yield delta
            while growing.num_unfinished:
                sequence, token_ids = await events.get()
                if token_ids is None:
                    again = growing.finish(sequence, submission.result(sequence))
                    served = job.served[growing.index_of(sequence)]
                    if served and again:
                        submission.add(served, again)
                else:
                    growing.add_tokens(sequence, token_ids)
                for delta in growing.take_deltas():
                    yield delta
            results = await submission.results()
        yield await self._assemble_answer(job, results, growing.texts)

    def languages(self) -> list[Language]:
        """Source languages with their targets."""
        targets: dict[str, list[str]] = {}
        for source, target in self._registry.pairs():
            targets.setdefault(source, []).append(target)
        return [
            Language(code, languages.display_name(code), sorted({code, *found}))
            for code, found in targets.items()
        ]

    def detect(self, text: str) -> list[Detection]:
        """Likely languages of a text among those served, best first."""
        check_texts([text], self._settings)
        found = languages.detect(text, self._source_codes())
        return [Detection(code, confidence) for code, confidence in found]

    def _source_codes(self) -> list[str]:
        codes = [language.code for language in self.languages()]
        return codes or self._registry.sentiment_languages()

    async def _assemble_answer(
        self,
        job: TranslationJob,
        results: Mapping[TokenSequence, Result],
        known: Sequence[str | None],
    ) -> TranslateAnswer:
        """The answer of a job that is done; `known` are the translations that were streamed."""

        def assemble_all() -> list[Translation]:
            return [
                keep_if_unsure(assemble(document, results, job.options, text), source, job.options)
                for document, source, text in zip(job.documents, job.texts, known, strict=True)
            ]

        translations = await offload(job.texts, assemble_all)
        timings = observe_stages(
            job.work, results, job.arrived_at, job.encoded_at, self._metrics, self._clock()
        )
        return TranslateAnswer(job.model_names, job.model_versions, timings, translations)

    def _check_terms(self, options: TranslateOptions) -> None:
        limit = self._settings.max_terms
        if len(options.terms) > limit:
            raise InvalidInput(
                f"keep and glossary have {len(options.terms)} terms, above the limit of {limit}; "
                "send those that the text has"
            )

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
        self, text: str, options: TranslateOptions, like: TokenSequence
    ) -> tuple[Document, ServedModel | None]:
        """Cuts a text into requests with the times and options of `like`, and finds their model."""
        nodes = parse_text(text, options.text_format)
        detection = self._detect_source(nodes) if options.source == "auto" else None
        source = detection.language if detection else options.source
        if source == options.target and any(source in pair for pair in self._registry.pairs()):
            return Document(None, detection, [Passage(Node(text, False, text), [])]), None
        served = self._registry.find_translator(source, options.target)
        reader = make_reader(served.model, source, options, like)
        return Document(reader, detection, segment(nodes, reader)), served

    def _detect_source(self, nodes: Sequence[Node]) -> Detection:
        # the names of tags are not English
        text = " ".join(node.text for node in nodes if node.is_text)
        return detect_language(text, self._source_codes())


def keep_if_unsure(found: Translation, source: str, options: TranslateOptions) -> Translation:
    """The translation, or its source in its place if its score is below the one asked for."""
    if found.score is None or found.score >= options.min_score:
        return found
    return replace(found, text=source, is_unsure=True)


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
