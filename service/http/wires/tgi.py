"""Hugging Face's text-generation wire, as text-generation-inference (TGI) speaks it.

https://huggingface.co/docs/text-generation-inference/reference/api_reference
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from service.answers import (
    Finish,
    GeneratedText,
    GeneratedToken,
    GenerateOptions,
    Prompt,
    TokenDelta,
)
from service.errors import ServingError
from service.http.requests.faults import fault
from service.http.schemas import (
    Flag,
    ModelName,
    Parameters,
    PositiveCount,
    StatesShown,
    TimedBody,
    WantedDetails,
    find_states,
    refuse_bool,
)

Stop = Annotated[str, Field(min_length=1, max_length=200)]
Seed = Annotated[int, Field(ge=0, lt=2**64), BeforeValidator(refuse_bool)]
Positive = Annotated[
    float, Field(gt=0.0, le=1000.0, allow_inf_nan=False), BeforeValidator(refuse_bool)
]
TopP = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False), BeforeValidator(refuse_bool)]
Features = Annotated[
    list[Annotated[float, Field(allow_inf_nan=False), BeforeValidator(refuse_bool)]],
    Field(min_length=1),
]
ConditionLabel = Annotated[
    str | None, Field(max_length=200, description="a label that the model knows")
]
ConditionFeatures = Annotated[
    Features | None, Field(description="an array of as many numbers as the model takes")
]
No = Annotated[Flag, BeforeValidator(lambda value: refuse_true(value))]

FINISH_REASONS: dict[Finish, str] = {
    "eos": "eos_token",
    "stop": "stop_sequence",
    "length": "length",
}


def refuse_true(value: object) -> object:
    if value is True:
        raise fault("is not supported")
    return value


class TextParameters(Parameters):
    """How texts are generated; the order of the steps is that of the fields."""

    model: Annotated[ModelName | None, Field(description="the name of a model of GET /models")] = (
        None
    )
    max_new_tokens: Annotated[
        PositiveCount | None, Field(description="the most tokens that a text may have")
    ] = None
    do_sample: Annotated[
        Flag,
        Field(
            description="true to draw the tokens; so do a temperature, top_k or top_p, and without "
            "any of them each token is the likeliest"
        ),
    ] = False
    repetition_penalty: Annotated[
        Positive | None,
        Field(description="a number above 1 to make tokens of the text so far less likely"),
    ] = None
    temperature: Annotated[
        Positive | None,
        Field(description="a number above 0; below 1 likely tokens are drawn more often"),
    ] = None
    top_k: Annotated[
        PositiveCount | None, Field(description="the number of likely tokens to draw from")
    ] = None
    top_p: Annotated[
        TopP | None,
        Field(description="a number above 0, at most 1: the probability of those drawn from"),
    ] = None
    seed: Annotated[
        Seed | None,
        Field(description="a whole number below 2^64; the same one gives the same text again"),
    ] = None
    stop: Annotated[
        tuple[Stop, ...],
        Field(description="an array of strings of 1 to 200 characters that end a text"),
    ] = ()
    return_full_text: Annotated[
        Flag, Field(description="true to have the prompt before its text")
    ] = False
    num_return_sequences: Annotated[
        PositiveCount, Field(description="the number of texts; with several the answer is an array")
    ] = 1
    details: Annotated[
        WantedDetails,
        Field(
            description="true for the tokens and why the text ends, or an object with states, for "
            "what the model holds after each token, too"
        ),
    ] = None
    truncate: Annotated[
        PositiveCount | None,
        Field(description="the number of tokens at the end of the prompt that are read"),
    ] = None
    best_of: Annotated[
        int | None,
        Field(ge=1, le=1, description="1 or nothing; num_return_sequences gives several texts"),
    ] = None
    decoder_input_details: Annotated[No, Field(description="false or nothing")] = False
    watermark: Annotated[No, Field(description="false or nothing")] = False

    @property
    def is_drawn(self) -> bool:
        """TGI draws, too, if anything is given that only a draw has a use for."""
        return self.do_sample or any(
            asked is not None and asked != neutral
            for asked, neutral in ((self.temperature, 1.0), (self.top_k, 0), (self.top_p, 1.0))
        )


class GenerateRequest(TimedBody):
    """TGI's body, with a label or features for models that take one."""

    inputs: Annotated[str | None, Field(description="a text to go on from, which may be empty")] = (
        None
    )
    label: ConditionLabel = None
    features: ConditionFeatures = None
    parameters: Annotated[
        TextParameters,
        Field(description="an object of parameters", default_factory=TextParameters),
    ]
    stream: Annotated[Flag, Field(description="true for server-sent events, one per token")] = False

    @model_validator(mode="after")
    def check_prompt(self) -> "GenerateRequest":
        if self.inputs is None and self.label is None and self.features is None:
            raise fault(
                "it has no `inputs`; send a text to go on from, or a `label` or `features` to "
                "models that take one"
            )
        if self.stream and self.parameters.num_return_sequences > 1:
            raise fault(
                "several texts cannot be streamed; leave out `stream` or `num_return_sequences`"
            )
        return self

    @property
    def prompts(self) -> list[Prompt]:
        features = None if self.features is None else tuple(self.features)
        return [Prompt(self.inputs or "", self.label, features)]

    @property
    def options(self) -> GenerateOptions:
        asked = self.parameters
        return GenerateOptions(
            model=asked.model,
            max_new_tokens=asked.max_new_tokens,
            temperature=(asked.temperature or 1.0) if asked.is_drawn else 0.0,
            top_k=asked.top_k or 0,
            top_p=asked.top_p or 1.0,
            repetition_penalty=asked.repetition_penalty or 1.0,
            seed=asked.seed,
            stop=asked.stop,
            keeps_stop=True,
            num_texts=asked.num_return_sequences,
            truncate=asked.truncate,
            with_prompt=asked.return_full_text,
            details=asked.details is not None,
            states=find_states(asked.details),
        )


