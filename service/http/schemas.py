"""Request and response bodies, on the wire formats of LibreTranslate and Hugging Face.

Limits that an operator sets are not known here: the pipeline checks them.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from service.answers import (
    Aggregation,
    ClassifyOptions,
    Formality,
    StatesOptions,
    TagOptions,
    TranslateOptions,
)
from service.http.requests.faults import fault, kind_of


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


def refuse_bool_for_share(value: object) -> object:
    if isinstance(value, bool):
        raise fault("must be a number from 0 to 1, got true or false")
    return value


def read_strategy(value: object) -> object:
    """What transformers calls the ways to cut one text, as true or false."""
    return STRATEGIES.get(value, value) if isinstance(value, str) else refuse_number(value)


Strategy = Literal["longest_first", "only_first", "do_not_truncate"]
MAX_TERM_CHARS, MAX_NAME_CHARS = 200, 64
STRATEGIES: dict[str, bool] = {
    strategy: strategy != "do_not_truncate" for strategy in get_args(Strategy)
}
Truncation = Annotated[bool, BeforeValidator(read_strategy, json_schema_input_type=bool | Strategy)]
# For the documentation alone: the pipeline says more of a blank text than a pattern can. Python,
# unlike ECMA 262, takes U+001C to U+001F and U+0085 for white space; U+00AD is not read.
SPACE = r"\s\u001c-\u001f\u0085\u00ad"
NOT_BLANK: JsonDict = {"pattern": rf"^[{SPACE}]*[^{SPACE}]"}


def refuse_number(value: object) -> object:
    # pydantic takes 1 for true.
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise fault("must be true or false, got a number")
    return value


Flag = Annotated[bool, BeforeValidator(refuse_number)]
FLAG: TypeAdapter[bool] = TypeAdapter(Flag)
Text = Annotated[str, Field(min_length=1, json_schema_extra=NOT_BLANK)]
# Among others a blank text is translated, but not classified.
Texts = Annotated[
    Text | Annotated[list[str], Field(min_length=1, json_schema_extra={"contains": NOT_BLANK})],
    BeforeValidator(check_texts),
]
Inputs = Annotated[
    Text
    | Annotated[
        list[Annotated[str, Field(json_schema_extra=NOT_BLANK)]],
        Field(min_length=1),
    ],
    BeforeValidator(check_texts),
]
# Far above every real limit; it keeps numbers with thousands of digits out of messages.
Count = Annotated[int, Field(ge=0, le=10**9), BeforeValidator(refuse_bool)]
Share = Annotated[
    float, Field(ge=0.0, le=1.0, allow_inf_nan=False), BeforeValidator(refuse_bool_for_share)
]
PositiveCount = Annotated[int, Field(ge=1, le=10**9), BeforeValidator(refuse_bool)]
ModelName = Annotated[str, Field(max_length=128)]
Term = Annotated[str, Field(min_length=1, max_length=MAX_TERM_CHARS)]
GlossaryName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
Code = Annotated[str, Field(min_length=1, max_length=35)]


def check_glossary(value: object) -> object:
    """Refuses what is neither a name nor terms before pydantic tries both."""
    if isinstance(value, str):
        if not 0 < len(value) <= MAX_NAME_CHARS:
            raise fault("must have 1 to {limit} characters as a name", limit=MAX_NAME_CHARS)
        return value
    if not isinstance(value, dict):
        raise fault("must be a string or an object of strings, got {kind}", kind=kind_of(value))
    for text in (*value, *value.values()):
        if not isinstance(text, str):
            raise fault("has {kind} as a translation", kind=kind_of(text))
        if not 0 < len(text) <= MAX_TERM_CHARS:
            raise fault(
                "has a term or a translation that does not have 1 to {limit} characters",
                limit=MAX_TERM_CHARS,
            )
    return value


def list_texts(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def drop_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: field for name, field in value.items() if field is not None}
    return value


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
        return drop_nulls(value)


class Parameters(BaseModel):
    """An object of Hugging Face's within a body; null stands for a parameter that is not there.

    Unknown parameters are refused: what they ask for would not be done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def drop_nulls(cls, value: Any) -> Any:
        return drop_nulls(value)


class TimedBody(Body):
    timeout_ms: Annotated[
        PositiveCount | None,
        Field(description="the milliseconds after which the answer is of no use"),
    ] = None


