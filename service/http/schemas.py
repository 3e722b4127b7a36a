"""Request and response bodies, on the wire formats of LibreTranslate and Hugging Face.

Limits that an operator sets are not known here: the pipeline checks them.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from service.answers import Formality
from service.http.faults import fault, kind_of


def check_texts(value: object) -> object:
    """Refuses what is not a text before pydantic tries every branch of the union."""
    if isinstance(value, str):
        items: Sequence[object] = [value]
    elif isinstance(value, list):
        items = value
    else:
        raise fault("must be a string or an array of strings, got {kind}", kind=kind_of(value))
    if not items:
        raise fault("is an empty array")
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise fault("has {kind} at index {index}", kind=kind_of(item), index=index)
    if not any(items):
        raise fault("is empty")
    return value


def refuse_bool(value: object) -> object:
    # pydantic takes true for 1.
    if isinstance(value, bool):
        raise fault("must be a whole number, got true or false")
    return value


Texts = Annotated[str | list[str], BeforeValidator(check_texts)]
# Far above every real limit; it keeps numbers with thousands of digits out of messages.
Count = Annotated[int, BeforeValidator(refuse_bool), Field(le=10**9)]
Term = Annotated[str, Field(min_length=1, max_length=200)]
Code = Annotated[str, Field(min_length=1, max_length=35)]


class Body(BaseModel):
    """A request body; null stands for a field that is not there.

    Unknown fields are ignored: real clients send fields of other servers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    api_key: Annotated[str | None, Field(description="an API key, where the server wants one")] = (
        None
    )

    @model_validator(mode="before")
    @classmethod
    def drop_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: field for name, field in value.items() if field is not None}
        return value


class TimedBody(Body):
    timeout_ms: Annotated[
        Count | None,
        Field(ge=1, description="the milliseconds after which the answer is of no use"),
    ] = None


class TranslateRequest(TimedBody):
    """LibreTranslate's body, with our extensions."""

    q: Annotated[Texts, Field(description="a text, or an array of texts, to translate")]
    source: Annotated[Code, Field(description="a language code of GET /languages, or auto")] = (
        "auto"
    )
    target: Annotated[Code, Field(description="a language code of GET /languages")]
    format: Annotated[Literal["text", "html"], Field(description="text or html")] = "text"
    alternatives: Annotated[Count, Field(ge=0, description="the number of alternatives wanted")] = 0
    beam_size: Annotated[
        Count | None, Field(ge=1, description="the number of hypotheses to keep, 1 for greedy")
    ] = None
    max_new_tokens: Annotated[
        Count | None, Field(ge=1, description="the most tokens that a sentence may have")
    ] = None
    attention: Annotated[bool, Field(description="true for the alignment weights")] = False
    formality: Annotated[
        Formality,
        Field(
            description="default, more, less, prefer_more or prefer_less: how the listener is "
            "addressed, in languages that have levels"
        ),
    ] = "default"
    keep: Annotated[list[Term], Field(description="terms of the text that stay as they are")] = []
    glossary: Annotated[
        dict[Term, Term], Field(description="terms of the text with their translations")
    ] = {}
    min_score: Annotated[
        float,
        Field(
            ge=0.0,
            le=1.0,
            description="a translation with a lower score comes back as its source, marked unsure",
        ),
    ] = 0.0
    stream: Annotated[
        bool, Field(description="true for server-sent events: token, ..., token, done")
    ] = False


class DetectRequest(Body):
    q: Annotated[str, Field(min_length=1, description="the text whose language is wanted")]


class ClassifyParameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    top_k: Annotated[Count | None, Field(ge=1, description="the number of labels wanted")] = None
    function_to_apply: Annotated[
        Literal["softmax", "sigmoid", "none"] | None, Field(description="softmax, sigmoid or none")
    ] = None
    model: Annotated[
        str | None, Field(max_length=128, description="the name of a model of GET /models")
    ] = None


class ClassifyRequest(TimedBody):
    """Hugging Face's body; `text` is accepted for `inputs`."""

    inputs: Annotated[Texts, Field(description="a text, or an array of texts, to classify")]
    parameters: Annotated[ClassifyParameters, Field(description="an object of parameters")] = (
        ClassifyParameters()
    )

    @model_validator(mode="before")
    @classmethod
    def accept_text(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("text") is None:
            return value
        if value.get("inputs") is not None:
            raise fault("send either `inputs` or `text`, not both")
        return {**value, "inputs": value["text"]}


REQUESTS: tuple[type[Body], ...] = (TranslateRequest, ClassifyRequest, DetectRequest)


class Reply(BaseModel):
    """A response body; the field names on the wire are camelCase, as LibreTranslate's."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class DetectedLanguage(Reply):
    confidence: Annotated[float, Field(ge=0, le=100)]
    language: str


class AlignedSentence(BaseModel):
    """How much each target token looked at each source token: weights[target][source]."""

    source_tokens: list[str]
    target_tokens: list[str]
    weights: list[list[float]]


class TranslateResponse(Reply):
    """One value, or one list element for each text where `q` was an array."""

    translated_text: str | list[str]
    detected_language: DetectedLanguage | list[DetectedLanguage] | None = None
    alternatives: list[str] | list[list[str]] | None = None
    attention: list[AlignedSentence] | list[list[AlignedSentence]] | None = None
    complete: Annotated[
        bool | list[bool] | None,
        Field(
            description="false if the translation was cut at its length limit or repeats itself; "
            "absent if all translations are complete"
        ),
    ] = None
    score: Annotated[
        float | list[float | None] | None,
        Field(
            description="the probability that the translation is acceptable; absent if the model "
            "cannot tell"
        ),
    ] = None
    unsure: Annotated[
        bool | list[bool] | None,
        Field(
            description="true if the score is below min_score, and the text is the source; absent "
            "if no score is"
        ),
    ] = None


class LabelledScore(BaseModel):
    label: str
    score: float


class LanguageInfo(BaseModel):
    code: str
    name: str
    targets: list[str]


class LanguageName(BaseModel):
    code: str
    name: str


class FrontendLanguages(BaseModel):
    source: LanguageName
    target: LanguageName


class FrontendSettings(Reply):
    """What LibreTranslate's own page asks for first."""

    api_keys: bool
    char_limit: int
    files_translation: bool = False
    frontend_timeout: int = 500
    key_required: bool
    language: FrontendLanguages
    suggestions: bool = False
    supported_files_format: list[str] = []


class QualityFigure(BaseModel):
    data: str
    metric: str
    value: float
    precision: str
    pair: str | None = None
    decoding: str | None = None


class ModelInfo(BaseModel):
    """What is loaded under one name."""

    name: str
    version: str
    task: str
    cell: str
    description: str
    languages: list[str]
    pairs: list[str]
    labels: list[str]
    precision: str
    device: str
    num_bytes: int
    licences: list[str]
    commercial_use: bool
    headlines: list[QualityFigure]
    quality: list[QualityFigure]


class Problem(BaseModel):
    """RFC 9457, with the extra member that LibreTranslate and Hugging Face clients read."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str
