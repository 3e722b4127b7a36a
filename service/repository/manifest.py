"""The contract between export and server: the manifest of one model version.

A version is the folder `<models_dir>/<name>/<version>/` with `manifest.json`, the graphs and
`tokenizer.json`.
"""

import hashlib
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from service.errors import ArtefactError
from service.text.levels.speech_level import Level
from service.text.masking.placeables import Kind

HEADLINE_METRICS = (
    *("accuracy", "bleu", "f1", "asked label found", "nats per character"),
    *("token accuracy", "word F1", "entity F1"),
)
MANIFEST, TOKENIZER = "manifest.json", "tokenizer.json"

SENTIMENT = "sentiment"
"""The purpose of classifiers of opinions."""

Precision = Literal["fp32", "fp16", "w8", "int8"]
"""fp32: plain. fp16: float16, for GPUs. w8: int8 weights, float32 arithmetic, any device.
int8: int8 arithmetic, CPU."""

Role = Literal[
    "classifier",
    "encoder",
    "decoder",
    "writer",
    "prefill",
    "generator",
    "conditioner",
    "tagger",
    "stream_tagger",
    "slot_decoder",
    "slot_decoder_8",
    "slot_join",
    "slot_beams_2",
    "slot_beams_3",
    "slot_beams_4",
    "slot_join_beams",
    "scorer",
    "states",
]

StateValue = Literal["hidden", "cell"]
"""What a recurrent layer holds after a token: what it gives on, and what an LSTM keeps."""

Task = Annotated[
    Literal["classification", "translation", "language", "tagging", "text2text"],
    # what format 1 called it at first
    BeforeValidator(lambda task: "classification" if task == SENTIMENT else task),
]
ROLES: dict[str, tuple[Role, ...]] = {
    "classification": ("classifier",),
    "translation": ("encoder", "decoder"),
    "language": ("prefill", "generator"),
    "tagging": ("tagger",),
    "text2text": ("encoder", "writer"),
}
"""The graphs that every model of a task has; `list_roles` adds those of some."""

SLOT_STEPS: dict[int, dict[int, Role]] = {
    1: {1: "slot_decoder", 8: "slot_decoder_8"},
    2: {4: "slot_beams_2"},
    3: {4: "slot_beams_3"},
    4: {4: "slot_beams_4"},
}
"""The graphs of steps in slots, by beam size and the number of steps in a call."""

SLOT_JOINS: dict[int, Role] = {
    size: "slot_join" if size == 1 else "slot_join_beams" for size in SLOT_STEPS
}
"""The graph of joins, by beam size."""

SLOT_ROLES: tuple[Role, ...] = (
    *(role for steps in SLOT_STEPS.values() for role in steps.values()),
    *dict.fromkeys(SLOT_JOINS.values()),
)
"""The graphs that a translator may have besides: it decodes in slots where CUDA graphs pay."""

READERS: dict[str, Role] = {
    "classification": "classifier",
    "translation": "encoder",
    "language": "prefill",
    "tagging": "tagger",
    "text2text": "encoder",
}
"""The graph that reads whole texts, by task: that whose states are shown."""

LABELLED = ("classification", "tagging")
"""The tasks with labels of their own."""

PAIRED = ("translation", "text2text")
"""The tasks that make a text out of another one."""

GENERATIVE = ("language", "text2text")
"""The tasks whose texts are drawn token by token: they go on from a prompt, or answer it."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Purpose = Annotated[str, Field(pattern=r"^([a-z][a-z0-9-]{0,31})?$")]
LayerName = Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.(forward|backward))?$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Lookahead = Annotated[int, Field(ge=0, le=4)]
"""Tokens that a tagger of text as it comes in reads beyond a token before it labels it."""


def list_roles(
    task: str,
    lookahead: int | None = None,
    *,
    has_condition: bool = False,
    has_scorer: bool = False,
) -> tuple[Role, ...]:
    """The graphs that answer.

    A model with a condition, one for text as it comes in, and one that reranks have one more. That
    of the states is besides these.
    """
    condition: tuple[Role, ...] = ("conditioner",) if has_condition else ()
    step: tuple[Role, ...] = () if lookahead is None else ("stream_tagger",)
    scorer: tuple[Role, ...] = ("scorer",) if has_scorer else ()
    return (*ROLES[task], *condition, *step, *scorer)


class Part(BaseModel):
    """Base of all parts: frozen; unknown fields are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(Part):
    """One file of the version, with its checksum and size."""

    name: FileName
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    num_bytes: Annotated[int, Field(ge=0)]


class Graph(Part):
    """One ONNX graph.

    Attributes:
        inputs, outputs: names in the graph by the names that the engine uses; equal except in
            wrapped models.
    """

    role: Role
    precision: Precision
    file: FileName
    inputs: dict[str, str] = {}
    outputs: dict[str, str] = {}