class StatesParameters(Parameters):
    """Which states of a model are wanted; null stands for the choice of the server."""

    layers: Annotated[
        tuple[Annotated[str, Field(max_length=32)], ...] | None,
        Field(min_length=1, description="an array of names of layers of GET /models"),
    ] = None
    units: Annotated[
        tuple[Count, ...] | None,
        Field(min_length=1, description="an array of numbers of units, from 0"),
    ] = None
    values: Annotated[
        tuple[Literal["hidden", "cell"], ...] | None,
        Field(min_length=1, description="an array of hidden, cell or both"),
    ] = None

    @property
    def options(self) -> StatesOptions:
        return StatesOptions(self.layers, self.units, self.values)


class Details(Parameters):
    """What is wanted beside the answer."""

    states: Annotated[
        StatesParameters | None,
        Field(description="an object with layers, units and values, or an empty one"),
    ] = None

    @property
    def state_options(self) -> StatesOptions | None:
        return None if self.states is None else self.states.options


def read_details(value: object) -> object:
    """Details may be asked for by true alone."""
    if isinstance(value, dict | Details):
        return value
    try:
        is_wanted = FLAG.validate_python(value)
    except ValidationError:
        raise fault("must be true, false or an object, got {kind}", kind=kind_of(value)) from None
    return {} if is_wanted else None


def read_states_details(value: object) -> object:
    """Details that have nothing but states."""
    details = read_details(value)
    if details == {}:
        raise fault("has no `states`")
    return details


WantedDetails = Annotated[
    Details | None, BeforeValidator(read_details, json_schema_input_type=bool | Details)
]
StatesDetails = Annotated[
    Details | None,
    BeforeValidator(read_states_details, json_schema_input_type=Literal[False] | Details),
    Field(description="an object with states, for what the model holds after each token"),
]


def find_states(details: Details | None) -> StatesOptions | None:
    return None if details is None else details.state_options


class TranslateRequest(TimedBody):
    """LibreTranslate's body, with our extensions."""

    q: Annotated[Texts, Field(description="a text, or an array of texts, to translate")]
    source: Annotated[Code, Field(description="a language code of GET /languages, or auto")] = (
        "auto"
    )
    target: Annotated[Code, Field(description="a language code of GET /languages")]
    format: Annotated[Literal["text", "html"], Field(description="text or html")] = "text"
    alternatives: Annotated[Count, Field(description="the number of alternatives wanted")] = 0
    beam_size: Annotated[
        PositiveCount | None, Field(description="the number of hypotheses to keep, 1 for greedy")
    ] = None
    max_new_tokens: Annotated[
        PositiveCount | None, Field(description="the most tokens that a sentence may have")
    ] = None
    attention: Annotated[Flag, Field(description="true for the alignment weights")] = False
    formality: Annotated[
        Formality,
        Field(
            description="default, more, less, prefer_more or prefer_less: how the listener is "
            "addressed, in languages that have levels"
        ),
    ] = "default"
    keep: Annotated[list[Term], Field(description="terms of the text that stay as they are")] = []
    glossary: Annotated[
        GlossaryName | dict[Term, Term],
        BeforeValidator(check_glossary),
        Field(
            description="terms of the text with their translations, or the name of a glossary of "
            "GET /glossaries"
        ),
    ] = {}
    min_score: Annotated[
        Share,
        Field(
            description="a translation with a lower score comes back as its source, marked unsure",
        ),
    ] = 0.0
    stream: Annotated[
        Flag, Field(description="true for server-sent events: token, ..., token, done")
    ] = False
    details: StatesDetails = None

    @property
    def texts(self) -> list[str]:
        return list_texts(self.q)

    @property
    def is_single(self) -> bool:
        return isinstance(self.q, str)

    @property
    def own_glossary(self) -> dict[str, str]:
        """The terms that came with the request."""
        return {} if isinstance(self.glossary, str) else self.glossary

    @property
    def options(self) -> TranslateOptions:
        return TranslateOptions(
            source=self.source,
            target=self.target,
            text_format=self.format,
            alternatives=self.alternatives,
            beam_size=self.beam_size,
            max_new_tokens=self.max_new_tokens,
            attention=self.attention,
            formality=self.formality,
            terms={term: term for term in self.keep} | self.own_glossary,
            glossary=self.glossary if isinstance(self.glossary, str) else "",
            min_score=self.min_score,
            states=find_states(self.details),
        )


