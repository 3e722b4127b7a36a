"""A document's translation as it comes: what of its text is certain already, in its order.

Knows no queue and no HTTP: token ids and finished sentences go in, text comes out.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial

from service.answers import Delta
from service.engine.batch import Result, TokenSequence
from service.pipeline.documents import (
    Document,
    Passage,
    Sentence,
    hypotheses_of,
    render_passage,
)
from service.text.incremental_decoder import IncrementalDecoder


class SentenceText:
    """The text of one sentence as its tokens come, each decoded once."""

    def __init__(self, decoder: IncrementalDecoder) -> None:
        self._decoder = decoder
        self._num_tokens = 0
        self.text = ""

    def add(self, token_ids: list[int]) -> None:
        self._num_tokens += len(token_ids)
        self.text += self._decoder.add(token_ids)

    def finish(self, token_ids: list[int]) -> None:
        """Takes all token ids of the sentence, of which the first may be known already."""
        self.add(token_ids[self._num_tokens :])
        self.text += self._decoder.flush()


class DocumentText:
    """The text of a document as its sentences are translated, side by side and in any order.

    Plain text grows token by token, as far as the sentences before are complete. Markup grows by
    passages, since a tag can only be placed when the whole sentence is known.
    """

    def __init__(self, document: Document, text_format: str) -> None:
        self._document, self._format = document, text_format
        self._sentences = open_sentences(document) if text_format == "text" else {}
        self._results: dict[TokenSequence, Result] = {}
        self._parts: deque[Sentence | Passage] = deque()
        for passage in document.passages:
            by_sentence = text_format == "text" and document.model is not None
            self._parts += passage.sentences if by_sentence else [passage]
        self._given = 0  # characters of the first part
        self._taken: list[str] = []

    @property
    def text(self) -> str:
        """What has been taken; the whole translation once all sentences are finished."""
        return "".join(self._taken)

    def add_tokens(self, sequence: TokenSequence, token_ids: list[int]) -> None:
        if sequence not in self._results:
            self._sentences[sequence].add(token_ids)

    def finish(self, sequence: TokenSequence, result: Result) -> None:
        self._results[sequence] = result
        if sequence in self._sentences:
            best = hypotheses_of(self._results, sequence)[0]
            self._sentences[sequence].finish(best.token_ids)

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
        if part.sequence is None:
            return part.text + part.space, True
        text = self._sentences[part.sequence].text
        return (text + part.space, True) if part.sequence in self._results else (text, False)

    def _look_at_passage(self, passage: Passage) -> tuple[str, bool]:
        model = self._document.model
        if model is None:
            return passage.node.source, True
        if not is_finished(passage, self._results):
            return "", False
        return render_passage(model, passage, self._results, 0, self._format), True


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

    @property
    def texts(self) -> list[str]:
        """What has been taken of each document."""
        return [document.text for document in self._documents]

    def add_tokens(self, sequence: TokenSequence, token_ids: list[int]) -> None:
        self._find_owner(sequence).add_tokens(sequence, token_ids)

    def finish(self, sequence: TokenSequence, result: Result) -> None:
        self._find_owner(sequence).finish(sequence, result)
        self.num_unfinished -= 1

    def take_deltas(self) -> list[Delta]:
        """What has become certain since the last call."""
        grown, self._grown = self._grown, []
        taken = [Delta(index, self._documents[index].take_text()) for index in grown]
        return [delta for delta in taken if delta.text]

    def _find_owner(self, sequence: TokenSequence) -> DocumentText:
        index = self._owners[sequence]
        self._grown.append(index)
        return self._documents[index]


def open_sentences(document: Document) -> dict[TokenSequence, SentenceText]:
    model = document.model
    if model is None:
        return {}
    return {
        sentence.sequence: SentenceText(
            IncrementalDecoder(
                # capitals are made character by character, so that parts give what the whole would
                partial(model.decode, in_capitals=sentence.is_in_capitals),
                model.tokenizer.tokens,
            )
        )
        for passage in document.passages
        for sentence in passage.sentences
        if sentence.sequence
    }


def is_finished(passage: Passage, results: Mapping[TokenSequence, Result]) -> bool:
    return all(
        sentence.sequence is None or sentence.sequence in results for sentence in passage.sentences
    )
