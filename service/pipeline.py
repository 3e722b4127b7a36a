"""One method per task: text -> ids -> submit -> ids -> text, with timings. Knows no HTTP."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service import languages, sentences
from service.batch import FloatArray, Hypothesis, Request, Result, SearchOptions, Timings
from service.errors import (
    DeadlineExceeded,
    EmptyInput,
    InputTooLong,
    InvalidInput,
    LanguageNotSupported,
    ModelNotFound,
)
from service.loader import LoadedModel, new_token_limit
from service.markup import Piece, render_text, split_markup
from service.metrics import Metrics
from service.registry import Registry, ServedModel
from service.settings import Settings


@dataclass(frozen=True)
class ClassifyOptions:
    """How texts are classified.

    Attributes:
        model: name of a model; None chooses by each text's language.
        top_k: best labels given; None gives all.
        function_to_apply: `softmax` (default), `sigmoid`, or `none` for the model's raw scores.
    """

    model: str | None = None
    top_k: int | None = None
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = None


@dataclass(frozen=True)
class TranslateOptions:
    """How texts are translated.

    Attributes:
        source: language code, or `auto`.
        alternatives: other translations wanted; the beam is at least one wider.
        attention: give the alignment weights.
    """

    source: str
    target: str
    text_format: Literal["text", "html"] = "text"
    alternatives: int = 0
    beam_size: int | None = None
    max_new_tokens: int | None = None
    attention: bool = False


@dataclass(frozen=True)
class LabelScore:
    label: str
    score: float


@dataclass(frozen=True)
class Detection:
    """A detected language; confidence 0 to 100."""

    language: str
    confidence: float


@dataclass(frozen=True)
class Alignment:
    """Attention weights of one sentence: a row per target token, eos last."""

    source_tokens: list[str]
    target_tokens: list[str]
    weights: list[list[float]]


@dataclass(frozen=True)
class Translation:
    text: str
    alternatives: list[str]
    detected: Detection | None = None
    attention: list[Alignment] | None = None


@dataclass(frozen=True)
class Language:
    """A language that can be translated from, and where to."""

    code: str
    name: str
    targets: list[str]


@dataclass(frozen=True)
class Answer:
    """What every task's answer says of its making."""

    model_name: str
    model_version: str
    timings: Timings


@dataclass(frozen=True)
class ClassifyAnswer(Answer):
    labels: list[list[LabelScore]]


@dataclass(frozen=True)
class TranslateAnswer(Answer):
    translations: list[Translation]


@dataclass(frozen=True)
class Work:
    """Requests for one model, and the model."""

    served: ServedModel
    requests: list[Request]


@dataclass(frozen=True)
class Sentence:
    """One sentence and the white space after it; copied where it has no request."""

    text: str
    space: str
    request: Request | None


@dataclass(frozen=True)
class Passage:
    """A stretch of a document: sentences, or markup that is copied."""

    piece: Piece
    sentences: list[Sentence]


