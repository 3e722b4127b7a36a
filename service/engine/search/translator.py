"""Greedy and beam search over the decoder's step; sentences join and leave between steps.

All sentences of one beam size advance together, as arrays (`beams`).
"""

from collections.abc import Sequence

import numpy as np

from service.arrays import BoolArray, FloatArray, IntArray
from service.engine.batch import Defect, Hypothesis, TokenSequence
from service.engine.search.beams import (
    BeamGroup,
    Continuations,
    History,
    RunningSequence,
    common_prefix,
    rank_continuations,
    rank_hypotheses,
    stack_rows,
    start_beam_group,
)
from service.engine.search.decoder_session import DecoderOutputs, DecoderSession
from service.engine.search.repetition import MAX_PERIOD
from service.engine.search.reranker import Ended, Reranker

# A hypothesis loops if its last LOOP_TOKENS tokens repeat a period of at most MAX_PERIOD; checked
# every LOOP_INTERVAL steps.
LOOP_TOKENS = 24
LOOP_INTERVAL = 8
# With at least JOIN_AT_ONCE sentences in the decoder, new ones join only every JOIN_INTERVAL steps:
# they are encoded together, which costs less per sentence than encoding each as it arrives.
JOIN_AT_ONCE = 8
JOIN_INTERVAL = 3


