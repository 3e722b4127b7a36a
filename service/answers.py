"""What the pipeline is asked for and what it gives, in its own words; the wire has others."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Formality = Literal["default", "more", "less", "prefer_more", "prefer_less"]


@dataclass(frozen=True)
class StatesOptions:
    """Which states of a model are shown.

    Attributes:
        layers: by their names; None for all.
        units: of each layer; None for those that the model's finds name, or else the first ones.
        values: `hidden`, `cell` or both; None for what the finds are, or else hidden.
    """

    layers: tuple[str, ...] | None = None
    units: tuple[int, ...] | None = None
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class StateToken:
    """A token that a model read; start and end in characters of the text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class StateSeries:
    """One unit: its value after each token."""

    layer: str
    unit: int
    value: str
    values: list[float]


@dataclass(frozen=True)
class States:
    """What a model holds after each token of a text."""

    tokens: list[StateToken]
    series: list[StateSeries]


@dataclass(frozen=True)
class ClassifyOptions:
    """How texts are classified.

    Attributes:
        model: name of a model; None chooses by each text's language.
        top_k: best labels given; None gives all.
        function_to_apply: `softmax` (default), `sigmoid`, or `none` for the model's raw scores.
        max_length: tokens that a text may have; None leaves it to the model's own limit.
        truncate: cut what is longer instead of refusing it: `end` or `start` says which end is cut.
        explain: give the weight of each token.
        states: give these states of the model.
    """

    model: str | None = None
    top_k: int | None = None
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = None
    max_length: int | None = None
    truncate: Literal["end", "start"] | None = None
    explain: bool = False
    states: StatesOptions | None = None


@dataclass(frozen=True)
class TranslateOptions:
    """How texts are translated.

    Attributes:
        source: language code, or `auto`.
        alternatives: other translations wanted; the beam is at least one wider.
        attention: give the alignment weights.
        rerank: choose among the hypotheses by how well the source follows from each, too; None: if
            the model can.
        formality: how the listener is addressed, by DeepL's names; `prefer` takes what there is.
        terms: translations that are given, by term of the source.
        glossary: name of further ones; empty for none. What `terms` has, too, is as it says.
        min_score: a translation with a lower score is replaced by its source.
        states: give these states of the encoder.
    """

    source: str
    target: str
    text_format: Literal["text", "html"] = "text"
    alternatives: int = 0
    beam_size: int | None = None
    max_new_tokens: int | None = None
    attention: bool = False
    rerank: bool | None = None
    formality: Formality = "default"
    terms: Mapping[str, str] = field(default_factory=dict)
    glossary: str = ""
    min_score: float = 0.0
    states: StatesOptions | None = None


@dataclass(frozen=True)
class Prompt:
    """What a language model goes on from.

    Attributes:
        text: it begins with; may be empty.
        label, features: what it depends on besides, for models that have a condition.
    """

    text: str = ""
    label: str | None = None
    features: tuple[float, ...] | None = None


@dataclass(frozen=True)
class GenerateOptions:
    """How texts are generated.

    Attributes:
        model: name of a model; None takes the first one that the prompts fit.
        max_new_tokens: None leaves it to the server's setting.
        temperature, top_k, top_p, repetition_penalty: see `engine.batch.SamplingOptions`.
        seed: None draws one.
        stop: a text ends with the first of these that it comes to.
        keeps_stop: whether that is part of the text.
        num_texts: for each prompt.
        truncate: the number of tokens read at the end of a prompt; None refuses long prompts.
        with_prompt: the prompt is to stand before its text, which is refused if that answers it.
        details: give the tokens.
        states: give these states of the model, after the tokens of prompt and text.
    """

    model: str | None = None
    max_new_tokens: int | None = None
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    keeps_stop: bool = False
    num_texts: int = 1
    truncate: int | None = None
    with_prompt: bool = False
    details: bool = False
    states: StatesOptions | None = None


@dataclass(frozen=True)
class Timings:
    """Where the time of one request went, in seconds; queue and inference of its slowest part.

    Attributes:
        arrived_at: monotonic seconds.
        dispatched_at, finished_at: of the first part to run and of the last one to be done;
            infinite if no model was needed.
    """

    tokenize_seconds: float
    queue_seconds: float
    inference_seconds: float
    total_seconds: float
    arrived_at: float
    dispatched_at: float = math.inf
    finished_at: float = math.inf


@dataclass(frozen=True)
class LabelScore:
    label: str
    score: float


