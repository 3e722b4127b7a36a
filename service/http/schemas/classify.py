"""POST /classify, on Hugging Face's wire."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from service.answers import ClassifyOptions
from service.http.requests.faults import fault
from service.http.schemas.bodies import Parameters, TimedBody
from service.http.schemas.details import Details, DetailsShown, WantedDetails, find_states
from service.http.schemas.fields import (
    Flag,
    Inputs,
    ModelName,
    PositiveCount,
    list_texts,
    refuse_number,
)

Strategy = Literal["longest_first", "only_first", "do_not_truncate"]
STRATEGIES: dict[str, bool] = {
    strategy: strategy != "do_not_truncate" for strategy in get_args(Strategy)
}


def read_strategy(value: object) -> object:
    """What transformers calls the ways to cut one text, as true or false."""
    return STRATEGIES.get(value, value) if isinstance(value, str) else refuse_number(value)


Truncation = Annotated[bool, BeforeValidator(read_strategy, json_schema_input_type=bool | Strategy)]


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


NO_PARAMETERS = ClassifyParameters()


class ClassifyRequest(TimedBody, Switches):
    """Hugging Face's body; `text` is accepted for `inputs`."""

    inputs: Annotated[Inputs, Field(description="a text, or an array of texts, to classify")]
    parameters: Annotated[
        ClassifyParameters,
        Field(
            description="an object of parameters",
            default_factory=lambda: NO_PARAMETERS,  # a default would be in the documentation
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
