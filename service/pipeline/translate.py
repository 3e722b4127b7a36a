"""Translation: text -> sentences -> ids -> submit -> text, with timings. Knows no HTTP."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

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
from service.pipeline.documents import Document, Passage, assemble, segment
from service.pipeline.intake import (
    check_texts,
    check_wait,
    detect_language,
    ignore,
    observe_stages,
    offload,
)
from service.pipeline.streaming import DocumentText
from service.pipeline.submission import ModelBatch, Submission, group_by_model, name_models
from service.repository.registry import Registry, ServedModel
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.text import languages
from service.text.markup import Node, split_markup

# A text of many sentences would else make an answer of hundreds of megabytes from a small body.
MAX_ATTENTION_WEIGHTS = 500_000


@dataclass(frozen=True)
class TranslationJob:
    """Texts on their way through the translators.

    Attributes:
        made_by: names and versions of the models that will answer.
        arrived_at, encoded_at: monotonic seconds.
    """

    texts: Sequence[str]
    options: TranslateOptions
    documents: list[Document]
    work: list[ModelBatch]
    made_by: tuple[str, str]
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
        self,
        texts: Sequence[str],
        options: TranslateOptions,
        deadline: float,
        on_models: Callable[[str], None] = ignore,
    ) -> TranslateAnswer:
        """Translations of each text; long texts are cut into sentences, which run as one batch.

        Args:
            texts: one or more.
            options: see `TranslateOptions`.
            deadline: monotonic seconds.
            on_models: see `classify`.

        Raises:
            EmptyInput, InputTooLong, InvalidInput, ModelNotFound, Overloaded, DeadlineExceeded,
            InferenceFailed.
        """
        job = await self._open_job(texts, options, deadline, on_models)
        with Submission(job.work, deadline, self._clock) as submission:
            results = await submission.results()
        return await self._answer_job(job, results)

    async def stream(
        self,
        texts: Sequence[str],
        options: TranslateOptions,
        deadline: float,
        on_models: Callable[[str], None] = ignore,
    ) -> AsyncGenerator[StreamEvent, None]:
        """Like `translate`, but the text comes as it becomes certain.

        The first item tells that the request is admitted, the last one is the answer; the text
        between them, put together, is the answer's.

        Raises:
            As `translate` does: what can be known before the admission, before the first item.
        """
        job = await self._open_job(texts, options, deadline, on_models)
        growing = [DocumentText(document, options.text_format) for document in job.documents]
        owners = {
            sequence: index
            for index, document in enumerate(job.documents)
            for sequence in document.sequences
        }
        news: asyncio.Queue[tuple[TokenSequence, list[int] | None]] = asyncio.Queue()
        if options.text_format == "text":
            listen(owners, news)
        with Submission(job.work, deadline, self._clock) as submission:
            submission.call_when_done(lambda sequence: news.put_nowait((sequence, None)))
            yield Started(*job.made_by)
            for index, text in enumerate(growing):
                if taken := text.take_text():
                    yield Delta(index, taken)
            num_waiting = len(owners)
            while num_waiting:
                sequence, token_ids = await news.get()
                text = growing[owners[sequence]]
                if token_ids is None:
                    num_waiting -= 1
                    text.finish(sequence, submission.result(sequence))
                else:
                    text.add_tokens(sequence, token_ids)
                if taken := text.take_text():
                    yield Delta(owners[sequence], taken)
            results = await submission.results()
        yield await self._answer_job(job, results)

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

    async def _open_job(
        self,
        texts: Sequence[str],
        options: TranslateOptions,
        deadline: float,
        on_models: Callable[[str], None],
    ) -> TranslationJob:
        """Checks texts and options, cuts and encodes; nothing is submitted yet."""
        arrived_at = self._clock()
        # among others a blank text comes back as it is, so that lists need no sorting out
        check_texts(texts, self._settings, may_be_blank=any(map(str.strip, texts)))
        like = TokenSequence([], arrived_at, deadline, self._choose_search(options))

        def open_documents() -> list[tuple[Document, ServedModel | None]]:
            return [self._open_document(text, options, like) for text in texts]

        opened = await offload(texts, open_documents, deadline - arrived_at)
        work = group_by_model((served, document.sequences) for document, served in opened if served)
        if options.attention:
            check_attention(work)
        made_by = name_models(work)
        on_models(made_by[0])
        documents = [document for document, _ in opened]
        return TranslationJob(texts, options, documents, work, made_by, arrived_at, self._clock())

    async def _answer_job(
        self, job: TranslationJob, results: Mapping[TokenSequence, Result]
    ) -> TranslateAnswer:
        def assemble_all() -> list[Translation]:
            return [assemble(document, results, job.options) for document in job.documents]

        translations = await offload(job.texts, assemble_all)
        timings = observe_stages(
            job.work, results, job.arrived_at, job.encoded_at, self._metrics, self._clock()
        )
        return TranslateAnswer(*job.made_by, timings, translations)

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
        detection = self._detect_source(text, options)
        source = detection.language if detection else options.source
        if source == options.target and any(source in pair for pair in self._registry.pairs()):
            return Document(None, detection, [Passage(Node(text, False, text), [])]), None
        served = self._registry.find_translator(source, options.target)
        passages = segment(text, source, options, served.model, like)
        return Document(served.model, detection, passages), served

    def _detect_source(self, text: str, options: TranslateOptions) -> Detection | None:
        if options.source != "auto":
            return None
        if options.text_format == "html":  # the names of tags are no English
            nodes = split_markup(text)
            text = " ".join(node.text for node in nodes if node.is_text)
        return detect_language(text, self._source_codes())


def listen(
    sequences: Iterable[TokenSequence],
    news: "asyncio.Queue[tuple[TokenSequence, list[int] | None]]",
) -> None:
    """Has the token ids of requests put into a queue as they come from the engine's thread."""
    loop = asyncio.get_running_loop()
    for sequence in sequences:

        def tell(token_ids: list[int], sequence: TokenSequence = sequence) -> None:
            loop.call_soon_threadsafe(news.put_nowait, (sequence, token_ids))

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
