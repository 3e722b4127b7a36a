"""The wire of Hugging Face's text-embeddings-inference: POST /predict and GET /info."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from service.answers import ClassifyOptions
from service.http.requests.faults import fault
from service.http.schemas.bodies import TimedBody
from service.http.schemas.fields import Flag, Text, check_texts


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
