"""Cuts a text into sentences as a translator reads them, with what must pass through masked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from service.answers import Formality, TranslateOptions
from service.engine.batch import Hypothesis, Result, SearchOptions, TokenSequence
from service.errors import InvalidInput
from service.pipeline.translation.sentence import (
    DIGITS,
    Candidate,
    Sentence,
    carries_some_masks,
    find_candidates,
)
from service.repository.manifest import Manifest, ScoreFit
from service.repository.model import Model, check_length, new_token_limit
from service.text.alignment import share_tags
from service.text.casing import NOUN_CAPITALS, is_short_title, lower_title
from service.text.levels.speech_level import DEFAULT_LEVELS, Level, level_of, mixes_levels
from service.text.markup import Node, Tag, escape_text
from service.text.masking.conversions import find_conversions, find_readings
from service.text.masking.masker import Masked, Masks, cut_at_placeables, mask_sentence
from service.text.masking.spelled import find_spelled
from service.text.masking.terms import NO_TERMS, Terms
from service.text.masking.times.dates import put_months_first
from service.text.sentences import segmenter
from service.text.set_phrases import find_phrase

# Below this score, a word alone is read in another way, too: "hello" as "Hello.".
DOUBTFUL = 0.85
FORMALITIES: dict[Formality, Level | None] = {
    "default": None,
    "more": "formal",
    "less": "casual",
    "prefer_more": "formal",
    "prefer_less": "casual",
}


@dataclass(frozen=True)
class Reader:
    """Makes sentences for one model, and their sequences.

    Attributes:
        source, target: language codes.
        text_format: of the text, `text` or `html`.
        terms: those whose translations are given.
        start_id: the token that starts the translations.
        level: that they should have, if one was asked for and the model knows it.
        source_start_id: of texts in the source language, if translations are to be reranked.
        score_fit: of the direction, if the model has one.
        like: its times and search options are those of the sentences' sequences.
        suggested: the level that the text asks for, which counts if the request asks for none.
    """

    model: Model
    source: str
    target: str
    text_format: str
    terms: Terms
    start_id: int
    level: Level | None
    source_start_id: int | None
    score_fit: ScoreFit | None
    like: TokenSequence
    suggested: Level | None = None

    @property
    def masks(self) -> Masks:
        """Those that the model knows."""
        return self.model.manifest.masks

    @property
    def max_tokens(self) -> int:
        """Of a sentence."""
        return self.model.manifest.limits.max_input_tokens

    def cut(self, node: Node) -> list[Sentence]:
        """The sentences of a text, masked but not yet read."""
        pairs = segmenter.split(node.text, self.source, has_lines=node.has_lines)
        found: list[Sentence] = []
        for sentence in share(pairs, node.tags):
            phrase = self.find_phrase(sentence)
            masked = Masked("", phrase) if phrase else self.mask(sentence, self.masks)
            found += [sentence._replace(masked=masked)] if masked else self.cut_around(sentence)
        return found

    def find_phrase(self, sentence: Sentence) -> str | None:
        """The translation of a set phrase, at the level asked for if there is one.

        None for any other sentence, and where a term is given.
        """
        if sentence.tags or self.terms.find(sentence.text):
            return None
        found = find_phrase(sentence.text, self.source, self.target)
        if self.level:
            levels = (None, self.level)
            found = [each for each in found if level_of(each, self.target) in levels] or found
        return found[0] if found else None

    def cut_around(self, sentence: Sentence) -> list[Sentence]:
        """The placeables of a sentence and what is between them, each as a sentence."""
        pieces = split_sentence(sentence, cut_at_placeables(sentence.text, self.terms))
        return [
            piece._replace(masked=self.mask(piece, {}) or Masked("", piece.text))
            for piece in pieces
        ]

    def cut_in_two(self, sentence: Sentence) -> list[Sentence]:
        """The halves of a sentence that is too long, as sentences."""
        found: list[Sentence] = []
        for half in split_sentence(sentence, segmenter.cut_in_two(sentence.text)):
            masked = self.mask(half, self.masks)
            found += [half._replace(masked=masked)] if masked else self.cut_around(half)
        return found

    def mask(
        self, sentence: Sentence, masks: Masks, *, small_numbers: bool = False
    ) -> Masked | None:
        converted = find_conversions(sentence.text, self.source, self.target) if masks else ()
        spelled = find_spelled(sentence.text, self.source) if small_numbers else ()
        readings = find_readings(sentence.text, self.source)
        return mask_sentence(
            sentence.text,
            masks,
            sentence.tags,
            terms=self.terms,
            small_numbers=small_numbers,
            given=[*converted, *spelled, *readings],
            render=escape_text if self.text_format == "html" else str,
        )

    def read(self, found: Sequence[Sentence]) -> list[list[Sentence]]:
        """Each sentence with what the model is to translate of it in a sequence.

        One that is too long for the model is cut as often as it takes, and becomes several.

        Raises:
            InputTooLong: a word is too long for the model.
        """
        spelled = self.model.normalize_case(
            [sentence.masked.text for sentence in found], self.source
        )
        if self.source == "en":
            spelled = [put_months_first(text) for text in spelled]
        encoded = self.model.encode(spelled, self.start_id)
        read: list[list[Sentence]] = []
        for sentence, text, input_ids in zip(found, spelled, encoded, strict=True):
            if not input_ids:
                read.append([sentence])
            elif len(input_ids) > self.max_tokens and " " in sentence.masked.text:
                read.append(list(chain.from_iterable(self.read(self.cut_in_two(sentence)))))
            else:
                numbers = find_spelled(sentence.masked.text, self.source)
                sentence = sentence._replace(
                    sequence=self.make_sequence(input_ids, sentence),
                    spelled=text,
                    numbers=[each.figures for each in numbers],
                    target=self.target,
                    level=self.level,
                    is_open=self.suggested in self.levels,
                )
                read.append([sentence])
        return read

    def make_sequence(self, input_ids: list[int], sentence: Sentence) -> TokenSequence:
        """A sentence's sequence of tokens with the times and search options of its text."""
        manifest, like = self.model.manifest, self.like
        check_length(input_ids, self.model)
        assert like.search is not None
        limit = min(like.search.max_new_tokens, new_token_limit(input_ids, manifest))
        with_attention = like.search.with_attention or bool(sentence.masked.tags)
        search = SearchOptions(like.search.beam_size, limit, with_attention, self.source_start_id)
        return TokenSequence(input_ids, like.arrived_at, like.deadline, search, self.start_id)

    def must_read_again(self, sentence: Sentence, results: Mapping[TokenSequence, Result]) -> bool:
        """Whether another reading could keep what no hypothesis is faithful to, or is likelier."""
        if sentence.sequence is None or sentence.is_retry or sentence.is_plain:
            return False
        best = next(find_candidates(self.model, sentence, results), None)
        if best is None or self.is_off_level(best, self.suggested):
            return True
        return self.respell(sentence) is not None and self.doubts(best.hypothesis)

    def respell(self, sentence: Sentence) -> str | None:
        """Another spelling of a label, if it could be read otherwise.

        A word in small letters may be an utterance. Capitals may be those of Title Case, but not if
        nouns have them, or if the vocabulary has the word so.
        """
        spelled = sentence.spelled
        first, rest = spelled[:1], spelled[1:]
        if not sentence.is_label:
            return None
        if first.islower():
            return f"{first.upper()}{rest}."
        if self.source in NOUN_CAPITALS or self.model.tokenizer.has_word(spelled):
            return None
        if is_short_title(sentence.masked.text):
            lowered = lower_title(spelled, self.model.reads_lower)
            return None if lowered == spelled else lowered
        return f"{first.lower()}{rest}"

    def doubts(self, hypothesis: Hypothesis) -> bool:
        fit = self.score_fit
        return fit is not None and fit.score(hypothesis.score) < DOUBTFUL

    @property
    def levels(self) -> Mapping[Level, int]:
        """The start tokens of the levels among which a translation is free to choose."""
        is_given = self.level is not None or self.target in DEFAULT_LEVELS
        return {} if is_given else self.model.manifest.ids.level_ids.get(self.target, {})

    def is_off_level(self, candidate: Candidate, wanted: Level | None) -> bool:
        """Whether a candidate is at another level than is wanted, or at several."""
        if wanted not in self.levels:
            return False
        level = level_of(candidate.text, self.target)
        is_other = level in self.levels and level != wanted
        return is_other or mixes_levels(candidate.text, self.target)

    def read_at_level(
        self, sentence: Sentence, level: Level, results: Mapping[TokenSequence, Result]
    ) -> list[Sentence]:
        """A sentence read once more, for a translation at a level."""
        earlier = tuple(find_candidates(self.model, sentence, results))
        reader = replace(self, start_id=self.levels[level], level=level)
        (again,) = reader.read([sentence._replace(sequence=None)])
        return [each._replace(is_retry=True, earlier=earlier) for each in again]

    def read_again(
        self, sentence: Sentence, results: Mapping[TokenSequence, Result]
    ) -> list[Sentence]:
        """A sentence read another way.

        Its small and its spelled-out numbers are masked, or it is cut around its masks, or in two.
        A label is spelled otherwise. One at another level than the text asks for is read at that.
        """
        best = next(find_candidates(self.model, sentence, results), None)
        if best and self.suggested and self.is_off_level(best, self.suggested):
            return self.read_at_level(sentence, self.suggested, results)
        if (spelled := self.respell(sentence)) and not sentence.numbers:
            (input_ids,) = self.model.encode([spelled], self.start_id)
            sequence = self.make_sequence(input_ids, sentence)
            earlier = tuple(find_candidates(self.model, sentence, results))
            return [
                sentence._replace(
                    sequence=sequence, spelled=spelled, is_retry=True, earlier=earlier
                )
            ]
        masked = None
        has_numbers = sentence.numbers or DIGITS.search(sentence.masked.text)
        if has_numbers and carries_some_masks(self.model, sentence, results):
            masked = self.mask(sentence, self.masks, small_numbers=True)
            found = find_candidates(self.model, sentence, results, may_drop_figures=True)
            sentence = sentence._replace(earlier=tuple(found))
        if masked:
            again = [sentence._replace(masked=masked, sequence=None)]
        else:
            again = self.cut_around(sentence)
            if len(again) == 1 and sentence.masked.originals:  # nothing to cut at
                again = self.cut_in_two(sentence)
        return [each._replace(is_retry=True) for each in chain.from_iterable(self.read(again))]


