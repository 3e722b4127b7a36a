"""Where the tokens that a translator reads are in the text that was sent."""

from collections.abc import Iterable
from difflib import SequenceMatcher

from service.pipeline.states import Reading, make_tokens
from service.pipeline.translation.documents import Document
from service.pipeline.translation.sentence import Sentence
from service.repository.model import Model

Span = tuple[int, int]


def list_readings(document: Document, text: str) -> list[Reading]:
    """The sentences of a plain text as its model reads them first, without their ends."""
    if document.reader is None:
        return []
    readings = []
    start = 0
    for passage in document.passages:
        for sentence in passage.sentences:
            if sentence.sequence is not None:
                spans = locate_tokens(document.reader.model, sentence)
                tokens = make_tokens(text, ((start + first, start + end) for first, end in spans))
                readings.append(Reading(sentence.sequence.input_ids, tokens))
            start += len(sentence.text) + len(sentence.space)
    return readings


def locate_tokens(model: Model, sentence: Sentence) -> list[Span]:
    """Where each token is in the text of a sentence; a mask is where what it stands for is."""
    spans = model.tokenizer.spans(sentence.spelled)
    read = sentence.masked.text  # as long as it is spelled
    return spans if read == sentence.text else map_spans(spans, read, sentence.text)


def map_spans(spans: Iterable[Span], edited: str, original: str) -> list[Span]:
    """Spans of an edited text in the original; what was put in stands for all that it replaced."""
    starts = [len(original)] * (len(edited) + 1)
    ends = [0] * (len(edited) + 1)
    matcher = SequenceMatcher(None, edited, original, autojunk=False)
    for kind, first, behind, start, end in matcher.get_opcodes():
        for place in range(first, behind):
            if kind == "equal":
                shift = start - first
                starts[place], ends[place + 1] = place + shift, place + 1 + shift
            else:
                starts[place], ends[place + 1] = start, end
    return [(starts[start], max(starts[start], ends[end])) for start, end in spans]
