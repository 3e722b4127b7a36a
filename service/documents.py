"""Cuts a text into sentences for translation, and puts their translations together again.

White space and markup come back as they were. Knows no queue: requests go out, results come in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from service import sentences
from service.batch import Hypothesis, Request, Result, SearchOptions
from service.loader import LoadedModel, check_length, new_token_limit
from service.markup import Piece, render_text, split_markup
from service.registry import ServedModel


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


def make_request(input_ids: list[int], model: LoadedModel, target: str, like: Request) -> Request:
    """A sentence's request with the times and search options of its text."""
    check_length(input_ids, model)
    assert like.search is not None
    limit = min(like.search.max_new_tokens, new_token_limit(input_ids, model.manifest))
    search = SearchOptions(like.search.beam_size, limit, like.search.with_attention)
    start_id = model.manifest.ids.start_ids[target]
    return Request(input_ids, like.arrived_at, like.deadline, search, start_id)


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