@dataclass(frozen=True)
class Document:
    """A text on its way through a model.

    Attributes:
        served: the model; None where the text is in the target language already.
        detected: set where the source was `auto`.
    """

    served: ServedModel | None
    detected: Detection | None
    passages: list[Passage]

    @property
    def requests(self) -> list[Request]:
        return [
            sentence.request
            for passage in self.passages
            for sentence in passage.sentences
            if sentence.request
        ]


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
        self, texts: Sequence[str], options: ClassifyOptions, deadline: float
    ) -> ClassifyAnswer:
        """Labels of each text, best first.

        Args:
            texts: one or more.
            options: see `ClassifyOptions`.
            deadline: monotonic seconds.

        Raises:
            EmptyInput, InputTooLong, ModelNotFound, Overloaded, DeadlineExceeded, InferenceFailed.
        """
        arrived_at = self._clock()
        self._check_texts(texts)
        chosen = [self._choose_classifier(text, options.model) for text in texts]
        requests = [
            Request(encode_text(text, served.model), arrived_at, deadline)
            for text, served in zip(texts, chosen, strict=True)
        ]
        work = group_requests(
            (served, [request]) for served, request in zip(chosen, requests, strict=True)
        )
        encoded_at = self._clock()
        results = await self._run(work, deadline)
        labels = [
            rank_labels(served.model, results[request], options)
            for served, request in zip(chosen, requests, strict=True)
        ]
        timings = self._observe(work, results, arrived_at, encoded_at)
        return ClassifyAnswer(*describe(work), timings, labels)

    async def translate(
        self, texts: Sequence[str], options: TranslateOptions, deadline: float
    ) -> TranslateAnswer:
        """Translations of each text; long texts are cut into sentences, which run as one batch.

        Args:
            texts: one or more.
            options: see `TranslateOptions`.
            deadline: monotonic seconds.

        Raises:
            EmptyInput, InputTooLong, InvalidInput, ModelNotFound, Overloaded, DeadlineExceeded,
            InferenceFailed.
        """
        arrived_at = self._clock()
        self._check_texts(texts)
        like = Request([], arrived_at, deadline, self._choose_search(options))
        documents = [self._open_document(text, options, like) for text in texts]
        work = group_requests(
            (document.served, document.requests) for document in documents if document.served
        )
        encoded_at = self._clock()
        results = await self._run(work, deadline)
        translations = [join_document(document, results, options) for document in documents]
        timings = self._observe(work, results, arrived_at, encoded_at)
        return TranslateAnswer(*describe(work), timings, translations)

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
        codes = [language.code for language in self.languages()]
        codes = codes or self._registry.sentiment_languages()
        return [Detection(code, confidence) for code, confidence in languages.detect(text, codes)]

    def _check_texts(self, texts: Sequence[str]) -> None:
        if not texts:
            raise EmptyInput("there is no text; send at least one")
        if len(texts) > self._settings.max_texts:
            raise InputTooLong(
                f"{len(texts)} texts are above the limit of {self._settings.max_texts} per "
                "request; send fewer"
            )
        for index, text in enumerate(texts):
            if not text.strip():
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
        return self._registry.find_classifier(languages.detect(text, codes)[0][0])

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
        best = self.detect(text)[0]
        if best.confidence == 0.0 and (script := languages.dominant_script(text)):
            codes = ", ".join(language.code for language in self.languages())
            raise LanguageNotSupported(
                f"the text is in {script} script, which no model reads; source can be {codes}"
            )
        return best

    async def _run(self, work: Sequence[Work], deadline: float) -> dict[Request, Result]:
        """Submits to all models and waits; whatever ends the wait takes back what is not done."""
        futures: dict[Request, asyncio.Future[Result]] = {}
        try:
            for part in work:
                futures.update(
                    zip(part.requests, part.served.batcher.submit(part.requests), strict=True)
                )
            async with asyncio.timeout(deadline - self._clock()):
                results = await asyncio.gather(*futures.values())
        except TimeoutError as exc:
            raise DeadlineExceeded(
                "the deadline passed before the answer was ready; allow more time or send less"
            ) from exc
        finally:
            for future in futures.values():
                future.cancel()
        return dict(zip(futures, results, strict=True))

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
        )
        for part in work:
            name = part.served.manifest.name
            for stage in ("tokenize", "queue", "inference"):
                seconds = getattr(timings, f"{stage}_seconds")
                self._metrics.stage_duration_seconds.labels(name, stage).observe(max(0.0, seconds))
            for direction, num_tokens in (
                ("input", sum(request.num_tokens for request in part.requests)),
                ("output", sum(count_tokens(results[request]) for request in part.requests)),
            ):
                self._metrics.tokens_total.labels(name, direction).inc(num_tokens)
        return timings


def group_requests(parts: Iterable[tuple[ServedModel, Sequence[Request]]]) -> list[Work]:
    """The requests of all parts by model, in their order."""
    work: dict[str, Work] = {}
    for served, requests in parts:
        work.setdefault(served.manifest.name, Work(served, [])).requests.extend(requests)
    return list(work.values())


def count_tokens(result: Result) -> int:
    """Tokens of the best translation; a classifier writes none."""
    return len(result[0].token_ids) if isinstance(result, list) else 0