class SpecialIds(Part):
    """Special token ids.

    Attributes:
        start_ids: the token that starts a translation, by target language.
        level_ids: the same for a translation at a speech level, by target language and level. It
            stands at the end of the source, too, in the place of eos.
        neutral_ids: the token that starts a text at no level in particular, by language; of models
            that rerank their translations.
        bos_id: the token before the first one of a language model's text.
    """

    pad_id: Annotated[int, Field(ge=0)]
    eos_id: int | None = None
    bos_id: int | None = None
    start_ids: dict[Language, int] = {}
    level_ids: dict[Language, dict[Level, int]] = {}
    neutral_ids: dict[Language, int] = {}

    def end_id(self, start_id: int | None) -> int | None:
        """The token that ends the source of a translation that starts with `start_id`."""
        is_level = any(start_id in found.values() for found in self.level_ids.values())
        return start_id if is_level else self.eos_id

    def list_start_ids(self, language: str) -> set[int]:
        """The tokens that may start a translation into a language."""
        levels = self.level_ids.get(language, {}).values()
        return {*levels, *([self.start_ids[language]] if language in self.start_ids else [])}


class Condition(Part):
    """What a language model's texts depend on besides the prompt: a label, or some features.

    Attributes:
        labels: the model takes one of them, as a one-hot row of features.
        num_features: or it takes this many numbers.
    """

    labels: tuple[str, ...] = ()
    num_features: Annotated[int | None, Field(ge=1)] = None

    @model_validator(mode="after")
    def _check_kind(self) -> "Condition":
        if bool(self.labels) == bool(self.num_features):
            raise ValueError("a condition is either labels or num_features")
        return self

    @property
    def size(self) -> int:
        """Features of a row."""
        return self.num_features or len(self.labels)

    def encode(self, label: str) -> tuple[float, ...]:
        """The features of a label that the model knows."""
        return tuple(float(label == each) for each in self.labels)


class Limits(Part):
    """What the model accepts and gives, in tokens, and how large its batches may be.

    Attributes:
        max_new_tokens: of the longest translation, or of a text that is generated.
        new_tokens_base, new_tokens_per_token: a translation ends at the latest after the base and
            this many tokens per source token; `export` measures both.
        max_batch_size: rows of a batch, if fewer than the server's setting.
        max_batch_tokens: padded tokens of a batch, if fewer than the server's setting.
    """

    max_input_tokens: Annotated[int, Field(ge=1)]
    max_new_tokens: Annotated[int, Field(ge=1)] = 256
    max_batch_size: Annotated[int | None, Field(ge=1)] = None
    max_batch_tokens: Annotated[int | None, Field(ge=1)] = None
    new_tokens_base: Annotated[int, Field(ge=1)] = 16
    new_tokens_per_token: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 2.0


class Source(Part):
    """Data set used to train or evaluate the weights.

    Attributes:
        weight: share of the set seen per epoch; 0 if it was used for evaluation only.
    """

    name: str
    licence: str
    commercial_use: bool
    weight: float = 1.0


class Quality(Part):
    """Figure measured on the served graphs.

    Attributes:
        pair: direction as `en-de`, for translation.
        decoding: `greedy` or `beam N`, for translation.
        signature: how it was computed.
    """

    data: str
    metric: str
    value: float
    precision: Precision
    signature: str
    pair: str | None = None
    decoding: str | None = None

    def beam_size(self) -> int:
        """Of the search that was measured; greedy, and tasks without a search, have 1."""
        name, _, size = (self.decoding or "").partition(" ")
        return int(size) if name == "beam" else 1


class ScoreFit(Part):
    """How likely a translation is acceptable: a logistic of its mean log-probability per token.

    Attributes:
        pair: direction as `en-de`.
        slope, intercept: of the logistic's argument.
        data, num_sentences: held-out sentences that it was fitted to.
        threshold: sentence chrF from which a translation counts as acceptable.
        auc: area under the curve of the held-out sentences (0.5 is chance).
    """

    pair: str
    slope: float
    intercept: float
    data: str
    num_sentences: int
    threshold: float
    auc: float

    def score(self, log_probability: float) -> float:
        """The probability (0..1) of an acceptable translation."""
        return 1.0 / (1.0 + math.exp(-(self.slope * log_probability + self.intercept)))


class Parity(Part):
    """Agreement of a graph with the float32 torch model over batch sizes and mixed lengths.

    Attributes:
        max_difference: largest absolute difference of a probability.
        agreement: share of equal top choices, 0 to 1.
    """

    precision: Precision
    provider: str
    batch_sizes: tuple[int, ...]
    max_difference: float
    agreement: float


