"""Configuration of a training run: data sources, architecture, schedule.

Read from one TOML file, saved with the weights.
"""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from service.repository.manifest import (
    LABELLED,
    Condition,
    Language,
    Lookahead,
    Name,
    Purpose,
    Task,
)

CONFIG = "config.json"  # in a run's folder

Cell = Literal["lstm", "gru", "rnn"]
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Size = Annotated[int, Field(ge=1)]

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=STRICT)
class SourceConfig:
    """Data set below the `--data` folder.

    Attributes:
        path: folder relative to `--data`; holds train/valid/test files, see
            `models.training.data.sources`.
        licence: name of the licence, copied into the manifest and the model card.
        commercial_use: whether the licence allows commercial use of the trained weights.
        weight: share of the training set seen per epoch; 0 keeps it for evaluation only, 2 shows
            it twice.
        train: stem of the file that holds the split, "train" for train.tsv.
        valid: the same for validation; "" if there is no such split.
        test: the same for testing; "" if there is no such split.
        holdout: number of training rows, drawn at random, that are used for validation instead of
            training if there is no validation split.
        min_characters: texts with fewer are left out, from all splits (language with a condition).
        style: `ptb` joins Penn-Treebank tokens again ("it 's good ." -> "it's good.").
    """

    path: str
    licence: str
    commercial_use: bool
    weight: Annotated[float, Field(ge=0.0)] = 1.0
    train: str = "train"
    valid: str = "valid"
    test: str = "test"
    holdout: Annotated[int, Field(ge=0)] = 0
    min_characters: Annotated[int, Field(ge=0)] = 0
    style: Literal["plain", "ptb"] = "plain"

    @property
    def has_valid(self) -> bool:
        return bool(self.valid or self.holdout)


@dataclass(frozen=True, config=STRICT)
class ModelConfig:
    """Sizes of the network; fields that do not apply to the task are ignored.

    Attributes:
        vocabulary: what a token is: a piece of a word, or a character.
        encoder_size: hidden units per direction.
        residual: whether each encoder layer above the first adds its outputs to its inputs.
        layer_norm: whether each encoder layer above the first reads its inputs normalized.
        decoder_size: hidden units of each of the two decoder layers.
        lookahead: a tagger that labels text as it comes in, forward layers alone: the tokens that
            it reads beyond a token before it labels it; none for one that reads whole texts in both
            directions (tagging only).
        hidden_size: hidden units of each layer (language).
        num_layers: layers, each reading the one below (language).
        tied: whether the output layer shares its weights with the embedding (language).
        feeds_condition: whether the condition is read with each token, too, and not only before the
            first one (language).
        max_tokens: longest input, in tokens, that the exported model accepts.
        lower_capitals: whether the exported model translates sentences written in capitals in
            sentence case and capitalizes the result; turn it off if the training texts are in
            capitals (translation only).
    """

    cell: Cell = "lstm"
    vocabulary: Literal["subwords", "characters"] = "subwords"
    vocab_size: Size = 8000
    lowercase: bool = False
    embedding_size: Size = 256
    encoder_size: Size = 256
    encoder_layers: Size = 2
    residual: bool = False
    layer_norm: bool = False
    decoder_size: Size = 384
    hidden_size: Size = 512
    num_layers: Size = 1
    tied: bool = False
    feeds_condition: bool = False
    attention_size: Size = 256
    lookahead: Lookahead | None = None
    max_tokens: Size = 256
    lower_capitals: bool = True
    dropout: Rate = 0.3
    word_dropout: Rate = 0.05

    @property
    def memory_size(self) -> int:
        """Size of a source token in the decoder's memory: both directions and the embedding."""
        return 2 * self.encoder_size + self.embedding_size