def describe(work: Sequence[Work]) -> tuple[str, str]:
    """Names and versions of the models that answered, comma-separated if several did."""
    manifests = [part.served.manifest for part in work]
    return ",".join(manifest.name for manifest in manifests), ",".join(
        manifest.version for manifest in manifests
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


def check_length(input_ids: Sequence[int], model: LoadedModel) -> None:
    """Refuses what the model was not made for.

    Raises:
        InputTooLong: more tokens than the manifest allows.
    """
    limit = model.manifest.limits.max_input_tokens
    if len(input_ids) > limit:
        unit = "text" if model.manifest.task == "sentiment" else "sentence"
        raise InputTooLong(
            f"a {unit} has {len(input_ids)} tokens, above the limit of {limit} of model "
            f"{model.manifest.name}; split it"
        )


def make_request(input_ids: list[int], model: LoadedModel, target: str, like: Request) -> Request:
    """A sentence's request with the times and search options of its text."""
    check_length(input_ids, model)
    assert like.search is not None
    limit = min(like.search.max_new_tokens, new_token_limit(input_ids, model.manifest))
    search = SearchOptions(like.search.beam_size, limit, like.search.with_attention)
    start_id = model.manifest.ids.start_ids[target]
    return Request(input_ids, like.arrived_at, like.deadline, search, start_id)


def rank_labels(model: LoadedModel, result: Result, options: ClassifyOptions) -> list[LabelScore]:
    """Labels with scores, best first."""
    assert isinstance(result, np.ndarray)
    scores = apply_function(model, result, options.function_to_apply or "softmax")
    order = np.argsort(-scores, kind="stable")[: options.top_k]
    return [LabelScore(model.manifest.labels[index], float(scores[index])) for index in order]


def apply_function(model: LoadedModel, scores: FloatArray, function: str) -> FloatArray:
    """Raw scores (C) -> what the client asked to see."""
    if function == "softmax":
        return model.probabilities(scores)
    if function == "none":
        return scores
    sigmoid: FloatArray = 0.5 * (1.0 + np.tanh(0.5 * scores))  # this form cannot overflow
    return sigmoid


def cut_passages(
    text: str, source: str, options: TranslateOptions, model: LoadedModel, like: Request
) -> list[Passage]:
    """Cuts a text into sentences, a request each with the times and options of `like`."""
    pieces = split_markup(text) if options.text_format == "html" else [Piece(text, True, text)]
    cut = [
        (piece, sentences.split(piece.text, source) if piece.is_text else []) for piece in pieces
    ]
    encoded = iter(model.encode([sentence for _, pairs in cut for sentence, _ in pairs]))
    return [
        Passage(
            piece,
            [
                Sentence(
                    sentence,
                    space,
                    make_request(input_ids, model, options.target, like) if input_ids else None,
                )
                for (sentence, space), input_ids in zip(pairs, encoded, strict=False)
            ],
        )
        for piece, pairs in cut
    ]


def join_document(
    document: Document, results: Mapping[Request, Result], options: TranslateOptions
) -> Translation:
    """Puts a document together again; alternative N takes the Nth hypothesis of each sentence."""
    if document.served is None:
        (passage,) = document.passages
        return Translation(
            passage.piece.source, [], document.detected, [] if options.attention else None
        )
    model = document.served.model
    texts = [
        "".join(
            render_passage(model, passage, results, rank, options.text_format)
            for passage in document.passages
        )
        for rank in range(options.alternatives + 1)
    ]
    alternatives = list(dict.fromkeys(text for text in texts[1:] if text != texts[0]))
    if not options.attention:
        return Translation(texts[0], alternatives, document.detected)
    alignments = [
        align(model, request, hypotheses_of(results, request)[0]) for request in document.requests
    ]
    return Translation(texts[0], alternatives, document.detected, alignments)


def render_passage(
    model: LoadedModel,
    passage: Passage,
    results: Mapping[Request, Result],
    rank: int,
    text_format: str,
) -> str:
    """The passage as it stands in the translation."""
    if not passage.piece.is_text:
        return passage.piece.source
    parts = []
    for sentence in passage.sentences:
        if sentence.request is None:
            parts.append(sentence.text)
        else:
            hypotheses = hypotheses_of(results, sentence.request)
            parts.append(
                model.tokenizer.decode(hypotheses[min(rank, len(hypotheses) - 1)].token_ids)
            )
        parts.append(sentence.space)
    text = "".join(parts)
    return render_text(passage.piece, text) if text_format == "html" else text


def hypotheses_of(results: Mapping[Request, Result], request: Request) -> list[Hypothesis]:
    result = results[request]
    assert isinstance(result, list)
    return result


def align(model: LoadedModel, request: Request, hypothesis: Hypothesis) -> Alignment:
    """Attention of one sentence with the spelling of its tokens."""
    assert hypothesis.attention is not None
    return Alignment(
        model.tokenizer.tokens(request.input_ids),
        model.tokenizer.tokens(hypothesis.token_ids),
        [[round(float(weight), 4) for weight in row] for row in hypothesis.attention],
    )