def make_reader(
    model: Model,
    source: str,
    options: TranslateOptions,
    like: TokenSequence,
    terms: Terms = NO_TERMS,
    suggested: Level | None = None,
) -> Reader:
    """The reader of texts in `source` for the target and the wishes of a request.

    Args:
        model: that of the direction.
        source: language code.
        options: of the request.
        like: see `Reader`.
        terms: those whose translations are given.
        suggested: the level that a text asks for, if the request leaves it to the text.

    Raises:
        InvalidInput: see `choose_start` and `choose_source_start`.
    """
    manifest = model.manifest
    return Reader(
        model,
        source,
        options.target,
        options.text_format,
        terms,
        *choose_start(manifest, options),
        choose_source_start(manifest, source, options),
        manifest.score_fit(source, options.target),
        like,
        suggested,
    )


def choose_start(manifest: Manifest, options: TranslateOptions) -> tuple[int, Level | None]:
    """The start token for the target, and the level, at the formality asked for.

    Raises:
        InvalidInput: the model has no levels in that language, and one is insisted on.
    """
    ids, target = manifest.ids, options.target
    level = FORMALITIES[options.formality]
    if level and level in ids.level_ids.get(target, {}):
        return ids.level_ids[target][level], level
    if options.formality in ("more", "less"):
        raise InvalidInput(
            f"formality is {options.formality}, but model {manifest.name} knows no levels of "
            f"formality in {target}; ask for prefer_{options.formality}, or leave it out"
        )
    return ids.start_ids[target], None


