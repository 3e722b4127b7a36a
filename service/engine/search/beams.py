"""The running sentences and their hypotheses, as arrays. Independent of the graphs.

A hypothesis does not store its tokens: the tokens and parents of every decoder call are kept, and a
hypothesis is traced back through them when it ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from service.arrays import FloatArray, IntArray, ScoreArray
from service.engine.batch import Hypothesis, SearchOptions, TokenSequence
from service.engine.search.repetition import is_loop


class Continuations(NamedTuple):
    """What may follow the hypotheses of n sentences, W for each, best first.

    Attributes:
        token_ids: (n, W).
        parents: (n, W), rows of the decoder's last output.
        scores: (n, W), sums of log-probabilities.
    """

    token_ids: IntArray
    parents: IntArray
    scores: ScoreArray

    def take(self, order: IntArray) -> "Continuations":
        """Some of each sentence's, by their places (n, at most W)."""
        sentences = np.arange(len(order))[:, None]
        return Continuations(
            self.token_ids[sentences, order],
            self.parents[sentences, order],
            self.scores[sentences, order],
        )


@dataclass(eq=False)
class RunningSequence:
    """A sentence in the decoder.

    Attributes:
        handle: of its memory.
        first_call: the decoder's call that was fed its start token.
        finished: its closed hypotheses.
        weights: of each call since the first, if attention was asked for: its first row and the
            weights of its rows (beam_size, S).
        num_given: tokens passed to `on_tokens` so far.
    """

    sequence: TokenSequence
    handle: int
    first_call: int
    finished: list[Hypothesis] = field(default_factory=list)
    weights: list[tuple[int, FloatArray]] = field(default_factory=list)
    num_given: int = 0

    @property
    def options(self) -> SearchOptions:
        assert self.sequence.search is not None
        return self.sequence.search


class History:
    """The token and the parent of each row in each call of the decoder."""

    def __init__(self) -> None:
        self._calls: list[tuple[IntArray, IntArray]] = []
        self._num_forgotten = 0

    @property
    def num_calls(self) -> int:
        return self._num_forgotten + len(self._calls)

    def append(self, token_ids: IntArray, parents: IntArray) -> None:
        """Notes what the decoder is fed: (R) each."""
        self._calls.append((token_ids, parents))

    def forget(self, first_call: int) -> None:
        """Drops what came before a call."""
        del self._calls[: first_call - self._num_forgotten]
        self._num_forgotten = max(self._num_forgotten, first_call)

    def trace(self, row: int, first_call: int) -> tuple[list[int], list[int]]:
        """Follows a row of the last call back to the call that was fed its start token.

        Returns:
            The tokens after the start token, and the rows from the first call to the last.
        """
        token_ids, rows = [], [row]
        for fed, parents in reversed(self._since(first_call)):
            token_ids.append(int(fed[row]))
            row = int(parents[row])
            rows.append(row)
        return token_ids[::-1], rows[::-1]

    def trace_common(self, rows: Sequence[int], first_call: int) -> list[int]:
        """The tokens that were fed to all of these rows of the last call, after `first_call`."""
        calls = self._since(first_call)
        common = set(rows)
        while len(common) > 1 and calls:
            _, parents = calls.pop()
            common = {int(parents[row]) for row in common}
        row = common.pop()
        token_ids = []
        for fed, parents in reversed(calls):
            token_ids.append(int(fed[row]))
            row = int(parents[row])
        return token_ids[::-1]

    def find_tails(self, rows: IntArray, length: int) -> IntArray:
        """The last tokens fed to rows (n) of the last call, latest first: (length, n)."""
        tails = np.empty((length, len(rows)), np.int64)
        for place, (fed, parents) in enumerate(reversed(self._calls[-length:])):
            tails[place] = fed[rows]
            rows = parents[rows]
        return tails

    def _since(self, first_call: int) -> list[tuple[IntArray, IntArray]]:
        """The calls after one."""
        return self._calls[first_call + 1 - self._num_forgotten :]


