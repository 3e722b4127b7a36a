"""GET /models."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class QualityFigure(BaseModel):
    data: str
    metric: str
    value: float
    precision: str
    pair: str | None = None
    decoding: str | None = None


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