class GenerateParameters(Parameters):
    num_beams: Annotated[
        PositiveCount | None, Field(description="the number of hypotheses to keep, 1 for greedy")
    ] = None
    max_new_tokens: Annotated[
        PositiveCount | None, Field(description="the most tokens that a sentence may have")
    ] = None


class TranslateParameters(Parameters):
    src_lang: Annotated[Code, Field(description="a language code of GET /languages, or auto")] = (
        "auto"
    )
    tgt_lang: Annotated[Code, Field(description="a language code of GET /languages")]
    truncation: Annotated[
        str | None, Field(description="one of transformers' names; no text needs to be cut")
    ] = None
    clean_up_tokenization_spaces: Annotated[
        Flag, Field(description="true or false; there are no such spaces")
    ] = True
    details: StatesDetails = None
    generate_parameters: Annotated[
        GenerateParameters, Field(description="an object with num_beams and max_new_tokens")
    ] = GenerateParameters()


class PipelineTranslateRequest(TimedBody):
    """Hugging Face's body for translations."""

    inputs: Annotated[Texts, Field(description="a text, or an array of texts, to translate")]
    parameters: Annotated[
        TranslateParameters, Field(description="an object with tgt_lang, and src_lang or none")
    ]

    @property
    def texts(self) -> list[str]:
        return list_texts(self.inputs)

    @property
    def options(self) -> TranslateOptions:
        asked = self.parameters
        return TranslateOptions(
            source=asked.src_lang,
            target=asked.tgt_lang,
            beam_size=asked.generate_parameters.num_beams,
            max_new_tokens=asked.generate_parameters.max_new_tokens,
            states=find_states(asked.details),
        )


class DetectRequest(Body):
    q: Annotated[Text, Field(description="the text whose language is wanted")]


class Switches(BaseModel):
    """What may be asked for in `parameters` or beside `inputs`."""

    truncate: Annotated[
        Flag, Field(description="true to cut a text that is too long instead of refusing it")
    ] = False
    details: Annotated[
        WantedDetails,
        Field(
            description="true for an object per text instead of a list, or an object with states"
        ),
    ] = None
    explain: Annotated[
        Flag, Field(description="true for details with the weight of each token for the label")
    ] = False


class LabelParameters(Parameters):
    """Which model reads a text, how much of it, and which labels it gives."""

    top_k: Annotated[PositiveCount | None, Field(description="the number of labels wanted")] = None
    return_all_scores: Annotated[
        Flag | None,
        Field(description="true for all labels, false for the best one; overrides top_k"),
    ] = None
    function_to_apply: Annotated[
        Literal["softmax", "sigmoid", "none"] | None, Field(description="softmax, sigmoid or none")
    ] = None
    model: Annotated[ModelName | None, Field(description="the name of a model of GET /models")] = (
        None
    )
    truncation: Annotated[
        Truncation, Field(description="true or false, or one of transformers' names; as truncate")
    ] = False
    max_length: Annotated[
        PositiveCount | None, Field(description="the number of tokens that a text may have")
    ] = None

    @property
    def num_labels(self) -> int | None:
        """The number of labels wanted, None for all; transformers has the same precedence."""
        if self.return_all_scores is None:
            return self.top_k
        return None if self.return_all_scores else 1


class ClassifyParameters(Switches, LabelParameters):
    """All parameters of a classification."""