class Token(BaseModel):
    """A token; the texts of all of them make up the generated text."""

    id: int
    text: str
    logprob: Annotated[float, Field(le=0, description="by the model itself, at temperature 1")]
    special: bool


class GenerationDetails(BaseModel):
    """Why a text ends, and its tokens."""

    finish_reason: Literal["length", "eos_token", "stop_sequence"]
    generated_tokens: int
    seed: int | None = None
    prefill: list[Token] = []
    tokens: list[Token]
    states: StatesShown | None = None


class GenerateResponse(BaseModel):
    """One text."""

    generated_text: str
    details: GenerationDetails | None = None


class StreamDetails(BaseModel):
    """Why a text ends."""

    finish_reason: Literal["length", "eos_token", "stop_sequence"]
    generated_tokens: int
    input_length: int
    seed: int | None = None
    states: StatesShown | None = None


class TokenEvent(BaseModel):
    """The data of a server-sent event: a token, and with the last one the whole text."""

    index: int
    token: Token
    generated_text: str | None
    details: StreamDetails | None


class DataEvent(BaseModel):
    """A server-sent event of a generation; the data is JSON, or [DONE]."""

    data: str


def show_text(text: GeneratedText, request: GenerateRequest) -> dict[str, Any]:
    """A text in TGI's shape."""
    shown: dict[str, Any] = {"generated_text": join_prompt(text, request)}
    if request.parameters.details is not None:
        shown["details"] = {
            "finish_reason": FINISH_REASONS[text.finish],
            "generated_tokens": text.num_tokens,
            "seed": show_seed(text, request),
            "prefill": [],
            "tokens": [show_token(token) for token in text.tokens],
            **show_states(text),
        }
    return shown


def show_texts(texts: Sequence[GeneratedText], request: GenerateRequest) -> list[dict[str, Any]]:
    return [show_text(text, request) for text in texts]


def show_delta(delta: TokenDelta, request: GenerateRequest) -> dict[str, Any]:
    """A token in TGI's shape; `index` counts from 1, as TGI does."""
    text = delta.finished
    return {
        "index": delta.position + 1,
        "token": show_token(delta.token),
        "generated_text": text and join_prompt(text, request),
        "details": text
        and {
            "finish_reason": FINISH_REASONS[text.finish],
            "generated_tokens": text.num_tokens,
            "input_length": text.num_prompt_tokens,
            "seed": show_seed(text, request),
            **show_states(text),
        },
    }


def show_error(error: ServingError) -> dict[str, Any]:
    """An error within a stream."""
    return {"error": str(error), "error_type": "generation"}


def show_token(token: GeneratedToken) -> dict[str, Any]:
    return {
        "id": token.token_id,
        "text": token.text,
        "logprob": token.log_probability,
        "special": token.is_special,
    }


def show_states(text: GeneratedText) -> dict[str, Any]:
    """The states, if they were asked for."""
    return {} if text.states is None else {"states": asdict(text.states)}


def show_seed(text: GeneratedText, request: GenerateRequest) -> int | None:
    """Nothing is drawn without one."""
    return text.seed if request.parameters.is_drawn else None


def join_prompt(text: GeneratedText, request: GenerateRequest) -> str:
    return text.prompt + text.text if request.parameters.return_full_text else text.text