@dataclass(frozen=True)
class Attribution:
    """How much a stretch of a text adds to the probability of the text's best label.

    Attributes:
        start, end: in characters of the text as it was sent.
        weight: -1 to 1; the probability with the stretch less the probability without it.
    """

    text: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Classification:
    """A text's labels.

    Attributes:
        labels: best first.
        model_name: of the model that chose them.
        num_tokens: that the model read.
        is_truncated: the text had more tokens.
        attributions: of the stretches that the model read, in their order, if asked for.
        states: if asked for.
    """

    labels: list[LabelScore]
    model_name: str
    num_tokens: int
    is_truncated: bool = False
    attributions: list[Attribution] | None = None
    states: States | None = None


@dataclass(frozen=True)
class Language:
    """A language that can be translated from, and where to."""

    code: str
    name: str
    targets: list[str]


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
    """A text's translation.

    Attributes:
        is_complete: no sentence of it was cut at its length limit or repeats itself.
        score: the probability (0..1) that it is acceptable; None if the model cannot tell.
        is_unsure: the score is below the one asked for, and the text is the source's.
        states: of the encoder, in tokens of the source, if asked for.
    """

    text: str
    alternatives: list[str]
    detected: Detection | None = None
    attention: list[Alignment] | None = None
    is_complete: bool = True
    score: float | None = None
    is_unsure: bool = False
    states: States | None = None


Finish = Literal["eos", "stop", "length"]
"""Why a text ends: the model ended it, it came to a stop string, or it is at its length limit."""


@dataclass(frozen=True)
class GeneratedToken:
    """One token of a text.

    Attributes:
        text: what became certain of the text with it; those of all tokens make up the text.
        log_probability: by the model itself, whatever the token was drawn by.
        is_special: it is the token that ends the text.
    """

    token_id: int
    text: str
    log_probability: float
    is_special: bool = False


@dataclass(frozen=True)
class GeneratedText:
    """One generated text.

    Attributes:
        prompt: the text that it goes on from.
        text: without the prompt.
        num_prompt_tokens, num_tokens: read and generated, the one that ends it included.
        tokens: if asked for.
        states: of the tokens of prompt and text, if asked for.
    """

    prompt: str
    text: str
    finish: Finish
    seed: int
    num_prompt_tokens: int
    num_tokens: int
    tokens: list[GeneratedToken] = field(default_factory=list)
    states: States | None = None


@dataclass(frozen=True)
class Answer:
    """What every task's answer says of its making."""

    model_name: str
    model_version: str
    timings: Timings


@dataclass(frozen=True)
class ClassifyAnswer(Answer):
    classifications: list[Classification]

    @property
    def labels(self) -> list[list[LabelScore]]:
        return [each.labels for each in self.classifications]


@dataclass(frozen=True)
class TranslateAnswer(Answer):
    translations: list[Translation]


@dataclass(frozen=True)
class GenerateAnswer(Answer):
    """The texts of the first prompt, then those of the second, and so on."""

    texts: list[GeneratedText]


@dataclass(frozen=True)
class Started:
    """A request was admitted, and what will answer it."""

    model_name: str
    model_version: str


@dataclass(frozen=True)
class Delta:
    """Further text of one translation.

    Attributes:
        index: of the text it belongs to.
    """

    index: int
    text: str


StreamEvent = Started | Delta | TranslateAnswer


@dataclass(frozen=True)
class TokenDelta:
    """The next token of one generated text.

    Attributes:
        index: of the text it belongs to.
        position: in that text, from 0.
        finished: the whole text, with its last token.
    """

    index: int
    position: int
    token: GeneratedToken
    finished: GeneratedText | None = None


GenerateEvent = Started | TokenDelta | GenerateAnswer


Aggregation = Literal["none", "simple", "first", "average", "max"]


@dataclass(frozen=True)
class TagOptions:
    """How the tokens of texts are labelled.

    Attributes:
        model: name of a model; None chooses by each text's language.
        aggregation: how tokens are joined to entities, by transformers' names.
        ignored: labels, and names of entities, that are left out.
        render: give the text with white space where the labels say.
        states: give these states of the model.
    """

    model: str | None = None
    aggregation: Aggregation = "none"
    ignored: frozenset[str] = frozenset({"O"})
    render: bool = False
    states: StatesOptions | None = None


@dataclass(frozen=True)
class Entity:
    """A token with its label, or several tokens that name one thing.

    Attributes:
        label: of the token, or the name of the thing without "B-" and "I-".
        score: its probability, as the aggregation defines it.
        start, end: in characters of the text as it was sent.
        index: of the token, from 0; None of several.
    """

    label: str
    score: float
    word: str
    start: int
    end: int
    index: int | None = None


@dataclass(frozen=True)
class Tagging:
    """The labels of a text.

    Attributes:
        rendered: with white space where the labels say, if asked for.
        states: if asked for.
    """

    entities: list[Entity]
    rendered: str | None = None
    states: States | None = None


@dataclass(frozen=True)
class TagAnswer(Answer):
    taggings: list[Tagging]
