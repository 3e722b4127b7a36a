"""Cuts a text into sentences for translation, and puts their translations together again.

White space and markup come back as they were. Knows no queue: sequences go out, results come in.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from service.answers import Alignment, Detection, TranslateOptions, Translation
from service.engine.batch import Hypothesis, Result, TokenSequence
from service.pipeline.translation.reader import Reader
from service.pipeline.translation.sentence import (
    Choices,
    Sentence,
    choose_candidates,
    hypotheses_of,
    translate_sentence,
)
from service.repository.manifest import ScoreFit
from service.repository.model import Model
from service.text.levels.speech_level import level_of
from service.text.markup import Node, Tag, render_plain, render_text, split_markup


@dataclass(frozen=True)
class Passage:
    """A stretch of a document: sentences, or markup that is copied."""

    node: Node
    sentences: list[Sentence]


@dataclass(frozen=True)
class Document:
    """A text on its way through a model.

    Attributes:
        reader: of its model; None if the text is in the target language already.
        detected: set if the source was `auto`.
    """

    reader: Reader | None
    detected: Detection | None
    passages: list[Passage]

    @property
    def sequences(self) -> list[TokenSequence]:
        """In the order of the text."""
        return [
            sentence.sequence
            for passage in self.passages
            for sentence in passage.sentences
            if sentence.sequence
        ]

    def read_again(
        self, sequence: TokenSequence, results: Mapping[TokenSequence, Result]
    ) -> list[Sentence]:
        """Has a sentence read another way if no hypothesis of its sequence is faithful to it.

        Args:
            sequence: that of the sentence.
            results: that of the sequence is among them.

        Returns:
            The sentences that have taken its place; none if it stays.
        """
        sentence = self.sentence(sequence)
        if self.reader is None or not self.reader.must_read_again(sentence, results):
            return []
        return self._replace(sequence, self.reader.read_again(sentence, results))

    @property
    def was_read_again(self) -> bool:
        return any(sentence.is_retry for passage in self.passages for sentence in passage.sentences)

    def read_all_again(self, results: Mapping[TokenSequence, Result]) -> list[TokenSequence]:
        """As `read_again`, all sentences; returns the sequences that are to be run for it."""
        return [
            sentence.sequence
            for sequence in self.sequences
            for sentence in self.read_again(sequence, results)
            if sentence.sequence
        ]

    def level_all(self, results: Mapping[TokenSequence, Result]) -> list[TokenSequence]:
        """Has sentences read again that address the reader otherwise than most do.

        Returns:
            The sequences that are to be run for it.
        """
        reader = self.reader
        if reader is None or not reader.levels or reader.suggested or len(self.sequences) < 2:
            return []
        best = {sequence: one for sequence, one in self.choose(results).items() if one}
        told = (level_of(one.text, reader.target) for one in best.values())
        counts = Counter(level for level in told if level and level in reader.levels)
        if not counts:
            return []
        (usual, _), *_ = counts.most_common()  # the first of those as frequent
        others = [sequence for sequence, one in best.items() if reader.is_off_level(one, usual)]
        return [
            each.sequence
            for sequence in others
            for each in self._replace(
                sequence, reader.read_at_level(self.sentence(sequence), usual, results)
            )
            if each.sequence
        ]

    def _replace(self, sequence: TokenSequence, again: list[Sentence]) -> list[Sentence]:
        """Puts sentences in the place of the one with a sequence."""
        passage, sentence = self._places[sequence]
        place = next(index for index, one in enumerate(passage.sentences) if one is sentence)
        passage.sentences[place : place + 1] = again
        self._places.update({one.sequence: (passage, one) for one in again if one.sequence})
        return again

    def choose(self, results: Mapping[TokenSequence, Result], rank: int = 0) -> Choices:
        """What each sequence's translation is made of, in the order of the text."""
        assert self.reader is not None
        found = chain.from_iterable(passage.sentences for passage in self.passages)
        return choose_candidates(self.reader.model, found, results, rank)

    def sentence(self, sequence: TokenSequence) -> Sentence:
        return self._places[sequence][1]

    @cached_property
    def _places(self) -> dict[TokenSequence, tuple[Passage, Sentence]]:
        return {
            sentence.sequence: (passage, sentence)
            for passage in self.passages
            for sentence in passage.sentences
            if sentence.sequence
        }


