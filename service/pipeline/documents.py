"""Cuts a text into sentences for translation, and puts their translations together again.

White space and markup come back as they were. Knows no queue: sequences go out, results come in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np

from service.answers import Alignment, Detection, TranslateOptions, Translation
from service.engine.batch import Hypothesis, Result, SearchOptions, TokenSequence
from service.repository.model import LoadedModel, check_length, new_token_limit
from service.text import sentences
from service.text.alignment import Source, place_tags, share_tags, weigh_words
from service.text.casing import is_in_capitals
from service.text.markup import Node, Tag, render_text, split_markup


@dataclass(frozen=True)
class Sentence:
    """One sentence and the white space after it; copied if it has no sequence.

    Attributes:
        spelled: the sentence as the model reads it.
        tags: those within the sentence; the other one of a pair may be elsewhere.
        space_tags: those before, within and after the white space.
    """

    text: str
    space: str
    sequence: TokenSequence | None
    tags: Sequence[Tag] = ()
    space_tags: Sequence[Tag] = ()
    spelled: str = ""

    @property
    def is_in_capitals(self) -> bool:
        """Whether its translation is to be in capitals, which the model does not see."""
        return self.spelled != self.text and is_in_capitals(self.text)


@dataclass(frozen=True)
class Passage:
    """A stretch of a document: sentences, or markup that is copied."""

    node: Node
    sentences: list[Sentence]


@dataclass(frozen=True)
class Document:
    """A text on its way through a model.

    Attributes:
        model: the translator; None if the text is in the target language already.
        detected: set if the source was `auto`.
    """

    model: LoadedModel | None
    detected: Detection | None
    passages: list[Passage]

    @property
    def sequences(self) -> list[TokenSequence]:
        return list_sequences(self.passages)


def list_sequences(passages: Sequence[Passage]) -> list[TokenSequence]:
    """The sequences of a text, in its order."""
    return [
        sentence.sequence
        for passage in passages
        for sentence in passage.sentences
        if sentence.sequence
    ]


def make_sequence(
    input_ids: list[int], model: LoadedModel, target: str, like: TokenSequence, has_tags: bool
) -> TokenSequence:
    """A sentence's sequence of tokens with the times and search options of its text."""
    check_length(input_ids, model)
    assert like.search is not None
    limit = min(like.search.max_new_tokens, new_token_limit(input_ids, model.manifest))
    with_attention = like.search.with_attention or has_tags
    search = SearchOptions(like.search.beam_size, limit, with_attention)
    start_id = model.manifest.ids.start_ids[target]
    return TokenSequence(input_ids, like.arrived_at, like.deadline, search, start_id)


def segment_node(node: Node, language: str) -> list[Sentence]:
    """The sentences of a text with the tags of each; sequences are for others to add."""
    pairs = sentences.split(node.text, language)
    if not node.tags:
        return [Sentence(sentence, space, None) for sentence, space in pairs]
    pairs = [("", ""), *pairs]  # what stands before the first sentence stands after this one
    shared = iter(share_tags(node.tags, list(chain.from_iterable(pairs))))
    return [
        Sentence(sentence, space, None, next(shared), next(shared)) for sentence, space in pairs
    ]


def parse_text(text: str, text_format: str) -> list[Node]:
    """The nodes of a text: those of its markup, or one that holds all of it."""
    return split_markup(text) if text_format == "html" else [Node(text, True, text)]


