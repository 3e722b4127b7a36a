"""Tagging: text -> ids -> windows -> submit -> a label for each token. Knows no HTTP."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from service.answers import States, TagAnswer, Tagging, TagOptions
from service.engine.batch import Result, TokenSequence
from service.errors import EmptyInput, InvalidInput, ModelNotFound
from service.pipeline.intake import choose_languages
from service.pipeline.label_pipeline import LabelJob, LabelPipeline
from service.pipeline.states import Reading, StatesPlan, make_tokens, plan_states
from service.pipeline.tagging.entities import find_entities
from service.pipeline.tagging.pieces import locate_tokens, make_pieces, render_text
from service.repository.registry import ServedModel
from service.text.tags import SPACE

UNREAD_REMEDY = "name one of them as `parameters.model` to have it label the text all the same"
# Tokens to either side that are read again, so that no label lacks its surroundings.
MAX_OVERLAP = 32


class Window(NamedTuple):
    """Tokens that are read together, and those of them that get their labels from this reading."""

    start: int
    end: int
    kept: slice


@dataclass(frozen=True)
class EncodedText:
    """A text as its model reads it.

    Attributes:
        spans: (start, end) of each token in the text.
        windows: of the tokens, with the sequence of each.
        states: those to be shown, if any.
    """

    text: str
    served: ServedModel
    spans: list[tuple[int, int]]
    windows: list[tuple[Window, TokenSequence]]
    states: StatesPlan | None

    @property
    def sequences(self) -> list[TokenSequence]:
        return [sequence for _, sequence in self.windows]


TaggingJob: TypeAlias = LabelJob[TagOptions, EncodedText]


class TagPipeline(LabelPipeline[TagOptions, EncodedText, TagAnswer]):
    """Labels the tokens of texts with the taggers of a registry."""

    tasks = ("tagging",)

    def describe_job(
        self,
        job: TaggingJob,
        results: Mapping[TokenSequence, Result],
        states: Sequence[States | None],
    ) -> TagAnswer:
        taggings = [
            describe_text(each, results, job.options, shown)
            for each, shown in zip(job.encoded, states, strict=True)
        ]
        timings = self._observe(job, results)
        return TagAnswer(job.model_names, job.model_versions, timings, taggings)

    def _encode_texts(
        self, texts: Sequence[str], options: TagOptions, times: tuple[float, float]
    ) -> list[EncodedText]:
        chosen = self._choose_taggers(texts, options.model)
        return [
            encode_text(text, served, options, times)
            for text, served in zip(texts, chosen, strict=True)
        ]

    def _choose_taggers(self, texts: Sequence[str], model_name: str | None) -> list[ServedModel]:
        if model_name is not None:
            return [self._registry.find_model(model_name, *self.tasks)] * len(texts)
        codes = self._registry.tagged_languages()
        if not codes:
            raise ModelNotFound("no tagger is loaded")
        chosen = choose_languages(texts, codes, UNREAD_REMEDY)
        return [self._registry.find_tagger(language) for language in chosen]


def encode_text(
    text: str, served: ServedModel, options: TagOptions, times: tuple[float, float]
) -> EncodedText:
    """A text to label as its model reads it.

    Args:
        text: as it was sent.
        served: its model.
        options: of the request.
        times: arrival and deadline, in monotonic seconds.

    Raises:
        EmptyInput: it has no tokens.
        InvalidInput: it is to be rendered, and the model marks no white space; or the model does
            not show the states that are asked for.
    """
    manifest = served.manifest
    if options.render:
        check_renders(served)
    (input_ids,) = served.model.encode([text])
    if not input_ids:
        raise EmptyInput("a text has nothing to label; send at least one visible character")
    windows = [
        (window, TokenSequence(input_ids[window.start : window.end], *times))
        for window in cut_windows(len(input_ids), manifest.limits.max_input_tokens)
    ]
    spans = locate_tokens(served.model, text)
    states = plan_states(served, options.states, read_windows(text, spans, windows))
    return EncodedText(text, served, spans, windows, states)


def read_windows(
    text: str,
    spans: Sequence[tuple[int, int]],
    windows: Iterable[tuple[Window, TokenSequence]],
) -> Iterator[Reading]:
    """Each token in the window that its label is from."""
    for window, sequence in windows:
        tokens = make_tokens(text, spans[window.start :][window.kept])
        yield Reading(sequence.input_ids, tokens, window.kept.start)


def check_renders(served: ServedModel) -> None:
    """Refuses to render with a model that marks no white space.

    Raises:
        InvalidInput: its labels do not say where a white space belongs.
    """
    manifest = served.manifest
    if SPACE not in manifest.labels:
        raise InvalidInput(
            f"model {manifest.name} does not mark white space (its labels are "
            f"{', '.join(manifest.labels)}); leave `render` out or name another model"
        )


def cut_windows(num_tokens: int, size: int) -> Iterator[Window]:
    """Cuts a text into windows of at most `size` tokens that overlap; each token is kept once."""
    overlap = min(MAX_OVERLAP, size // 4)
    start = kept_from = 0
    while True:
        end = min(start + size, num_tokens)
        kept_to = end if end == num_tokens else end - overlap
        yield Window(start, end, slice(kept_from - start, kept_to - start))
        if end == num_tokens:
            return
        start, kept_from = kept_to - overlap, kept_to


def describe_text(
    encoded: EncodedText,
    results: Mapping[TokenSequence, Result],
    options: TagOptions,
    states: States | None,
) -> Tagging:
    """What the results of a text's windows say of it."""
    model = encoded.served.model
    kept = []
    for window, sequence in encoded.windows:
        scores = results[sequence]
        assert isinstance(scores, np.ndarray), "a tagger answers with arrays"
        kept.append(scores[window.kept])
    pieces = make_pieces(model, encoded.spans, np.concatenate(kept))
    labels = model.manifest.labels
    entities = find_entities(encoded.text, pieces, labels, options.aggregation, options.ignored)
    rendered = render_text(encoded.text, pieces, labels) if options.render else None
    return Tagging(entities, rendered, states)