@dataclass(frozen=True, config=STRICT)
class TrainingConfig:
    """Training schedule.

    Attributes:
        epochs: passes over the (weighted) data; the learning rate decays to zero along a cosine
            over all of them.
        batch_tokens: padded tokens per batch, counted on the longer side.
        crop_tokens: maximum length of training texts; longer ones are cropped to a random window
            (classification and tagging).
        min_crop_tokens: minimum size of such a window; short windows teach a model of long reviews
            to read single sentences. Sizes are log-uniform between the two.
        bptt_tokens: tokens that a gradient reaches back; the state is carried on from one stretch
            of this length to the next (language). There are `batch_tokens / bptt_tokens` streams.
        warmup_steps: steps over which the learning rate rises, at most half of all steps.
        patience: number of epochs without a better validation score before training stops.
        valid_limit: validation rows used per source after each epoch.
        typing_noise: share of the source sentences that are altered as if typed in a hurry: lower
            case or capitals, without the full stop (translation only).
        masked: share of the pairs whose common placeables are masked, see
            `models.training.data.masking` (translation only).
        levelled: share of the pairs whose start token tells the speech level of the translation,
            see `service.text.levels.speech_level` (translation only).
        relevelled: share of the polite Korean translations that are rewritten as casual or formal
            ones, where a rule is sure of it.
        rarity: power by which pairs with rare words are drawn more often, see
            `models.training.data.rarity`; 0 draws all alike (translation and text2text).
        bpe_dropout: probability of skipping a merge of the tokenizer, in sources and targets
            (translation only). It cannot be seeded, so such runs are not reproducible.
        sampled_tokens: number of tokens, drawn anew in each step, that stand in the loss for all
            tokens that the batch lacks, see `models.training.sampled_softmax`; 0 sums over the
            whole vocabulary (translation and text2text).
        adversarial: size of adversarial perturbations, as a share of the norm of the embedded text;
            half of the loss is then on perturbed texts (classification only, see
            `models.training.adversarial`), at three times the cost.
        condition_weight: weight of the loss by which a text must tell its label, by Bayes' rule out
            of its likelihood with each (language with labels); the cost is multiplied by their
            number. Not with dropout, which differs from label to label.
        ema_decay: decay per step of an exponential moving average of the weights, which is then
            validated and shipped; 0 ships the weights themselves.
    """

    seed: int = 1
    epochs: Size = 10
    batch_tokens: Size = 4096
    crop_tokens: Size = 200
    min_crop_tokens: Size = 200
    bptt_tokens: Size = 128
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    warmup_steps: Size = 200
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    label_smoothing: Rate = 0.1
    clip_norm: Annotated[float, Field(gt=0.0)] = 1.0
    patience: Size = 4
    valid_limit: Size = 1000
    typing_noise: Rate = 0.0
    masked: Rate = 0.0
    levelled: Rate = 0.0
    relevelled: Rate = 0.0
    rarity: Rate = 0.0
    bpe_dropout: Rate = 0.0
    sampled_tokens: Annotated[int, Field(ge=0)] = 0
    adversarial: Rate = 0.0
    condition_weight: Annotated[float, Field(ge=0.0)] = 0.0
    ema_decay: Rate = 0.0