class TranslatorRunner:
    """Decodes sentences in rows of one batch; a step advances every live hypothesis by one token.

    A sentence occupies as many rows as its beam is wide, from its first step to its last.

    Args:
        session: of the model's graphs; the runner's own.
        eos_id: ends a translation.
        max_rows: live hypotheses at a time.
        reranker: of the sentences that ask for it; without one, they are not reranked.
    """

    def __init__(
        self,
        session: DecoderSession,
        eos_id: int,
        max_rows: int,
        reranker: Reranker | None = None,
    ) -> None:
        self.session, self._reranker = session, reranker
        self._eos_id, self._max_rows = eos_id, max_rows
        self.reset()

    def reset(self) -> None:
        """Forgets all running sentences."""
        self.session.clear()
        self._history = History()
        self._groups: list[BeamGroup] = []
        self._rows: IntArray | None = None
        self._next_join = 0

    @property
    def free_rows(self) -> int:
        if self.num_running >= JOIN_AT_ONCE and self._history.num_calls < self._next_join:
            return 0
        return self._max_rows - sum(group.num_rows for group in self._groups)

    @property
    def batch_seconds(self) -> float:
        """What encoding the last arrivals took."""
        return self.session.encode_seconds

    @property
    def num_running(self) -> int:
        return sum(len(group.sentences) for group in self._groups)

    def step(self, arrivals: list[TokenSequence]) -> list[Ended]:
        """Lets arrivals join, advances all sentences by one token, returns those that ended.

        Raises:
            InferenceFailed: all running sequences are lost; call `reset`.
        """
        for group in self._groups:
            self._remove(group, group.find_abandoned())
        self._compact()
        if joining := [sequence for sequence in arrivals if not sequence.is_abandoned]:
            self._join(joining)
            self._next_join = self._history.num_calls + JOIN_INTERVAL
        if not self._groups:
            return []
        outputs = self._decode()
        # all groups read the outputs before a sentence that leaves moves pages and rows
        ended = [self._advance(group, outputs) for group in self._groups]
        sentences: list[RunningSequence] = []
        for group, places in zip(self._groups, ended, strict=True):
            sentences += [group.sentences[place] for place in places]
            self._remove(group, places)
        self._compact()
        return self._finish(sentences)

    def rerank(self, ended: list[Ended]) -> list[Ended]:
        """The results with the best hypothesis of each sentence first.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        return self._reranker.rerank(ended) if self._reranker and ended else ended

    def _finish(self, sentences: Sequence[RunningSequence]) -> list[Ended]:
        """The results of sentences that have ended; those that stream get the rest of theirs."""
        ended: list[Ended] = [(each.sequence, rank_hypotheses(each)) for each in sentences]
        ended = self.rerank(ended)
        for sentence, (sequence, result) in zip(sentences, ended, strict=True):
            if sequence.on_tokens and isinstance(result, list):
                rest = result[0].token_ids[sentence.num_given :]
                if rest:
                    sequence.on_tokens(rest)
        return ended

    def _join(self, arrivals: list[TokenSequence]) -> None:
        handles, first_row = self.session.encode(arrivals)
        self._rows = None
        groups = {group.beam_size: group for group in self._groups}
        for beam_size in sorted({sequence.num_rows for sequence in arrivals}):
            places = [n for n, sequence in enumerate(arrivals) if sequence.num_rows == beam_size]
            sentences = [
                RunningSequence(arrivals[place], handles[place], self._history.num_calls)
                for place in places
            ]
            group = start_beam_group(sentences, first_row + np.array(places))
            if known := groups.get(beam_size):
                known.join(group)
            else:
                groups[beam_size] = group
        self._groups = [groups[beam_size] for beam_size in sorted(groups)]

    def _decode(self) -> DecoderOutputs:
        """Calls the decoder for the rows of all groups, one group below the other."""
        token_ids = stack_rows([group.token_ids for group in self._groups])
        parents = stack_rows([group.parents for group in self._groups])
        if self._rows is None:
            self._rows = self._assign_rows()
        num_candidates = max(group.num_candidates for group in self._groups)
        outputs = self.session.step(token_ids, parents, self._rows, num_candidates)
        self._history.append(token_ids, parents)
        return outputs

    def _assign_rows(self) -> IntArray:
        """The rows that read each page: (G, widest beam), padded with the number of rows.

        Also sets each group's first row.
        """
        widest = self._groups[-1].beam_size
        columns = np.arange(widest)
        owners = self.session.owners
        by_handle = np.empty((int(owners.max()) + 1, widest), np.int64)
        num_rows = sum(group.num_rows for group in self._groups)
        first_row = 0
        for group in self._groups:
            group.first_row = first_row
            first_rows = first_row + group.beam_size * np.arange(len(group.sentences))
            rows = np.where(columns < group.beam_size, first_rows[:, None] + columns, num_rows)
            by_handle[group.handles] = rows
            first_row += group.num_rows
        result: IntArray = by_handle[owners]
        return result

    def _advance(self, group: BeamGroup, outputs: DecoderOutputs) -> list[int]:
        """Replaces the hypotheses of a group by their best continuations.

        Returns:
            The places of the sentences that ended.
        """
        if group.is_watched:
            self._keep_attention(group, outputs.attention)
        ranked = rank_continuations(group, outputs.scores, outputs.candidates)
        is_eos = ranked.token_ids == self._eos_id
        ended: set[int] = set()
        if np.count_nonzero(is_eos):
            ended = self._close_complete(group, ranked, is_eos)
            ranked = ranked.take(np.argsort(is_eos, axis=1, kind="stable"))
        group.advance(ranked)
        ended |= self._close_hopeless(group, ended)
        if group.is_watched:
            self._emit_stable_prefix(group, ended)
        return sorted(ended)

    def _keep_attention(self, group: BeamGroup, attention: FloatArray) -> None:
        """Assembles the pages (G, B, W) for the sentences whose weights are wanted."""
        for place, sentence in enumerate(group.sentences):
            if sentence.options.with_attention:
                pages = attention[self.session.find_pages(sentence.handle), : group.beam_size]
                rows = pages.transpose(1, 0, 2).reshape(group.beam_size, -1)
                first_row = group.first_row + place * group.beam_size
                sentence.weights.append((first_row, rows[:, : sentence.sequence.num_tokens]))

    def _close_complete(
        self, group: BeamGroup, ranked: Continuations, is_eos: BoolArray
    ) -> set[int]:
        """Closes hypotheses that ended with eos; returns places of sentences that have enough."""
        ended = set()
        for place, rank in np.argwhere(is_eos[:, : group.beam_size]).tolist():
            sentence = group.sentences[place]
            sentence.finished.append(self._close(sentence, ranked, place, rank))
            if len(sentence.finished) >= group.beam_size:
                ended.add(place)
        return ended

    def _close_hopeless(self, group: BeamGroup, ended: set[int]) -> set[int]:
        """Closes the live hypotheses of sentences that loop or are at their limit; their places."""
        call = self._history.num_calls - 1
        hopeless: dict[int, Defect] = {}
        if call >= group.next_limit:
            hopeless |= dict.fromkeys(np.flatnonzero(group.last_calls <= call).tolist(), "length")
        if call >= group.oldest_call + LOOP_TOKENS - 1:
            hopeless |= dict.fromkeys(self._find_loops(group), "loop")
        live = Continuations(group.token_ids, group.parents, group.scores)
        for place in hopeless.keys() - ended:
            sentence = group.sentences[place]
            sentence.finished += [
                self._close(sentence, live, place, rank, hopeless[place])
                for rank in range(group.beam_size)
            ]
        return hopeless.keys() - ended

    def _find_loops(self, group: BeamGroup) -> list[int]:
        """Places of sentences whose best hypothesis only repeats itself."""
        num_steps = self._history.num_calls - group.first_calls
        due = np.flatnonzero((num_steps >= LOOP_TOKENS) & (num_steps % LOOP_INTERVAL == 0))
        if not due.size:
            return []
        tails = self._history.find_tails(group.parents[due, 0], LOOP_TOKENS - 1)
        tails = np.concatenate([group.token_ids[None, due, 0], tails])  # (LOOP_TOKENS, n)
        is_stuck = np.zeros(len(due), np.bool_)
        for period in range(1, MAX_PERIOD + 1):
            is_stuck |= (tails[period:] == tails[:-period]).all(axis=0)
        stuck: list[int] = due[is_stuck].tolist()
        return stuck

    def _close(
        self,
        sentence: RunningSequence,
        ranked: Continuations,
        place: int,
        rank: int,
        defect: Defect | None = None,
    ) -> Hypothesis:
        """A finished hypothesis from its last token; a closing eos is left out."""
        token_ids, rows = self._history.trace(int(ranked.parents[place, rank]), sentence.first_call)
        if defect:
            token_ids.append(int(ranked.token_ids[place, rank]))
        weights = [
            kept[row - first_row]
            for row, (first_row, kept) in zip(rows, sentence.weights, strict=False)
        ]
        return Hypothesis(
            token_ids,
            float(ranked.scores[place, rank]) / len(rows),
            defect,
            np.stack(weights) if weights else None,
        )

    def _emit_stable_prefix(self, group: BeamGroup, ended: set[int]) -> None:
        """Passes on the tokens that all hypotheses which may still win have in common.

        Of sentences that have ended, the rest follows when their best hypothesis is chosen.
        """
        for place, sentence in enumerate(group.sentences):
            if sentence.sequence.on_tokens is None or place in ended:
                continue
            if token_ids := self._find_stable_prefix(group, place):
                sentence.num_given += len(token_ids)
                sentence.sequence.on_tokens(token_ids)

    def _find_stable_prefix(self, group: BeamGroup, place: int) -> list[int]:
        """Tokens beyond those given that the live and the closed hypotheses share."""
        sentence = group.sentences[place]
        num_given = sentence.num_given
        token_ids = self._history.trace_common(
            group.parents[place].tolist(), sentence.first_call + num_given
        )
        if group.beam_size == 1:
            token_ids.append(int(group.token_ids[place, 0]))
        for closed in sentence.finished:
            token_ids = common_prefix(token_ids, closed.token_ids[num_given:])
        return token_ids

    def _remove(self, group: BeamGroup, places: list[int]) -> None:
        """Removes sentences and releases their memory."""
        if places:
            for place in places:
                self.session.release(group.sentences[place].handle)
            group.remove(places)
            self._rows = None

    def _compact(self) -> None:
        """Drops empty groups, and the history that no running hypothesis reaches back to."""
        if self._rows is not None:
            return  # no sentence has left
        self._groups = [group for group in self._groups if group.sentences]
        if self._groups:
            self._history.forget(min(group.oldest_call for group in self._groups))
        else:
            self.reset()
