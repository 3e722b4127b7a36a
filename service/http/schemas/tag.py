"""POST /tag, on Hugging Face's wire."""

from typing import Annotated

from pydantic import BaseModel, Field

from service.answers import Aggregation, TagOptions
from service.http.schemas.bodies import Parameters, TimedBody
from service.http.schemas.details import DetailsShown, StatesDetails, find_states
from service.http.schemas.fields import Count, Flag, Inputs, ModelName, list_texts


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
