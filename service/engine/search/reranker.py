"""Chooses among the hypotheses of a sentence by how well its source follows from each.

The model translates both ways, so that it can also tell how probable the source is as a translation
of a hypothesis. One that leaves a word out, or has another one in its place, is likely by itself,
but does not lead back to the source: noisy-channel reranking (Yee et al. 2019, equation 4, without
a language model). Words that a hypothesis makes up count against it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from service.arrays import FloatArray
from service.engine.batch import Hypothesis, Result, TokenSequence, pad_rows
from service.engine.runtime.session import Session

# Bounds the memory for the scores of all tokens of the vocabulary, some 50 kB each.
MAX_BATCH_TOKENS = 1024

Ended = tuple[TokenSequence, Result]
UnknownCounter = Callable[[TokenSequence, Hypothesis], int]
"""Counts the unknown words of a hypothesis of a sentence."""


@dataclass(frozen=True)
class Candidate:
    """A hypothesis to be read back.

    Attributes:
        place: of its sentence and of itself among that sentence's hypotheses.
        read_ids: the hypothesis as the encoder reads it, with eos.
        wanted_ids: the source as the decoder writes it, from its start token to eos.
    """

    place: tuple[int, int]
    read_ids: list[int]
    wanted_ids: list[int]

    @property
    def num_tokens(self) -> int:
        return len(self.read_ids) + len(self.wanted_ids)


class Reranker:
    """Reranks the complete hypotheses of sentences that ask for it; owned by one thread.

    Args:
        scorer: graph of `export.graphs.scorer.build_scorer`.
        pad_id: fills short rows.
        eos_id: ends a text.
        count_unknown: where the words of the languages are known.
    """

    def __init__(
        self,
        scorer: Session,
        pad_id: int,
        eos_id: int,
        count_unknown: UnknownCounter | None = None,
    ) -> None:
        self._scorer, self._pad_id, self._eos_id = scorer, pad_id, eos_id
        self._count_unknown = count_unknown

    def rerank(self, ended: Sequence[Ended]) -> list[Ended]:
        """The results of sentences, each with its best hypothesis first.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        candidates = [
            candidate
            for index, (sequence, result) in enumerate(ended)
            for candidate in self._list_candidates(index, sequence, result)
        ]
        scores: dict[tuple[int, int], float] = {}
        for batch in cut_batches(candidates):
            places = [candidate.place for candidate in batch]
            scores |= zip(places, self._score(batch), strict=True)
        return [
            (sequence, self._sort(index, sequence, result, scores))
            for index, (sequence, result) in enumerate(ended)
        ]

    def _list_candidates(
        self, index: int, sequence: TokenSequence, result: Result
    ) -> list[Candidate]:
        """The complete hypotheses of a sentence; none if there is nothing to choose."""
        search = sequence.search
        if search is None or search.source_start_id is None or not isinstance(result, list):
            return []
        if len(result) < 2:
            return []
        # what ends the source is eos, or the level of its translation
        wanted_ids = [search.source_start_id, *sequence.input_ids[:-1], self._eos_id]
        return [
            Candidate((index, place), [*result[place].token_ids, self._eos_id], wanted_ids)
            for place, found in enumerate(result)
            if found.is_complete
        ]

    def _sort(
        self,
        index: int,
        sequence: TokenSequence,
        result: Result,
        scores: dict[tuple[int, int], float],
    ) -> Result:
        """The hypotheses of sentence `index` by merit; those that were not read back last."""
        if not isinstance(result, list):
            return result
        read: list[Hypothesis] = []
        others: list[Hypothesis] = []
        for place, found in enumerate(result):
            read_back = scores.get((index, place))
            if read_back is None:
                others.append(found)
                continue
            num_unknown = self._count_unknown(sequence, found) if self._count_unknown else 0
            read.append(replace(found, read_back=read_back, num_unknown=num_unknown))
        return [*sorted(read, key=lambda found: -found.merit), *others]

    def _score(self, batch: Sequence[Candidate]) -> list[float]:
        """The mean log-probability per token of the source, from each hypothesis."""
        read = pad_rows([candidate.read_ids for candidate in batch], self._pad_id)
        wanted = pad_rows([candidate.wanted_ids for candidate in batch], self._pad_id)
        feeds = {**read.feeds, "target_ids": wanted.input_ids}
        scores: FloatArray = self._scorer.run(feeds)["scores"]
        return [
            float(row[: length - 1].mean())
            for row, length in zip(scores, wanted.lengths, strict=True)
        ]


def cut_batches(candidates: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """Candidates of similar lengths together, up to `MAX_BATCH_TOKENS` with their padding."""
    batch: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda each: each.num_tokens):
        if batch and candidate.num_tokens * (len(batch) + 1) > MAX_BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(candidate)
    if batch:
        yield batch