def parse_text(text: str, text_format: str) -> list[Node]:
    """The nodes of a text: those of its markup, or one that holds all of it."""
    return split_markup(text) if text_format == "html" else [Node(text, True, text)]


def segment(nodes: Sequence[Node], reader: Reader) -> list[Passage]:
    """Cuts nodes into sentences, a sequence each, which are encoded together."""
    cut = [(node, reader.cut(node) if node.is_text else []) for node in nodes]
    read = iter(reader.read([sentence for _, found in cut for sentence in found]))
    return [Passage(node, [each for _ in found for each in next(read)]) for node, found in cut]


def assemble(
    document: Document,
    results: Mapping[TokenSequence, Result],
    options: TranslateOptions,
    text: str | None = None,
) -> Translation:
    """Puts a document together again; alternative N takes the Nth hypothesis of each sentence.

    Args:
        document: all its sequences are done.
        results: of the sequences.
        options: of the request.
        text: the translation, if it is known already, as after streaming.
    """
    if document.reader is None:
        (passage,) = document.passages
        return Translation(
            passage.node.source, [], document.detected, [] if options.attention else None
        )
    best = document.choose(results)
    if text is None:
        text = render_document(document, best, options.text_format)
    others = [
        render_document(document, document.choose(results, rank), options.text_format)
        for rank in range(1, options.alternatives + 1)
    ]
    return Translation(
        text,
        list(dict.fromkeys(other for other in others if other != text)),
        document.detected,
        align_all(document, results, best) if options.attention else None,
        is_complete=all(one is None or one.hypothesis.is_complete for one in best.values()),
        score=score_text(document.reader.score_fit, best),
    )


def score_text(fit: ScoreFit | None, best: Choices) -> float | None:
    """The score of a text: that of its worst sentence; None if the model's are not calibrated.

    A sentence that comes back as it was has the score 0; what needs no translation has 1.
    """
    if fit is None:
        return None
    scores = (fit.score(one.hypothesis.score) if one else 0.0 for one in best.values())
    return min(scores, default=1.0)


def render_document(document: Document, choices: Choices, text_format: str) -> str:
    """A text as its translation has it."""
    assert document.reader is not None
    model = document.reader.model
    return "".join(
        render_passage(model, passage, choices, text_format) for passage in document.passages
    )


def render_passage(model: Model, passage: Passage, choices: Choices, text_format: str) -> str:
    """The passage as it stands in the translation.

    One that the translation leaves as it was is put back byte for byte, references and all.
    """
    if not passage.node.is_text:
        return passage.node.source
    parts: list[tuple[str, Sequence[Tag]]] = []
    for sentence in passage.sentences:
        rendered = translate_sentence(model, sentence, choices)
        parts.append((rendered.text, rendered.tags))
        parts.append((sentence.space, sentence.space_tags))
    text = "".join(text for text, _ in parts)
    if text == passage.node.text:
        return passage.node.source
    if text_format == "text":
        return "".join(render_plain(*part) for part in parts)
    return "".join(render_text(*part, passage.node.objects) for part in parts)


def align_all(
    document: Document, results: Mapping[TokenSequence, Result], best: Choices
) -> list[Alignment]:
    """Attention of the best hypothesis of each sentence."""
    assert document.reader is not None
    model = document.reader.model
    return [
        align(model, candidate.sentence, candidate.hypothesis)
        if candidate
        else align(model, document.sentence(sequence), hypotheses_of(results, sequence)[0])
        for sequence, candidate in best.items()
    ]


def align(model: Model, sentence: Sentence, hypothesis: Hypothesis) -> Alignment:
    """Attention of one sentence with the spelling of its tokens, masks shown as what they mask."""
    assert sentence.sequence is not None
    assert hypothesis.attention is not None
    originals = sentence.masked.originals
    source, target = (
        [originals.get(token, token) for token in model.tokenizer.tokens(token_ids)]
        for token_ids in (sentence.sequence.input_ids, hypothesis.token_ids)
    )
    return Alignment(source, target, np.round(hypothesis.attention.astype(np.float64), 4).tolist())