def segment(
    nodes: Sequence[Node],
    source: str,
    target: str,
    model: LoadedModel,
    like: TokenSequence,
) -> list[Passage]:
    """Cuts nodes into sentences, a sequence each with the times and options of `like`."""
    cut = [(node, segment_node(node, source) if node.is_text else []) for node in nodes]
    spelled = model.normalize_case(
        [sentence.text for _, found in cut for sentence in found], source
    )
    read = zip(spelled, model.encode(spelled), strict=True)
    for _, found in cut:
        for index, sentence in enumerate(found):
            text, input_ids = next(read)
            if input_ids:
                sequence = make_sequence(input_ids, model, target, like, bool(sentence.tags))
                found[index] = replace(sentence, sequence=sequence, spelled=text)
    return [Passage(node, found) for node, found in cut]


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
    model = document.model
    if model is None:
        (passage,) = document.passages
        return Translation(
            passage.node.source, [], document.detected, [] if options.attention else None
        )
    render = partial(render_passages, model, document.passages, results)
    if text is None:
        text = render(0, options.text_format)
    others = [render(rank, options.text_format) for rank in range(1, options.alternatives + 1)]
    best = [hypotheses_of(results, sequence)[0] for sequence in document.sequences]
    is_complete = all(hypothesis.is_complete for hypothesis in best)
    alternatives = list(dict.fromkeys(other for other in others if other != text))
    if not options.attention:
        return Translation(text, alternatives, document.detected, is_complete=is_complete)
    alignments = [
        align(model, sequence, hypothesis)
        for sequence, hypothesis in zip(document.sequences, best, strict=True)
    ]
    return Translation(text, alternatives, document.detected, alignments, is_complete)


def render_passages(
    model: LoadedModel,
    passages: Sequence[Passage],
    results: Mapping[TokenSequence, Result],
    rank: int,
    text_format: str,
) -> str:
    """A text as its translation has it."""
    return "".join(
        render_passage(model, passage, results, rank, text_format) for passage in passages
    )


def render_passage(
    model: LoadedModel,
    passage: Passage,
    results: Mapping[TokenSequence, Result],
    rank: int,
    text_format: str,
) -> str:
    """The passage as it stands in the translation.

    One that the translation leaves as it was is put back byte for byte, references and all.
    """
    if not passage.node.is_text:
        return passage.node.source
    parts: list[tuple[str, Sequence[Tag]]] = []
    for sentence in passage.sentences:
        parts.append(translate_sentence(model, sentence, results, rank))
        parts.append((sentence.space, sentence.space_tags))
    text = "".join(text for text, _ in parts)
    if text == passage.node.text:
        return passage.node.source
    return text if text_format == "text" else "".join(render_text(*part) for part in parts)


def translate_sentence(
    model: LoadedModel, sentence: Sentence, results: Mapping[TokenSequence, Result], rank: int
) -> tuple[str, Sequence[Tag]]:
    """The sentence's translation, or itself if it has none, and its tags."""
    if sentence.sequence is None:
        return sentence.text, sentence.tags
    hypothesis = choose_hypothesis(hypotheses_of(results, sentence.sequence), rank)
    in_capitals = sentence.is_in_capitals
    text = model.decode(hypothesis.token_ids, in_capitals=in_capitals)
    if not sentence.tags:
        return text, ()
    assert hypothesis.attention is not None
    source = Source(sentence.text, model.tokenizer.spans(sentence.spelled))
    ends = model.ends(hypothesis.token_ids, in_capitals=in_capitals)
    words = weigh_words(text, ends, hypothesis.attention, len(source.spans))
    return text, place_tags(sentence.tags, source, words)


def choose_hypothesis(hypotheses: Sequence[Hypothesis], rank: int) -> Hypothesis:
    """The hypothesis of a rank, or the last before it that is as complete as the best."""
    usable = [one for one in hypotheses if one.is_complete] or hypotheses
    return usable[min(rank, len(usable) - 1)]


def hypotheses_of(
    results: Mapping[TokenSequence, Result], sequence: TokenSequence
) -> list[Hypothesis]:
    result = results[sequence]
    assert isinstance(result, list)
    return result


def align(model: LoadedModel, sequence: TokenSequence, hypothesis: Hypothesis) -> Alignment:
    """Attention of one sentence with the spelling of its tokens."""
    assert hypothesis.attention is not None
    return Alignment(
        model.tokenizer.tokens(sequence.input_ids),
        model.tokenizer.tokens(hypothesis.token_ids),
        np.round(hypothesis.attention.astype(np.float64), 4).tolist(),
    )
