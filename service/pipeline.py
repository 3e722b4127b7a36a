"""One method per task: text -> ids -> submit -> ids -> text, with timings. Knows no HTTP."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from service import languages
from service.answers import (
    ClassifyAnswer,
    ClassifyOptions,
    Delta,
    Language,
    News,
    Started,
    TranslateAnswer,
)
from service.batch import Request, Result, SearchOptions, Timings
from service.documents import (
    Detection,
    Document,
    Passage,
    TranslateOptions,
    Translation,
    cut_passages,
    join_document,
)
from service.errors import (
    DeadlineExceeded,
    EmptyInput,
    InputTooLong,
    InvalidInput,
    LanguageNotSupported,
    ModelNotFound,
)
from service.labels import rank_labels
from service.loader import LoadedModel, check_length
from service.markup import Piece, split_markup
from service.metrics import Metrics
from service.registry import Registry, ServedModel
from service.settings import Settings
from service.streaming import DocumentText
from service.submission import TOO_LATE, Submission, Work, describe_work, group_requests

T = TypeVar("T")

# Work on longer texts leaves the event loop: 100,000 characters take 0.1 to 0.5 s to cut and encode
# on one core, and so many as these take 5 ms at worst. A thread costs shorter ones more than that.
MAX_INLINE_CHARS = 1000

# A text of many sentences would else make an answer of hundreds of megabytes from a small body.
MAX_ATTENTION_WEIGHTS = 500_000


def ignore(_: str) -> None:
    """For who need not know which models are asked."""


@dataclass(frozen=True)
class Order:
    """Texts on their way through the translators.

    Attributes:
        made_by: names and versions of the models that will answer.
        arrived_at, encoded_at: monotonic seconds.
    """

    texts: Sequence[str]
    options: TranslateOptions
    documents: list[Document]
    work: list[Work]
    made_by: tuple[str, str]
    arrived_at: float
    encoded_at: float


class Pipeline:
    """Serves both tasks from the models of a registry."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._settings = registry, settings
        self._metrics, self._clock = metrics, clock

    async def classify(
        self,
        texts: Sequence[str],
        options: ClassifyOptions,
        deadline: float,
        on_models: Callable[[str], None] = ignore,
    ) -> ClassifyAnswer:
        """Labels of each text, best first.

        Args:
            texts: one or more.
            options: see `ClassifyOptions`.
            deadline: monotonic seconds.
            on_models: told the names of the models, comma-separated, before they are asked.

        Raises:
            EmptyInput, InputTooLong, ModelNotFound, Overloaded, DeadlineExceeded, InferenceFailed.
        """
        arrived_at = self._clock()
        self._check_texts(texts)

        def encode_texts() -> list[tuple[ServedModel, Request]]:
            chosen = [self._choose_classifier(text, options.model) for text in texts]
            return [
                (served, Request(encode_text(text, served.model), arrived_at, deadline))
                for text, served in zip(texts, chosen, strict=True)
            ]

        encoded = await offload(texts, encode_texts, deadline - arrived_at)
        work = group_requests((served, [request]) for served, request in encoded)
        made_by = describe_work(work)
        on_models(made_by[0])
        encoded_at = self._clock()
        with Submission(work, deadline, self._clock) as submission:
            results = await submission.results()
        labels = [
            rank_labels(served.model, results[request], options) for served, request in encoded
        ]
        timings = self._observe(work, results, arrived_at, encoded_at)
        return ClassifyAnswer(*made_by, timings, labels)

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
        order = await self._open_order(texts, options, deadline, on_models)
        with Submission(order.work, deadline, self._clock) as submission:
            results = await submission.results()
        return await self._answer_order(order, results)

    async def stream(
        self,
        texts: Sequence[str],
        options: TranslateOptions,
        deadline: float,
        on_models: Callable[[str], None] = ignore,
    ) -> AsyncGenerator[News, None]:
        """Like `translate`, but the text comes as it becomes certain.

        The first item tells that the request is admitted, the last one is the answer; the text
        between them, put together, is the answer's.

        Raises:
            As `translate` does: what can be known before the admission, before the first item.
        """
        order = await self._open_order(texts, options, deadline, on_models)
        growing = [DocumentText(document, options.text_format) for document in order.documents]
        owners = {
            request: index
            for index, document in enumerate(order.documents)
            for request in document.requests
        }
        news: asyncio.Queue[tuple[Request, list[int] | None]] = asyncio.Queue()
        if options.text_format == "text":
            listen(owners, news)
        with Submission(order.work, deadline, self._clock) as submission:
            submission.call_when_done(lambda request: news.put_nowait((request, None)))
            yield Started(*order.made_by)
            for index, text in enumerate(growing):
                if taken := text.take_text():
                    yield Delta(index, taken)
            num_waiting = len(owners)
            while num_waiting:
                request, token_ids = await news.get()
                text = growing[owners[request]]
                if token_ids is None:
                    num_waiting -= 1
                    text.finish(request, submission.result(request))
                else:
                    text.add_tokens(request, token_ids)
                if taken := text.take_text():
                    yield Delta(owners[request], taken)
            results = await submission.results()
        yield await self._answer_order(order, results)

    def check_wait(self, task: str) -> None:
        """Refuses at once, before anything is read, when no model of the task would take a request.

        Raises:
            Overloaded: all their queues are too slow.
        """
        served = self._registry.models_of(task)
        if served and all(each.batcher.is_too_slow for each in served):
            served[0].batcher.check_wait()

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
        self._check_texts([text])
        found = languages.detect(text, self._source_codes())
        return [Detection(code, confidence) for code, confidence in found]

    def _source_codes(self) -> list[str]:
        codes = [language.code for language in self.languages()]
        return codes or self._registry.sentiment_languages()

    def _check_texts(self, texts: Sequence[str], *, may_be_blank: bool = False) -> None:
        if not texts:
            raise EmptyInput("there is no text; send at least one")
        if len(texts) > self._settings.max_texts:
            raise InputTooLong(
                f"{len(texts)} texts are above the limit of {self._settings.max_texts} per "
                "request; send fewer"
            )
        for index, text in enumerate(texts):
            if not (may_be_blank or text.strip()):
                raise EmptyInput(f"text {index} is empty; send at least one visible character")
            if len(text) > self._settings.max_text_chars:
                raise InputTooLong(
                    f"text {index} has {len(text)} characters, above the limit of "
                    f"{self._settings.max_text_chars}; split it"
                )

    def _choose_classifier(self, text: str, model_name: str | None) -> ServedModel:
        if model_name is not None:
            return self._registry.find_model(model_name, "sentiment")
        codes = self._registry.sentiment_languages()
        if not codes:
            raise ModelNotFound("no sentiment model is loaded")
        return self._registry.find_classifier(detect_language(text, codes).language)

    async def _open_order(
        self,
        texts: Sequence[str],
        options: TranslateOptions,
        deadline: float,
        on_models: Callable[[str], None],
    ) -> Order:
        """Checks texts and options, cuts and encodes; nothing is submitted yet."""
        arrived_at = self._clock()
        # among others a blank text comes back as it is, so that lists need no sorting out
        self._check_texts(texts, may_be_blank=any(map(str.strip, texts)))
        like = Request([], arrived_at, deadline, self._choose_search(options))

        def open_documents() -> list[Document]:
            return [self._open_document(text, options, like) for text in texts]

        documents = await offload(texts, open_documents, deadline - arrived_at)
        work = group_requests(
            (document.served, document.requests) for document in documents if document.served
        )
        if options.attention:
            check_attention(work)
        made_by = describe_work(work)
        on_models(made_by[0])
        return Order(texts, options, documents, work, made_by, arrived_at, self._clock())

    async def _answer_order(
        self, order: Order, results: Mapping[Request, Result]
    ) -> TranslateAnswer:
        def join_documents() -> list[Translation]:
            return [join_document(document, results, order.options) for document in order.documents]

        translations = await offload(order.texts, join_documents)
        timings = self._observe(order.work, results, order.arrived_at, order.encoded_at)
        return TranslateAnswer(*order.made_by, timings, translations)

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

    def _open_document(self, text: str, options: TranslateOptions, like: Request) -> Document:
        """A text with its model and its requests, which get the times and options of `like`."""
        detection = self._detect_source(text, options)
        source = detection.language if detection else options.source
        if source == options.target and any(source in pair for pair in self._registry.pairs()):
            return Document(None, detection, [Passage(Piece(text, False, text), [])])
        served = self._registry.find_translator(source, options.target)
        return Document(served, detection, cut_passages(text, source, options, served.model, like))

    def _detect_source(self, text: str, options: TranslateOptions) -> Detection | None:
        if options.source != "auto":
            return None
        if options.text_format == "html":  # the names of tags are no English
            pieces = split_markup(text)
            text = " ".join(piece.text for piece in pieces if piece.is_text)
        return detect_language(text, self._source_codes())

    def _observe(
        self,
        work: Sequence[Work],
        results: Mapping[Request, Result],
        arrived_at: float,
        encoded_at: float,
    ) -> Timings:
        """Records the stages of one request, once."""
        requests = [request for part in work for request in part.requests]
        timings = Timings(
            tokenize_seconds=encoded_at - arrived_at,
            queue_seconds=max(
                (request.dispatched_at - encoded_at for request in requests), default=0.0
            ),
            inference_seconds=max(
                (request.finished_at - request.dispatched_at for request in requests), default=0.0
            ),
            total_seconds=self._clock() - arrived_at,
            arrived_at=arrived_at,
            dispatched_at=min((request.dispatched_at for request in requests), default=math.inf),
            finished_at=max((request.finished_at for request in requests), default=math.inf),
        )
        for part in work:
            metrics = self._metrics.of_model(part.served.manifest.name)
            metrics.note_stages(
                timings.tokenize_seconds, timings.queue_seconds, timings.inference_seconds
            )
            num_read = sum(request.num_tokens for request in part.requests)
            metrics.tokens_total["input"].inc(num_read)
            if num_written := sum(count_tokens(results[request]) for request in part.requests):
                metrics.tokens_total["output"].inc(num_written)
        return timings