@dataclass(frozen=True, config=STRICT)
class RunConfig:
    """Complete configuration of one model.

    Attributes:
        name: of the model in the repository.
        labels: names by id, of classes (classification) or of the tokens' labels (tagging).
        purpose: what the labels tell, as "sentiment" or "spam" (classification).
        answers_by_default: whether the model answers requests that name no model; at most one
            classifier per language may (classification).
        languages: ISO 639-1 codes, of the input; translation: a pair, served in both directions;
            language: those of the text; text2text: the one of both texts.
        condition: what texts depend on, labels or a number of features (language). Without one, a
            source is one long text.
        base: file name of another configuration in the same folder; it is run first, and this run
            starts from its vocabulary and weights.
        new_vocabulary: learn a vocabulary from this run's sources even if it starts from another
            run; the rows of new tokens start from those of the old tokens that spell them.
        pretraining: schedule of language-model pretraining for embedding and encoder
            (classification); `crop_tokens` is then the size of the windows that texts are split
            into.
    """

    name: Name
    task: Task
    languages: tuple[Language, ...]
    sources: tuple[SourceConfig, ...]
    labels: tuple[str, ...] = ()
    condition: Condition | None = None
    purpose: Purpose = ""
    answers_by_default: bool = True
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    pretraining: TrainingConfig | None = None
    base: str = ""
    new_vocabulary: bool = False

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources: name at least one data set")
        if not self.languages:
            raise ValueError("languages: name at least one code")
        for source in self.sources:
            if source.holdout and source.valid:
                raise ValueError(f"holdout: {source.path} has a validation split, {source.valid!r}")
        if self.task in LABELLED and not 2 <= len(self.labels) == len(set(self.labels)):
            raise ValueError(f"labels: two or more different names are needed, not {self.labels}")
        if self.task == "translation" and not 2 == len(self.languages) == len(set(self.languages)):
            raise ValueError(f"languages: two different codes are needed, not {self.languages}")
        if self.task == "text2text" and len(self.languages) != 1:
            raise ValueError(f"languages: one code is needed, not {self.languages}")
        self._check_stages()
        self._check_condition()
        self._check_lookahead()

    def _check_stages(self) -> None:
        if self.task == "language" and not self.condition:
            for source in self.sources:
                if source.holdout:
                    raise ValueError(f"holdout: {source.path} is one text without rows")
        if self.pretraining and self.task != "classification":
            raise ValueError("pretraining: only for classification")
        if self.pretraining and self.base:
            raise ValueError("pretraining: configure it in the base, which this run starts from")

    def _check_condition(self) -> None:
        if self.condition and self.task != "language":
            raise ValueError("condition: only for language")
        if self.model.feeds_condition and not self.condition:
            raise ValueError("feeds_condition: the model has no condition to read")
        if self.training.condition_weight and not (self.condition and self.condition.labels):
            raise ValueError("condition_weight: the model has no labels to tell")
        if self.training.condition_weight and self.model.dropout:
            raise ValueError("condition_weight: needs dropout = 0, which differs between labels")

    def _check_lookahead(self) -> None:
        if self.model.lookahead is None:
            return
        if self.task != "tagging":
            raise ValueError("lookahead: only for tagging")
        if self.model.vocabulary != "characters":
            # the last piece of a word may still change while the word is typed
            raise ValueError(
                'lookahead: a tagger of text as it is typed needs vocabulary "characters"'
            )

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The translation directions served: both directions of the pair."""
        first, second = self.languages
        return ((first, second), (second, first))

    def find_source(self, path: str) -> SourceConfig:
        """Returns the source with this path.

        Raises:
            ValueError: no source has it.
        """
        for source in self.sources:
            if source.path == path:
                return source
        paths = ", ".join(source.path for source in self.sources)
        raise ValueError(f"no source is called {path}; the run's sources are {paths}")


_ADAPTER = TypeAdapter(RunConfig)


def read_config(path: Path) -> RunConfig:
    """Reads a TOML configuration.

    Raises:
        ValueError: the file is not TOML, or has unknown or invalid fields; the message names them.
        OSError: the file cannot be read.
    """
    try:
        return parse_config(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from exc


def read_run_config(folder: Path) -> RunConfig:
    """Reads the configuration saved in a run's folder.

    Raises:
        ValueError: see `read_config`.
        OSError: the file cannot be read.
    """
    return parse_config(json.loads((folder / CONFIG).read_text(encoding="utf-8")))


def parse_config(fields: dict[str, Any]) -> RunConfig:
    """Builds a configuration from plain fields, the inverse of `dump_config`.

    Raises:
        ValueError: see `read_config`.
    """
    try:
        return _ADAPTER.validate_python(fields)
    except ValidationError as exc:
        raise ValueError(f"invalid configuration: {describe_faults(exc)}") from exc


def describe_faults(error: ValidationError) -> str:
    """Describes each invalid field, without pydantic's details for programmers."""
    faults = []
    for fault in error.errors(include_url=False):
        place = ".".join(map(str, fault["loc"]))
        reason = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{place}: {reason}" if place else reason)
    return "; ".join(faults)


def dump_config(config: RunConfig) -> dict[str, Any]:
    fields: dict[str, Any] = _ADAPTER.dump_python(config, mode="json")
    return fields