class StateLayer(Part):
    """A layer whose states are shown; one direction of it, if it reads both ways.

    Attributes:
        units: the number of them.
        values: what is known of each unit after each token.
    """

    name: LayerName
    units: Annotated[int, Field(ge=1)]
    values: Annotated[tuple[StateValue, ...], Field(min_length=1)]


class Find(Part):
    """A unit that follows a property of the text; `models.inspect` finds them.

    Attributes:
        correlation: Pearson's, on text that the unit was not chosen by.
        data: that text.
        num_tokens: of it.
    """

    layer: LayerName
    unit: Annotated[int, Field(ge=0)]
    value: StateValue
    property: Annotated[str, Field(min_length=1)]
    correlation: Annotated[float, Field(ge=-1.0, le=1.0)]
    data: str
    num_tokens: Annotated[int, Field(ge=2)]


class Golden(Part):
    """Input and its expected output, checked at every start.

    Attributes:
        target: target language, for translation.
        features: the condition of a text that is generated, see `Condition`.
        output: label, translation, greedy continuation, or the labelled spans of a text as
            `start:end:NAME`, in tokens.
        score: probability of the label, or its mean over the tokens, or mean log-probability per
            token of the text.
    """

    text: str
    output: str
    score: float
    source: Language | None = None
    target: Language | None = None
    features: tuple[float, ...] | None = None


