"""POST /translate, on LibreTranslate's wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from service.answers import Formality, TranslateOptions
from service.http.requests.faults import fault, kind_of
from service.http.schemas.bodies import Reply, TimedBody
from service.http.schemas.details import DetailsShown, StatesDetails, find_states
from service.http.schemas.detect import DetectedLanguage
from service.http.schemas.fields import Code, Count, Flag, PositiveCount, Share, Texts, list_texts

MAX_TERM_CHARS, MAX_NAME_CHARS = 200, 64
Term = Annotated[str, Field(min_length=1, max_length=MAX_TERM_CHARS)]
GlossaryName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]


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
    rerank: Annotated[
        Flag | None,
        Field(
            description="whether to choose among the hypotheses by how well the source follows "
            "from each, too; slower and more faithful"
        ),
    ] = None
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
            rerank=self.rerank,
            formality=self.formality,
            terms={term: term for term in self.keep} | self.own_glossary,
            glossary=self.glossary if isinstance(self.glossary, str) else "",
            min_score=self.min_score,
            states=find_states(self.details),
        )


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
