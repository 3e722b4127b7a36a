"""OpenAI's completions and list of models.

https://platform.openai.com/docs/api-reference/completions
"""

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.answers import Finish, GeneratedText, GenerateOptions, Prompt, TokenDelta
from service.http.requests.faults import fault, kind_of
from service.http.schemas import (
    Flag,
    ModelName,
    Parameters,
    PositiveCount,
    Problem,
    TimedBody,
    list_texts,
    refuse_bool,
)
from service.http.wires.tgi import ConditionFeatures, ConditionLabel, Positive, Seed, Stop, TopP

FINISH_REASONS: dict[Finish, str] = {"eos": "stop", "stop": "stop", "length": "length"}

Temperature = Annotated[
    float, Field(ge=0.0, le=2.0, allow_inf_nan=False), BeforeValidator(refuse_bool)
]
Zero = Annotated[float, Field(ge=0.0, le=0.0), BeforeValidator(refuse_bool)]


def check_prompts(value: object) -> object:
    """Refuses what is not a text before pydantic tries every branch of the union."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise fault("is an empty array")
    for item in items:
        if not isinstance(item, str):
            raise fault("must be a string or an array of strings, got {kind}", kind=kind_of(item))
    return value


class StreamOptions(Parameters):
    include_usage: Annotated[Flag, Field(description="true for a last event with the usage")] = (
        False
    )


class CompletionRequest(TimedBody):
    """OpenAI's body; unknown fields are refused, since what they ask for would not be done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Annotated[
        ModelName | None, Field(description="the name of a model of GET /v1/models")
    ] = None
    prompt: Annotated[
        str | Annotated[list[str], Field(min_length=1)],
        BeforeValidator(check_prompts),
        Field(description="a text to go on from, or an array of texts"),
    ] = ""
    label: ConditionLabel = None
    features: ConditionFeatures = None
    max_tokens: Annotated[
        PositiveCount, Field(description="the most tokens that a text may have")
    ] = 16
    temperature: Annotated[
        Temperature, Field(description="0 to 2; 0 takes the likeliest token each time")
    ] = 1.0
    top_p: Annotated[
        TopP, Field(description="a number above 0, at most 1: the probability of those drawn from")
    ] = 1.0
    top_k: Annotated[
        PositiveCount | None, Field(description="the number of likely tokens to draw from")
    ] = None
    repetition_penalty: Annotated[
        Positive,
        Field(description="a number above 1 to make tokens of the text so far less likely"),
    ] = 1.0
    n: Annotated[PositiveCount, Field(description="the number of texts for each prompt")] = 1
    seed: Annotated[
        Seed | None,
        Field(description="a whole number below 2^64; the same one gives the same text again"),
    ] = None
    stop: Annotated[
        Stop | tuple[Stop, ...],
        Field(description="a string, or an array of strings of 1 to 200 characters, that end it"),
    ] = ()
    stream: Annotated[
        Flag, Field(description="true for server-sent events, the last of which is [DONE]")
    ] = False
    stream_options: Annotated[
        StreamOptions | None, Field(description="an object with include_usage")
    ] = None
    echo: Annotated[Flag, Field(description="true to have the prompt before its text")] = False
    user: Annotated[str | None, Field(description="anything; it is not looked at")] = None
    best_of: Annotated[
        int | None, Field(ge=1, le=1, description="1 or nothing; n gives several texts")
    ] = None
    frequency_penalty: Annotated[
        Zero, Field(description="0 or nothing; there is repetition_penalty")
    ] = 0.0
    presence_penalty: Annotated[
        Zero, Field(description="0 or nothing; there is repetition_penalty")
    ] = 0.0

    @property
    def prompts(self) -> list[Prompt]:
        features = None if self.features is None else tuple(self.features)
        return [Prompt(text, self.label, features) for text in list_texts(self.prompt)]

    @property
    def options(self) -> GenerateOptions:
        return GenerateOptions(
            model=self.model,
            max_new_tokens=self.max_tokens,
            temperature=self.temperature,
            top_k=self.top_k or 0,
            top_p=self.top_p,
            repetition_penalty=self.repetition_penalty,
            seed=self.seed,
            stop=(self.stop,) if isinstance(self.stop, str) else self.stop,
            num_texts=self.n,
            with_prompt=self.echo,
        )

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return self.stream_options is not None and self.stream_options.include_usage


class CompletionChoice(BaseModel):
    index: int
    text: str
    logprobs: dict[str, float] | None = (
        None  # always null; generators of clients know no null alone
    )
    finish_reason: Literal["stop", "length"] | None


class CompletionUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """An answer, or the data of a server-sent event with further text."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage | None = None


class ModelCard(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "seqserve"


class ModelCards(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class ErrorObject(BaseModel):
    """What OpenAI's clients read of an error."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class CompletionProblem(Problem):
    """RFC 9457, with OpenAI's member."""

    error: ErrorObject  # type: ignore[assignment]


def describe_error(status: int, message: str) -> ErrorObject:
    """An error in OpenAI's words."""
    types = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    fallback = "invalid_request_error" if status < 500 else "server_error"
    return ErrorObject(message=message, type=types.get(status, fallback))


class CompletionWriter:
    """The answers to one request, which have some members in common.

    Args:
        request: its body.
        request_id: of the request.
        model_name: that answers.
    """

    def __init__(self, request: CompletionRequest, request_id: str, model_name: str) -> None:
        self._request = request
        self._common = {
            "id": f"cmpl-{request_id}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model_name,
        }

    def show(self, texts: Sequence[GeneratedText]) -> dict[str, Any]:
        """The whole answer."""
        choices = [
            show_choice(index, (text.prompt if self._request.echo else "") + text.text, text.finish)
            for index, text in enumerate(texts)
        ]
        return {**self._common, "choices": choices, "usage": self.show_usage(texts)}

    def show_prompts(self) -> list[dict[str, Any]]:
        """What a stream begins with: the prompts, if they are asked for."""
        if not self._request.echo:
            return []
        indices = range(self._request.n)
        return [
            self._event(show_choice(number * self._request.n + index, prompt.text, None))
            for number, prompt in enumerate(self._request.prompts)
            for index in indices
        ]

    def show_delta(self, delta: TokenDelta) -> dict[str, Any] | None:
        """Further text; None if there is none."""
        finish = delta.finished.finish if delta.finished else None
        if not delta.token.text and finish is None:
            return None
        return self._event(show_choice(delta.index, delta.token.text, finish))

    def show_end(self, texts: Sequence[GeneratedText]) -> dict[str, Any]:
        """What a stream ends with: the usage."""
        return {**self._common, "choices": [], "usage": self.show_usage(texts)}

    def show_usage(self, texts: Sequence[GeneratedText]) -> dict[str, int]:
        num_read = sum(text.num_prompt_tokens for text in texts[:: self._request.n])
        num_written = sum(text.num_tokens for text in texts)
        return {
            "prompt_tokens": num_read,
            "completion_tokens": num_written,
            "total_tokens": num_read + num_written,
        }

    def _event(self, choice: dict[str, Any]) -> dict[str, Any]:
        usage = {"usage": None} if self._request.wants_usage else {}
        return {**self._common, "choices": [choice], **usage}


def show_choice(index: int, text: str, finish: Finish | None) -> dict[str, Any]:
    reason = None if finish is None else FINISH_REASONS[finish]
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