class Manifest(Part):
    """One version of one model.

    Attributes:
        purpose: what a classifier tells, as "sentiment" or "spam"; "" if it is not stated.
        answers_by_default: whether the model answers requests that name none: a classifier for its
            languages, a model that writes texts for prompts, its labels or its features; see
            `service.repository.defaults`.
        output_kind: what the classifier graph returns.
        lookahead: of a tagger that labels text as it comes in, too.
        pairs: translation directions.
        condition: what a language model's texts depend on besides the prompt.
        masks: the characters by which the model carries placeables through, by their kind.
        lexicons: files with the words of a language that the model learnt from, by language; see
            `service.text.lexicon`.
        states: the layers whose states are shown, if there is a graph for it.
        finds: units of them that follow a property of the text, the closest first.
        lower_capitals: whether sentences written in capitals are translated in sentence case.
        tools: versions of the programs that built it.
    """

    format: Literal[1] = 1
    name: Name
    version: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}$")]
    task: Task
    purpose: Purpose = ""
    answers_by_default: bool = True
    description: str = ""
    cell: Literal["lstm", "gru", "rnn", "unknown"]
    languages: tuple[Language, ...]
    pairs: tuple[tuple[Language, Language], ...] = ()
    labels: tuple[str, ...] = ()
    output_kind: Literal["logits", "probabilities"] = "logits"
    condition: Condition | None = None
    lower_capitals: bool = True
    masks: dict[Kind, str] = {}
    lexicons: dict[Language, str] = {}
    lookahead: Lookahead | None = None
    ids: SpecialIds
    limits: Limits
    opset: int
    graphs: tuple[Graph, ...]
    files: tuple[FileEntry, ...]
    sources: tuple[Source, ...] = ()
    quality: tuple[Quality, ...] = ()
    score_fits: tuple[ScoreFit, ...] = ()
    parity: tuple[Parity, ...] = ()
    states: tuple[StateLayer, ...] = ()
    finds: tuple[Find, ...] = ()
    goldens: tuple[Golden, ...] = ()
    num_parameters: int | None = None
    trained_minutes: float | None = None
    tools: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _read_old_task(cls, fields: Any) -> Any:
        """The task was once called sentiment, which is a purpose now."""
        if isinstance(fields, dict) and fields.get("task") == SENTIMENT:
            return {"purpose": SENTIMENT, **fields}
        return fields

    @model_validator(mode="after")
    def _check_task(self) -> "Manifest":
        if self.task in LABELLED and len(self.labels) < 2:
            raise ValueError(f"a {self.task} model needs at least two labels")
        if self.task == "translation" and (
            not self.pairs
            or self.ids.eos_id is None
            or not {target for _, target in self.pairs} <= set(self.ids.start_ids)
        ):
            raise ValueError("a translation model needs pairs, eos_id, and a start id per target")
        if self.task == "language" and self.ids.bos_id is None:
            raise ValueError("a language model needs a bos_id")
        if self.task == "text2text" and (self.ids.eos_id is None or len(self.ids.start_ids) != 1):
            raise ValueError("a text2text model needs an eos_id and one start id")
        return self

    @model_validator(mode="after")
    def _check_graphs(self) -> "Manifest":
        if not self.graphs:
            raise ValueError("a version needs graphs")
        for precision in self.precisions:
            found = sorted(graph.role for graph in self.graphs if graph.precision == precision)
            slots = SLOT_ROLES if self.has_slots(precision) else ()
            roles = sorted([*self.roles, *slots, *(("states",) if self.states else ())])
            if found != roles:
                raise ValueError(
                    f"precision {precision} has graphs {', '.join(found)}, needs {', '.join(roles)}"
                )
        if self.has_scorer and set(self.ids.neutral_ids) != set(self.languages):
            raise ValueError("a version with a scorer needs a neutral id of each language")
        return self

    @model_validator(mode="after")
    def _check_finds(self) -> "Manifest":
        layers = {layer.name: layer for layer in self.states}
        for find in self.finds:
            layer = layers.get(find.layer)
            if layer is None or find.unit >= layer.units or find.value not in layer.values:
                raise ValueError(
                    f"finds has unit {find.unit} of layer {find.layer}, which states does not list"
                )
        return self

    @model_validator(mode="after")
    def _check_listing(self) -> "Manifest":
        listed = {entry.name for entry in self.files}
        needed = {graph.file for graph in self.graphs} | {*self.lexicons.values(), TOKENIZER}
        missing = needed - listed
        if missing:
            raise ValueError(f"files does not list {', '.join(sorted(missing))}")
        return self

    @property
    def roles(self) -> tuple[Role, ...]:
        """The graphs that answer, in each precision; see `list_roles`."""
        return list_roles(
            self.task,
            self.lookahead,
            has_condition=self.condition is not None,
            has_scorer=self.has_scorer,
        )

    @property
    def has_scorer(self) -> bool:
        """Whether a translator can rerank its translations."""
        return self.task == "translation" and any(graph.role == "scorer" for graph in self.graphs)

    def has_slots(self, precision: Precision) -> bool:
        """Whether a translator can decode in slots in a precision."""
        return self.task == "translation" and any(
            graph.role in SLOT_ROLES for graph in self.graphs if graph.precision == precision
        )

    @property
    def precisions(self) -> tuple[Precision, ...]:
        return tuple(dict.fromkeys(graph.precision for graph in self.graphs))

    @property
    def goes_on(self) -> bool:
        """Whether texts go on from their prompts, rather than answer them."""
        return self.ids.bos_id is not None

    @property
    def commercial_use(self) -> bool:
        """Tells whether the licences of all training sources allow commercial use."""
        return all(source.commercial_use for source in self.sources if source.weight)

    @property
    def num_bytes(self) -> int:
        return sum(entry.num_bytes for entry in self.files)

    @property
    def headlines(self) -> tuple[Quality, ...]:
        """The most telling figures, at most two: accuracy and F1, or BLEU with the widest beam."""
        widest: dict[tuple[str, str | None, str], Quality] = {}
        for figure in self.quality:
            if figure.metric in HEADLINE_METRICS and figure.precision == self.quality[0].precision:
                key = (figure.data, figure.pair, figure.metric)
                widest[key] = max(widest.get(key, figure), figure, key=Quality.beam_size)
        figures = sorted(widest.values(), key=lambda each: HEADLINE_METRICS.index(each.metric))
        return tuple(figures[:2])

    def score_fit(self, source: str, target: str) -> ScoreFit | None:
        pair = f"{source}-{target}"
        return next((fit for fit in self.score_fits if fit.pair == pair), None)

    def graph(self, role: Role, precision: Precision) -> Graph:
        return next(
            graph for graph in self.graphs if (graph.role, graph.precision) == (role, precision)
        )


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks `manifest.json` of a version folder.

    Raises:
        ArtefactError: it is missing or invalid, or names another model or version than its folder.
    """
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise ArtefactError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "manifest"
        raise ArtefactError(f"{path} is invalid: {place}: {first['msg']}") from exc
    if (folder.parent.name, folder.name) != (manifest.name, manifest.version):
        raise ArtefactError(
            f"{path} describes {manifest.name}/{manifest.version} but lies in "
            f"{folder.parent.name}/{folder.name}"
        )
    return manifest


def write_manifest(manifest: Manifest, folder: Path) -> None:
    text = manifest.model_dump_json(indent=1, exclude_defaults=True)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def describe_file(path: Path) -> FileEntry:
    """Returns the hash and size of a file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileEntry(name=path.name, sha256=digest, num_bytes=path.stat().st_size)


def check_files(manifest: Manifest, folder: Path, only: str | None = None) -> None:
    """Compares every file, or one of them, with its entry in the manifest.

    Raises:
        ArtefactError: a file is missing or differs; the message names it.
    """
    for expected in manifest.files:
        if only not in (None, expected.name):
            continue
        path = folder / expected.name
        if not path.is_file():
            raise ArtefactError(f"{path} is missing")
        found = describe_file(path)
        if found != expected:
            raise ArtefactError(
                f"{path} is damaged: {found.num_bytes} bytes, sha256 {found.sha256[:12]}…; the "
                f"manifest says {expected.num_bytes} bytes, sha256 {expected.sha256[:12]}…; "
                "copy it again"
            )