class ClassifyRequest(TimedBody, Switches):
    """Hugging Face's body; `text` is accepted for `inputs`."""

    inputs: Annotated[Inputs, Field(description="a text, or an array of texts, to classify")]
    parameters: Annotated[
        ClassifyParameters,
        Field(
            description="an object of parameters",
            default_factory=ClassifyParameters,
        ),
    ]

    @model_validator(mode="before")
    @classmethod
    def accept_text(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("text") is None:
            return value
        if value.get("inputs") is not None:
            raise fault("send either `inputs` or `text`, not both")
        return {**value, "inputs": value["text"]}

    @property
    def texts(self) -> list[str]:
        return list_texts(self.inputs)

    @property
    def wants_details(self) -> bool:
        return self.wanted_details is not None or self.wants_explanation

    @property
    def wanted_details(self) -> Details | None:
        """Those of the parameters, or else those beside `inputs`."""
        asked = self.parameters.details
        return self.details if asked is None else asked

    @property
    def wants_explanation(self) -> bool:
        return self.explain or self.parameters.explain

    @property
    def options(self) -> ClassifyOptions:
        asked = self.parameters
        return ClassifyOptions(
            model=asked.model,
            top_k=asked.num_labels,
            function_to_apply=asked.function_to_apply,
            max_length=asked.max_length,
            truncate="end" if self.truncate or asked.truncate or asked.truncation else None,
            explain=self.wants_explanation,
            states=find_states(self.wanted_details),
        )


def check_inputs(value: object) -> object:
    """Refuses what is neither one text nor a batch; `["a", "b"]` is one input of two texts."""
    if isinstance(value, list) and any(isinstance(item, list) for item in value):
        for index, item in enumerate(value):
            if not (isinstance(item, list) and len(item) == 1):
                raise fault("has no array of one string at index {index}", index=index)
        return [check_texts(item) for item in value]
    if isinstance(value, list) and len(value) > 1:
        raise fault("is a pair of texts, which no model supports")
    return check_texts(value)


def lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class PredictRequest(TimedBody):
    """The body of Hugging Face's text-embeddings-inference."""

    inputs: Annotated[
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=1)]
        | Annotated[
            list[Annotated[list[Text], Field(min_length=1, max_length=1)]], Field(min_length=1)
        ],
        BeforeValidator(check_inputs),
        Field(description="a text, or an array of arrays of one text each"),
    ]
    truncate: Annotated[
        Flag, Field(description="true to cut a text that is too long instead of refusing it")
    ] = False
    truncation_direction: Annotated[
        Literal["right", "left"],
        BeforeValidator(lower_case),
        Field(description="right or left, the end that is cut"),
    ] = "right"
    raw_scores: Annotated[Flag, Field(description="true for scores as the model gives them")] = (
        False
    )

    @property
    def is_single(self) -> bool:
        """Whether the answer is one list of labels rather than a list of such lists."""
        return not any(isinstance(item, list) for item in self.inputs)

    @property
    def texts(self) -> list[str]:
        return [item if isinstance(item, str) else item[0] for item in self._items]

    @property
    def options(self) -> ClassifyOptions:
        end: Literal["end", "start"] = "end" if self.truncation_direction == "right" else "start"
        return ClassifyOptions(
            function_to_apply="none" if self.raw_scores else None,
            truncate=end if self.truncate else None,
        )

    @property
    def _items(self) -> Sequence[str | list[str]]:
        return [self.inputs] if isinstance(self.inputs, str) else self.inputs


class TagParameters(Parameters):
    aggregation_strategy: Annotated[
        Aggregation,
        Field(
            description="none, simple, first, average or max: whether and how tokens are joined "
            "to entities"
        ),
    ] = "none"
    ignore_labels: Annotated[
        list[Annotated[str, Field(max_length=128)]],
        Field(description="labels that are left out"),
    ] = ["O"]
    stride: Annotated[
        Count | None, Field(description="a number; long texts are cut by the server itself")
    ] = None
    render: Annotated[
        Flag, Field(description="true for the text with white space where the labels say")
    ] = False
    details: StatesDetails = None
    model: Annotated[ModelName | None, Field(description="the name of a model of GET /models")] = (
        None
    )


class TagRequest(TimedBody):
    """Hugging Face's body for token classification."""

    inputs: Annotated[Inputs, Field(description="a text, or an array of texts, to label")]
    parameters: Annotated[
        TagParameters,
        Field(description="an object of parameters", default_factory=TagParameters),
    ]

    @property
    def texts(self) -> list[str]:
        return list_texts(self.inputs)

    @property
    def is_single(self) -> bool:
        return isinstance(self.inputs, str)

    @property
    def options(self) -> TagOptions:
        asked = self.parameters
        return TagOptions(
            model=asked.model,
            aggregation=asked.aggregation_strategy,
            ignored=frozenset(asked.ignore_labels),
            render=asked.render,
            states=find_states(asked.details),
        )


REQUESTS: tuple[type[Body], ...] = (
    TranslateRequest,
    ClassifyRequest,
    PredictRequest,
    DetectRequest,
    TagRequest,
)