@dataclass
class BeamGroup:
    """The n running sentences of one beam size B, whose hypotheses have rows side by side.

    Attributes:
        token_ids: (n, B), last tokens.
        parents: (n, B), the rows of the decoder's last output that they continue.
        scores: (n, B), sums of log-probabilities, best first.
        handles, first_calls, last_calls: (n), as in `RunningSequence`; the last call is
            at the length limit.
        first_row: in the decoder's batch.
        oldest_call, next_limit: the lowest of first_calls and of last_calls.
        is_watched: whether any of its sentences wants attention weights or its tokens as they come.
    """

    beam_size: int
    sentences: list[RunningSequence]
    token_ids: IntArray
    parents: IntArray
    scores: ScoreArray
    handles: IntArray
    first_calls: IntArray
    last_calls: IntArray
    first_row: int = 0
    oldest_call: int = 0
    next_limit: int = 0
    is_watched: bool = False

    def __post_init__(self) -> None:
        self._summarize()

    @property
    def num_rows(self) -> int:
        return self.beam_size * len(self.sentences)

    @property
    def num_candidates(self) -> int:
        """Next tokens considered per beam: one may be eos, and all beams must go on."""
        return 1 if self.beam_size == 1 else self.beam_size + 1

    def find_abandoned(self) -> list[int]:
        """Places of sentences whose client has gone."""
        return [
            place for place, sentence in enumerate(self.sentences) if sentence.sequence.is_abandoned
        ]

    def advance(self, ranked: Continuations) -> None:
        """Makes the first continuations of each sentence its hypotheses."""
        beam_size = self.beam_size
        self.token_ids = ranked.token_ids[:, :beam_size]
        self.parents = ranked.parents[:, :beam_size]
        self.scores = ranked.scores[:, :beam_size]

    def join(self, other: "BeamGroup") -> None:
        """Appends the sentences of another."""
        self.sentences += other.sentences
        for name in ("token_ids", "parents", "scores", "handles", "first_calls", "last_calls"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(other, name)]))
        self._summarize()

    def remove(self, places: Sequence[int]) -> None:
        """Takes sentences out."""
        kept = np.ones(len(self.sentences), np.bool_)
        kept[places] = False
        self.sentences = [self.sentences[place] for place in np.flatnonzero(kept)]
        for name in ("token_ids", "parents", "scores", "handles", "first_calls", "last_calls"):
            setattr(self, name, getattr(self, name)[kept])
        self._summarize()

    def _summarize(self) -> None:
        """Recomputes the values that depend on which sentences run; not needed at every step."""
        if self.sentences:
            self.oldest_call = int(self.first_calls.min())
            self.next_limit = int(self.last_calls.min())
        self.is_watched = any(
            sentence.options.with_attention or sentence.sequence.on_tokens
            for sentence in self.sentences
        )


def start_beam_group(sentences: list[RunningSequence], state_rows: IntArray) -> BeamGroup:
    """Sentences of one beam size before their first step; state_rows (n) hold their first states.

    All rows of a sentence start alike; only the first one has a score above minus infinity.
    """
    beam_size = sentences[0].options.beam_size
    shape = len(sentences), beam_size
    scores = np.full(shape, -np.inf)
    scores[:, 0] = 0.0
    first_calls = np.array([sentence.first_call for sentence in sentences])
    start_ids = np.array([[sentence.sequence.start_id] for sentence in sentences])
    return BeamGroup(
        beam_size,
        sentences,
        token_ids=np.broadcast_to(start_ids, shape),
        parents=np.broadcast_to(state_rows[:, None], shape),
        scores=scores,
        handles=np.array([sentence.handle for sentence in sentences]),
        first_calls=first_calls,
        last_calls=first_calls + [sentence.options.max_new_tokens - 1 for sentence in sentences],
    )


def rank_continuations(group: BeamGroup, scores: FloatArray, candidates: IntArray) -> Continuations:
    """The best continuations of each sentence's hypotheses: W = twice the beam, or 1 if greedy.

    Args:
        group: its scores are added to.
        scores: (R, K), of the next tokens of all groups' rows.
        candidates: (R, K), their ids.
    """
    block = slice(group.first_row, group.first_row + group.num_rows)
    beam_size, count = group.beam_size, group.num_candidates
    rows = np.arange(block.start, block.stop, beam_size)[:, None]
    if beam_size == 1:
        return Continuations(candidates[block, :1], rows, group.scores + scores[block, :1])
    flat = len(group.sentences), beam_size * count
    totals = (group.scores.reshape(-1, 1) + scores[block, :count]).reshape(flat)
    token_ids = candidates[block, :count].reshape(flat)
    # each hypothesis can give eos only once, so at least half of these go on
    order = np.argsort(-totals, axis=1, kind="stable")[:, : 2 * beam_size]
    sentences = np.arange(len(order))[:, None]
    return Continuations(
        token_ids[sentences, order], rows + order // count, totals[sentences, order]
    )


def stack_rows(arrays: list[IntArray]) -> IntArray:
    """Arrays (n, B) of several groups, row by row: (R)."""
    if len(arrays) == 1:
        return arrays[0].reshape(-1)
    return np.concatenate([array.ravel() for array in arrays])


def common_prefix(left: list[int], right: list[int]) -> list[int]:
    """The longest common prefix of two lists."""
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return left[:place]
    return left[: len(right)]


def rank_hypotheses(sentence: RunningSequence) -> list[Hypothesis]:
    """The best hypotheses, at most beam_size: complete ones first, then by score per token.

    Those that end with eos but repeat themselves stand between the complete ones and the others.
    """
    ranked = sorted(
        sentence.finished, key=lambda hypothesis: (not hypothesis.is_complete, -hypothesis.score)
    )
    judged = [mark_loop(hypothesis, sentence.sequence.input_ids) for hypothesis in ranked]
    judged.sort(key=lambda hypothesis: not hypothesis.is_complete)
    return judged[: sentence.options.beam_size]


def mark_loop(hypothesis: Hypothesis, source_ids: Sequence[int]) -> Hypothesis:
    """The hypothesis, marked as a loop if it repeats itself."""
    if hypothesis.defect == "loop" or not is_loop(hypothesis.token_ids, source_ids):
        return hypothesis
    return replace(hypothesis, defect="loop")
