"""A document's translation as it comes: what of its text is certain already, in its order.

Knows no queue and no HTTP: token ids and finished sentences go in, text comes out.
"""

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from service.engine.batch import Result, TokenSequence
from service.pipeline.documents import (
    Document,
    Passage,
    Sentence,
    render_passage,
    translate_sentence,
)

BROKEN = "\ufffd"


class SentenceText:
    """The text of one sentence as its tokens come; a character is given when it is whole."""

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._token_ids: list[int] = []
        self.text = ""

    def add(self, token_ids: list[int]) -> None:
        """Takes further token ids.

        The last bytes of a text look like a broken character until the next token completes it, so
        such an end is held back.
        """
        self._token_ids += token_ids
        text = self._decode(self._token_ids).rstrip(BROKEN)
        if text.startswith(self.text):  # never takes back what was given
            self.text = text


class DocumentText:
    """The text of a document as its sentences are translated, side by side and in any order.

    Plain text grows token by token, as far as the sentences before are complete. Markup grows by
    passages, since a tag can only be placed when the whole sentence is known.
    """

    def __init__(self, document: Document, text_format: str) -> None:
        self._document, self._format = document, text_format
        self._sentences = open_sentences(document)
        self._results: dict[TokenSequence, Result] = {}
        self._parts: deque[Sentence | Passage] = deque()
        for passage in document.passages:
            by_sentence = text_format == "text" and document.model is not None
            self._parts += passage.sentences if by_sentence else [passage]
        self._given = 0  # characters of the first part

    def add_tokens(self, sequence: TokenSequence, token_ids: list[int]) -> None:
        self._sentences[sequence].add(token_ids)

    def finish(self, sequence: TokenSequence, result: Result) -> None:
        self._results[sequence] = result

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
        return "".join(taken)

    def _look_at(self, part: Sentence | Passage) -> tuple[str, bool]:
        """What is known of a part's text, and whether that is all of it."""
        if isinstance(part, Passage):
            return self._look_at_passage(part)
        sequence, model = part.sequence, self._document.model
        if sequence is not None and sequence not in self._results:
            return self._sentences[sequence].text, False
        assert model is not None
        text, _ = translate_sentence(model, part, self._results, 0)
        return text + part.space, True

    def _look_at_passage(self, passage: Passage) -> tuple[str, bool]:
        model = self._document.model
        if model is None:
            return passage.node.source, True
        if not is_finished(passage, self._results):
            return "", False
        return render_passage(model, passage, self._results, 0, self._format), True


def open_sentences(document: Document) -> dict[TokenSequence, SentenceText]:
    if document.model is None:
        return {}
    decode = document.model.decode
    return {
        sentence.sequence: SentenceText(partial(decode, in_capitals=sentence.is_in_capitals))
        for passage in document.passages
        for sentence in passage.sentences
        if sentence.sequence
    }


def is_finished(passage: Passage, results: Mapping[TokenSequence, Result]) -> bool:
    return all(
        sentence.sequence is None or sentence.sequence in results for sentence in passage.sentences
    )