class Reply(BaseModel):
    """A response body; the field names on the wire are camelCase, as LibreTranslate's."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class DetectedLanguage(Reply):
    confidence: Annotated[float, Field(ge=0, le=100)]
    language: str


class ReadToken(BaseModel):
    """A token that a model read."""

    text: str
    start: Annotated[int, Field(description="in characters (code points) of the text")]
    end: int


class StateSeriesShown(BaseModel):
    """One unit: its value after each token."""

    layer: str
    unit: int
    value: Literal["hidden", "cell"]
    values: list[float]


class StatesShown(BaseModel):
    """What a model held after each token that it read."""

    tokens: list[ReadToken]
    series: list[StateSeriesShown]


class DetailsShown(BaseModel):
    """What was asked for by `details`."""

    states: StatesShown


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

    details: DetailsShown | list[DetailsShown | None] | None = None


class TranslationEvent(BaseModel):
    """A server-sent event of a translation; the data is JSON."""

    event: Literal["token", "done", "error"]
    data: str


class PipelineTranslation(BaseModel):
    """Hugging Face's answer for a text."""

    translation_text: str
    complete: bool | None = None
    details: DetailsShown | None = None


class LabelledScore(BaseModel):
    label: str
    score: float


class TokenWeight(BaseModel):
    """How much a token adds to the probability of the first label."""

    text: str
    start: Annotated[int, Field(description="in characters (code points) of the text")]
    end: int
    weight: Annotated[float, Field(ge=-1, le=1)]


class DetailedClassification(BaseModel):
    """What `details` gives for a text; `tokens` is there with `explain`."""

    labels: list[LabelledScore]
    model: str
    num_tokens: Annotated[int, Field(description="tokens that the model read")]
    truncated: Annotated[bool, Field(description="whether the text had more tokens")]
    tokens: list[TokenWeight] | None = None
    details: DetailsShown | None = None


class TaggedEntity(BaseModel):
    """A token with its `entity`, or several with their `entity_group`, as transformers gives."""

    entity: str | None = None
    entity_group: str | None = None
    score: float
    index: Annotated[int | None, Field(description="of the token")] = None
    word: str
    start: Annotated[int, Field(description="in characters (code points) of the text")]
    end: int


class DetailedTagging(BaseModel):
    """What `render` and `details` give for a text."""

    entities: list[TaggedEntity]
    text: str | None = None
    details: DetailsShown | None = None


class LanguageInfo(BaseModel):
    code: str
    name: str
    targets: list[str]


class GlossaryDirection(BaseModel):
    source: str
    target: str
    num_terms: int


class GlossaryInfo(BaseModel):
    """A named glossary, and the directions for which it has terms."""

    name: str
    directions: list[GlossaryDirection]


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


class ProbeStatus(BaseModel):
    status: str


class QualityFigure(BaseModel):
    data: str
    metric: str
    value: float
    precision: str
    pair: str | None = None
    decoding: str | None = None


class ClassifierLabels(BaseModel):
    id2label: dict[str, str]
    label2id: dict[str, int]


class ClassifierInfo(BaseModel):
    classifier: ClassifierLabels


class ServerInfo(BaseModel):
    """What clients of text-embeddings-inference ask for first; of the first classifier by name."""

    model_id: str
    model_sha: str
    model_dtype: str
    model_type: ClassifierInfo
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_batch_requests: int
    max_client_batch_size: int
    auto_truncate: bool = False
    tokenization_workers: int = 1
    version: str


class ModelCondition(BaseModel):
    """What a language model takes besides a prompt: one of its labels, or a vector of numbers."""

    labels: list[str]
    num_features: int | None


class ShownLayer(BaseModel):
    """A layer of a model whose states can be asked for."""

    name: str
    units: int
    values: list[Literal["hidden", "cell"]]


class ShownFind(BaseModel):
    """A unit that follows a property of the text, with the correlation on held-out text."""

    layer: str
    unit: int
    value: Literal["hidden", "cell"]
    property: str
    correlation: float


class ModelStates(BaseModel):
    """What `details.states` can be asked for."""

    layers: list[ShownLayer]
    finds: list[ShownFind]


class ModelInfo(BaseModel):
    """What is loaded under one name."""

    name: str
    version: str
    task: str
    purpose: Annotated[str, Field(description='what a classifier tells, as "sentiment"')]
    answers_by_default: Annotated[
        bool, Field(description="false if the model answers only requests that name it")
    ]
    cell: str
    description: str
    languages: list[str]
    pairs: list[str]
    labels: list[str]
    condition: ModelCondition | None = None
    states: Annotated[
        ModelStates | None, Field(description="null if the model does not show its states")
    ] = None
    lookahead: Annotated[
        int | None,
        Field(
            description="tokens that a tagger reads on before it labels one of /tag/stream; null "
            "if it reads whole texts only"
        ),
    ] = None
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
