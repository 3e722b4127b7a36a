"""Texts to look at a model with: each with its tokens, states and properties."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.inspect.properties import PROPERTIES, measure_properties
from models.training.data.sources import read_split, read_text
from service.arrays import FloatArray
from service.engine.batch import TokenSequence
from service.engine.runner import run_sequences
from service.repository.manifest import READERS
from service.repository.model import LoadedModel

Span = tuple[int, int]
SUFFIXES = (".txt", ".txt.gz", ".tsv", ".tsv.gz")


@dataclass(frozen=True)
class Sample:
    """A text, or a stretch of one, as a model reads it.

    Attributes:
        spans: of the T tokens, in characters.
        states: (T, U) float32, all values of all layers side by side.
        properties: (T, P) float32.
    """

    text: str
    spans: Sequence[Span]
    states: FloatArray
    properties: FloatArray


@dataclass(frozen=True)
class Stretch:
    """Characters of a text that are read together, with their properties in the whole text."""

    text: str
    properties: FloatArray


def read_texts(path: Path) -> list[str]:
    """The texts of a file: one, or the last column of a table.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not a text, or a table of two columns.
    """
    suffix = next((each for each in SUFFIXES if path.name.endswith(each)), None)
    if suffix is None:
        raise ValueError(f"{path} is not one of {', '.join('*' + each for each in SUFFIXES)}")
    stem = path.name.removesuffix(suffix)
    if suffix.startswith(".txt"):
        return [read_text(path.parent, stem)]
    return [text for _, text in read_split(path.parent, stem, ())]


def list_names(model: LoadedModel) -> list[str]:
    """The properties that the model's texts are measured by; those of `Sample.properties`."""
    return [*PROPERTIES, *(f"{label} so far" for label in list_labels(model))]


def list_labels(model: LoadedModel) -> Sequence[str]:
    """The labels of a classifier; of two, one says all."""
    manifest = model.manifest
    if manifest.task != "classification":
        return ()
    return manifest.labels[1:] if len(manifest.labels) == 2 else manifest.labels


def list_units(model: LoadedModel) -> list[tuple[str, str, int]]:
    """Layer, value and number of each unit; the columns of `Sample.states`."""
    return [
        (layer.name, value, unit)
        for layer in model.manifest.states
        for value in layer.values
        for unit in range(layer.units)
    ]


def make_samples(model: LoadedModel, texts: Iterable[str], max_tokens: int) -> Iterator[Sample]:
    """The samples of texts until they have `max_tokens` tokens in all."""
    num_tokens = 0
    for text in texts:
        for stretch in cut_text(model, text):
            if num_tokens >= max_tokens:
                return
            sample = make_sample(model, stretch)
            num_tokens += len(sample.spans)
            if sample.spans:
                yield sample


def cut_text(model: LoadedModel, text: str) -> Iterator[Stretch]:
    """Cuts a text after lines, so that the model reads each stretch at once."""
    properties = measure_properties(text)
    limit = model.manifest.limits.max_input_tokens
    start = end = 0
    num_tokens = 0
    for line in text.splitlines(keepends=True):
        length = len(model.encode([line])[0])
        if num_tokens + length > limit and end > start:
            yield Stretch(text[start:end], properties[start:end])
            start, num_tokens = end, 0
        end, num_tokens = end + len(line), num_tokens + length
    if num_tokens <= limit:
        yield Stretch(text[start:end], properties[start:end])


def make_sample(model: LoadedModel, stretch: Stretch) -> Sample:
    """Reads a stretch, and takes the properties of each token at its last character."""
    spans = model.tokenizer.spans(stretch.text)
    if not spans:
        empty = np.zeros((0, 0), np.float32)
        return Sample(stretch.text, [], empty, empty)
    (input_ids,) = model.encode([stretch.text])
    first = 0 if model.manifest.ids.bos_id is None else 1
    found = model.states.read(input_ids)
    states = [
        found[f"{layer.name}.{value}"][first : first + len(spans)]
        for layer in model.manifest.states
        for value in layer.values
    ]
    places = [max(end - 1, 0) for _, end in spans]
    columns = [stretch.properties[places]]
    if labels := list_labels(model):
        columns.append(read_prefixes(model, input_ids)[:, -len(labels) :])
    return Sample(
        stretch.text, spans, np.concatenate(states, axis=1), np.concatenate(columns, axis=1)
    )


def read_prefixes(model: LoadedModel, input_ids: Sequence[int]) -> FloatArray:
    """What a classifier says of a text after each of its T tokens: probabilities (T, C)."""
    prefixes = itertools.accumulate([token_id] for token_id in input_ids)
    sequences = [TokenSequence(prefix, 0.0, float("inf")) for prefix in prefixes]
    scores = run_sequences(model.runner, sequences)
    return model.probabilities(np.stack([np.asarray(each) for each in scores]))


def has_states(model: LoadedModel) -> bool:
    """Whether the model shows its states, and reads texts that need nothing besides."""
    manifest = model.manifest
    return bool(manifest.states) and manifest.task in READERS and manifest.condition is None