def choose_source_start(manifest: Manifest, source: str, options: TranslateOptions) -> int | None:
    """The start token of texts in the source language; None if nothing is to be reranked.

    Raises:
        InvalidInput: that is insisted on, and the model cannot.
    """
    if options.rerank and not manifest.has_scorer:
        raise InvalidInput(
            f"rerank is true, but model {manifest.name} has no graph to rerank with; leave it out, "
            "or export the model again"
        )
    is_wanted = manifest.has_scorer and options.rerank is not False
    return manifest.ids.neutral_ids[source] if is_wanted else None


def split_sentence(sentence: Sentence, pairs: Sequence[tuple[str, str]]) -> list[Sentence]:
    """A sentence in pieces, with its tags and the white space behind it."""
    pieces = share(pairs, sentence.tags)
    last = pieces[-1]
    space_tags = [tag._replace(offset=tag.offset + len(last.space)) for tag in sentence.space_tags]
    pieces[-1] = last._replace(
        space=last.space + sentence.space, space_tags=[*last.space_tags, *space_tags]
    )
    return pieces


def share(pairs: Sequence[tuple[str, str]], tags: Sequence[Tag]) -> list[Sentence]:
    """Sentences from texts with the white space behind them, and the tags of each."""
    if not tags:
        return [Sentence(text, space, Masked("", text)) for text, space in pairs]
    pairs = [("", ""), *pairs]  # what stands before the first sentence stands after this one
    shared = iter(share_tags(tags, list(chain.from_iterable(pairs))))
    return [
        Sentence(text, space, Masked("", text), tags=next(shared), space_tags=next(shared))
        for text, space in pairs
    ]
