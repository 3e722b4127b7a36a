"""A document's translation as it comes: what of its text is certain already, in its order.

Knows no queue and no HTTP: token ids and finished sentences go in, text comes out.
"""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial

from service.answers import Delta
from service.engine.batch import Result, TokenSequence
from service.pipeline.translation.documents import Document, Passage, render_passage
from service.pipeline.translation.reader import Reader
from service.pipeline.translation.sentence import Sentence, choose_candidates, translate_sentence
from service.text.incremental_decoder import IncrementalDecoder
from service.text.markup import render_plain
from service.text.masking.masker import LETTER
from service.text.sentences.final_marks import without_final_marks

# Bytes that form no character, and masks: after one, another hypothesis may be taken instead.
DOUBTFUL = re.compile("[\ufffd\ue000-\uf8ff]")


class SentenceText:
    """The text of one sentence as its tokens come, each decoded once."""

    def __init__(self, decoder: IncrementalDecoder) -> None:
        self._decoder = decoder
        self._decoded = ""

    def add(self, token_ids: list[int]) -> None:
        self._decoded += self._decoder.add(token_ids)

    @property
    def text(self) -> str:
        """What is certain of it: the marks at its end may turn out to be others."""
        known = without_final_marks(DOUBTFUL.split(self._decoded, maxsplit=1)[0])
        return known if LETTER.search(known) else ""


class DocumentText:
    """The text of a document as its sentences are translated, side by side and in any order.

    Plain text grows token by token, as far as the sentences before are complete. Markup grows by
    passages, since a tag can only be placed when the whole sentence is known.
    """

    def __init__(self, document: Document, text_format: str) -> None:
        self._document, self._format = document, text_format
        self._sentences: dict[TokenSequence, SentenceText] = {}
        if document.reader and text_format == "text":
            self._sentences = open_sentences(document.reader, document.passages)
        self._results: dict[TokenSequence, Result] = {}
        self._parts: deque[Sentence | Passage] = deque()
        for passage in document.passages:
            by_sentence = text_format == "text" and document.reader is not None
            self._parts += passage.sentences if by_sentence else [passage]
        self._given = 0  # characters of the first part
        self._taken: list[str] = []

    @property
    def text(self) -> str:
        """What has been taken; the whole translation once all sentences are finished."""
        return "".join(self._taken)

    def add_tokens(self, sequence: TokenSequence, token_ids: list[int]) -> None:
        if sequence in self._sentences and sequence not in self._results:
            self._sentences[sequence].add(token_ids)

    def finish(self, sequence: TokenSequence, result: Result) -> list[TokenSequence]:
        """Takes a sentence's result; returns the sequences by which it must be read again."""
        self._results[sequence] = result
        sentence = self._document.sentence(sequence)
        again = self._document.read_again(sequence, self._results)
        if again and sentence in self._parts:
            place = self._parts.index(sentence)
            del self._parts[place]
            for each in reversed(again):
                self._parts.insert(place, each)
        return [each.sequence for each in again if each.sequence]

    def take_text(self) -> str:
        """What has become certain since the last call; may be empty."""
        taken = []
        while self._parts:
            text, is_complete = self._look_at(self._parts[0])
            taken.append(text[self._given :])
            self._given = len(text)
            if not is_complete:
                break
            self._parts.popleft()
            self._given = 0
        self._taken += taken
        return "".join(taken)

    def _look_at(self, part: Sentence | Passage) -> tuple[str, bool]:
        """What is known of a part's text, and whether that is all of it."""
        if isinstance(part, Passage):
            return self._look_at_passage(part)
        reader = self._document.reader
        assert reader is not None
        if part.sequence is None or part.sequence in self._results:
            choices = choose_candidates(reader.model, [part], self._results)
            rendered = translate_sentence(reader.model, part, choices)
            return render_plain(rendered.text, rendered.tags) + part.space, True
        growing = self._sentences.get(part.sequence)
        return growing.text if growing else "", False

    def _look_at_passage(self, passage: Passage) -> tuple[str, bool]:
        reader = self._document.reader
        if reader is None:
            return passage.node.source, True
        if not is_finished(passage, self._results):
            return "", False
        choices = choose_candidates(reader.model, passage.sentences, self._results)
        return render_passage(reader.model, passage, choices, self._format), True


class GrowingTexts:
    """The translations of a request's documents as they come.

    Attributes:
        num_unfinished: sentences that are not translated yet.
    """

    def __init__(self, documents: Sequence[Document], text_format: str) -> None:
        self._documents = [DocumentText(document, text_format) for document in documents]
        self._owners = {
            sequence: index
            for index, document in enumerate(documents)
            for sequence in document.sequences
        }
        self.num_unfinished = len(self._owners)
        self._grown = list(range(len(documents)))

    @property
    def sequences(self) -> list[TokenSequence]:
        return list(self._owners)

    def index_of(self, sequence: TokenSequence) -> int:
        """The place of the document that a sequence belongs to."""
        return self._owners[sequence]

    @property
    def texts(self) -> list[str]:
        """What has been taken of each document."""
        return [document.text for document in self._documents]

    def add_tokens(self, sequence: TokenSequence, token_ids: list[int]) -> None:
        self._find_owner(sequence).add_tokens(sequence, token_ids)

    def finish(self, sequence: TokenSequence, result: Result) -> list[TokenSequence]:
        """Takes a sentence's result; returns the sequences by which it must be read again."""
        again = self._find_owner(sequence).finish(sequence, result)
        self._owners |= dict.fromkeys(again, self._owners[sequence])
        self.num_unfinished += len(again) - 1
        return again

    def take_deltas(self) -> list[Delta]:
        """What has become certain since the last call."""
        grown, self._grown = self._grown, []
        taken = [Delta(index, self._documents[index].take_text()) for index in grown]
        return [delta for delta in taken if delta.text]

    def _find_owner(self, sequence: TokenSequence) -> DocumentText:
        index = self._owners[sequence]
        self._grown.append(index)
        return self._documents[index]


def open_sentences(
    reader: Reader, passages: Sequence[Passage]
) -> dict[TokenSequence, SentenceText]:
    """Those whose translation is certain to begin with the tokens as they come."""
    model = reader.model
    return {
        sentence.sequence: SentenceText(
            IncrementalDecoder(
                # capitals are made character by character, so that parts give what the whole would
                partial(model.decode, in_capitals=sentence.is_in_capitals),
                model.tokenizer.tokens,
            )
        )
        for passage in passages
        for sentence in passage.sentences
        if sentence.sequence and sentence.is_plain
    }


def is_finished(passage: Passage, results: Mapping[TokenSequence, Result]) -> bool:
    return all(
        sentence.sequence is None or sentence.sequence in results for sentence in passage.sentences
    )
