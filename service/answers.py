"""What the pipeline is asked for and what it gives, in its own words; the wire has others."""

from dataclasses import dataclass
from typing import Literal

from service.batch import Timings
from service.documents import Translation


@dataclass(frozen=True)
class ClassifyOptions:
    """How texts are classified.

    Attributes:
        model: name of a model; None chooses by each text's language.
        top_k: best labels given; None gives all.
        function_to_apply: `softmax` (default), `sigmoid`, or `none` for the model's raw scores.
    """

    model: str | None = None
    top_k: int | None = None
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = None


@dataclass(frozen=True)
class LabelScore:
    label: str
    score: float


@dataclass(frozen=True)
class Language:
    """A language that can be translated from, and where to."""

    code: str
    name: str
    targets: list[str]


@dataclass(frozen=True)
class Answer:
    """What every task's answer says of its making."""

    model_name: str
    model_version: str
    timings: Timings


@dataclass(frozen=True)
class ClassifyAnswer(Answer):
    labels: list[list[LabelScore]]


@dataclass(frozen=True)
class TranslateAnswer(Answer):
    translations: list[Translation]


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


News = Started | Delta | TranslateAnswer