def listen(
    requests: Iterable[Request], news: "asyncio.Queue[tuple[Request, list[int] | None]]"
) -> None:
    """Has the token ids of requests put into a queue as they come from the engine's thread."""
    loop = asyncio.get_running_loop()
    for request in requests:

        def tell(token_ids: list[int], request: Request = request) -> None:
            loop.call_soon_threadsafe(news.put_nowait, (request, token_ids))

        request.on_tokens = tell


async def offload(
    texts: Sequence[str], function: Callable[[], T], seconds_left: float = math.inf
) -> T:
    """Calls a function whose time grows with the texts: here if they are short, else on a thread.

    Who stops waiting leaves the thread to finish; what it computes is dropped.

    Raises:
        DeadlineExceeded: so many seconds have passed.
    """
    if sum(map(len, texts)) <= MAX_INLINE_CHARS:
        return function()
    try:
        async with asyncio.timeout(seconds_left):
            return await asyncio.to_thread(function)
    except TimeoutError as exc:
        raise DeadlineExceeded(TOO_LATE) from exc


def detect_language(text: str, codes: Sequence[str]) -> Detection:
    """The likeliest of the languages; the first of them where the text has no letters.

    Raises:
        LanguageNotSupported: the text is in a script that none of them uses.
    """
    best = Detection(*languages.detect(text, codes)[0])
    if best.confidence == 0.0 and (script := languages.dominant_script(text)):
        raise LanguageNotSupported(
            f"the text is in {script} script, which no model reads; the models read "
            f"{', '.join(codes)}"
        )
    return best


def count_tokens(result: Result) -> int:
    """Tokens of the best translation; a classifier writes none."""
    return len(result[0].token_ids) if isinstance(result, list) else 0


def check_attention(work: Sequence[Work]) -> None:
    """Refuses what could have too many attention weights.

    Raises:
        InputTooLong: together the sentences are too long.
    """
    num_weights = 0
    for part in work:
        for request in part.requests:
            assert request.search is not None
            num_weights += request.num_tokens * request.search.max_new_tokens
    if num_weights > MAX_ATTENTION_WEIGHTS:
        raise InputTooLong(
            f"the attention would have up to {num_weights} weights, above the limit of "
            f"{MAX_ATTENTION_WEIGHTS}; send less text at a time, a lower max_new_tokens, or no "
            "`attention`"
        )


def encode_text(text: str, model: LoadedModel) -> list[int]:
    """Input ids of a text to classify.

    Raises:
        EmptyInput, InputTooLong.
    """
    (input_ids,) = model.encode([text])
    if not input_ids:
        raise EmptyInput("a text has nothing to classify; send at least one visible character")
    check_length(input_ids, model)
    return input_ids
