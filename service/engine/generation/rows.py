"""The texts that are being generated, as arrays with a row each."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from service.arrays import Array, BoolArray, FloatArray, IntArray, ScoreArray
from service.engine.batch import TokenSequence
from service.engine.generation.draws import draw_uniforms
from service.engine.generation.sampling import (
    choose_tokens,
    find_log_probabilities,
    penalize_repetition,
)


@dataclass
class Rows:
    """R texts.

    Attributes:
        token_ids: (R, W), what a text begins with, and the text so far; the rest of a row repeats
            its first token.
        log_probabilities: (R, M), of the text's tokens.
        uniforms: (R, M), by which they are drawn.
        starts, ends: (R), where the text begins and ends in `token_ids`.
        limits: (R), where it ends at the latest.
        temperatures, top_k, top_p, penalties: (R), see `SamplingOptions`.
    """

    token_ids: IntArray
    log_probabilities: FloatArray
    uniforms: ScoreArray
    starts: IntArray
    ends: IntArray
    limits: IntArray
    temperatures: FloatArray
    top_k: IntArray
    top_p: FloatArray
    penalties: FloatArray

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def last_token_ids(self) -> IntArray:
        """(R)."""
        last: IntArray = self.token_ids[np.arange(len(self)), self.ends - 1]
        return last

    @property
    def is_full(self) -> BoolArray:
        """(R), whether a text is at its limit."""
        full: BoolArray = self.ends >= self.limits
        return full

    def take(self, places: Sequence[int]) -> "Rows":
        """Some of the rows."""
        return Rows(*(getattr(self, field.name)[places] for field in fields(self)))

    def append(self, logits: FloatArray) -> tuple[IntArray, FloatArray]:
        """Chooses the next token of each row by its logits (R, V).

        Returns:
            The tokens and their log-probabilities, each (R).
        """
        places, num_new = np.arange(len(self)), self.ends - self.starts
        token_ids = choose_tokens(
            self._penalize(logits),
            self.temperatures,
            self.top_k,
            self.top_p,
            self.uniforms[places, num_new],
        )
        log_probabilities = find_log_probabilities(logits, token_ids)
        self.token_ids[places, self.ends] = token_ids
        self.log_probabilities[places, num_new] = log_probabilities
        self.ends = self.ends + 1
        return token_ids, log_probabilities

    def text_of(self, place: int) -> tuple[list[int], list[float]]:
        """The tokens of one text and their log-probabilities."""
        start, end = int(self.starts[place]), int(self.ends[place])
        return (
            self.token_ids[place, start:end].tolist(),
            self.log_probabilities[place, : end - start].tolist(),
        )

    def _penalize(self, logits: FloatArray) -> FloatArray:
        penalized = np.flatnonzero(self.penalties != 1.0)
        if not penalized.size:
            return logits
        scores = logits.copy()
        scores[penalized] = penalize_repetition(
            logits[penalized], self.token_ids[penalized], self.penalties[penalized]
        )
        return scores


def open_row(sequence: TokenSequence, begun: Sequence[int]) -> Rows:
    """The row of a text that begins with some tokens."""
    asked, num_read = sequence.sampling, len(begun)
    assert asked is not None, "a sequence to generate has sampling options"
    token_ids = np.full((1, num_read + asked.max_new_tokens), begun[0], np.int64)
    token_ids[0, :num_read] = begun
    return Rows(
        token_ids,
        np.zeros((1, asked.max_new_tokens), np.float32),
        draw_uniforms(asked.seed, asked.index, asked.max_new_tokens)[None],
        np.array([num_read]),
        np.array([num_read]),
        np.array([token_ids.shape[1]]),
        np.array([asked.temperature], np.float32),
        np.array([asked.top_k]),
        np.array([asked.top_p], np.float32),
        np.array([asked.repetition_penalty], np.float32),
    )


def stack_rows(parts: Sequence[Rows]) -> Rows:
    """Rows below each other."""
    columns = ([getattr(part, field.name) for part in parts] for field in fields(Rows))
    return Rows(*(np.concatenate(widen(arrays)) for arrays in columns))


def widen(arrays: Sequence[Array]) -> Sequence[Array]:
    """Makes matrices as wide as the widest, by repeating the last column of each.

    That is not in use: a row is full only when its text has ended.
    """
    if arrays[0].ndim == 1:
        return arrays
    width = max(array.shape[1] for array in arrays)
    return [
        np.concatenate([each, np.repeat(each[:, -1:], width - each.shape[1], axis=1)], axis=1)
        if each.shape[1] < width
        else each
        for each in arrays
    ]
