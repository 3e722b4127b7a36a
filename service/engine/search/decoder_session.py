"""The encoder and the decoder's step with all that lies between two steps.

Keys, values and states never pass through the caller, so that they can stay on a device.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.arrays import Array, FloatArray, IntArray
from service.engine.batch import TokenSequence, pad_sequences
from service.engine.runtime.session import Session
from service.engine.search.paged_memory import PagedMemory

STATES = ("hidden", "cell")


@dataclass(frozen=True)
class DecoderOutputs:
    """What one step gives for R hypotheses.

    Attributes:
        scores: (R, K) float32, log-probabilities of the best next tokens, best first.
        candidates: (R, K) int64, their ids.
        attention: (G, B, W) float32, a row per hypothesis that reads a page; see `find_pages`.
    """

    scores: FloatArray
    candidates: IntArray
    attention: FloatArray


class DecoderSession:
    """Encodes sequences and steps their hypotheses; owned by one thread.

    Args:
        encoder: graph of `export.graphs.networks.build_encoder`.
        decoder: graph of `export.graphs.networks.build_decoder`.
        pad_id: fills short rows of the encoder's batch.

    Attributes:
        encode_seconds: what the last call of `encode` took the encoder.
        decoder: may be replaced by a wrapper, to measure.
    """

    def __init__(self, encoder: Session, decoder: Session, pad_id: int) -> None:
        self.decoder = decoder
        self.encode_seconds = 0.0
        self._encoder, self._pad_id = encoder, pad_id
        self._memory = PagedMemory()
        self._states: dict[str, FloatArray] = {}

    def clear(self) -> None:
        """Forgets all sequences and states."""
        self._memory.clear()
        self._states = {}

    @property
    def owners(self) -> IntArray:
        """The handle of the sequence in each page: (G); valid until the next change."""
        return self._memory.owners

    def find_pages(self, handle: int) -> Sequence[int]:
        """The pages of a sequence, from its beginning to its end."""
        return self._memory.find_pages(handle)

    def encode(self, sequences: Sequence[TokenSequence]) -> tuple[list[int], int]:
        """Encodes sequences as one batch and keeps what the decoder needs of them.

        Returns:
            A handle per sequence, and the state row of the first; the others follow. Rows count
            those of the step before, so `parents` can name both.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        batch = pad_sequences(sequences, self._pad_id)
        started_at = time.perf_counter()
        encoded = self._encoder.run(batch.feeds)
        self.encode_seconds = time.perf_counter() - started_at
        handles = self._memory.add(encoded["keys"], encoded["values"], batch.lengths)
        states = {name: array for name, array in encoded.items() if name in STATES}
        first_row = 0
        if self._states:
            first_row = self._states["hidden"].shape[1]
            states = {
                name: np.concatenate([self._states[name], states[name]], axis=1) for name in states
            }
        self._states = states
        return handles, first_row

    def step(
        self, token_ids: IntArray, parents: IntArray, rows: IntArray, num_candidates: int
    ) -> DecoderOutputs:
        """Moves R hypotheses on by one token.

        Args:
            token_ids: (R), the last token of each, at first the start token.
            parents: (R), the state row that each continues, of the step before or of `encode`.
            rows: (G, B), the hypotheses that read each page; padded with R.
            num_candidates: K.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        limits = {"num_candidates": np.array([num_candidates], dtype=np.int64)}
        outputs = self.run_step(token_ids, parents, rows, limits)
        return DecoderOutputs(outputs["scores"], outputs["candidates"], outputs["attention"])

    def run_step(
        self,
        token_ids: IntArray,
        parents: IntArray,
        rows: IntArray,
        others: Mapping[str, Array] | None = None,
    ) -> Mapping[str, Array]:
        """Runs the decoder's graph once, keeps its states, and returns all that it gives.

        Args:
            token_ids: see `step`.
            parents: see `step`.
            rows: see `step`.
            others: further inputs of the graph.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        outputs = self.decoder.run(
            {
                "token_ids": token_ids,
                "parents": parents,
                "rows": rows,
                "keys": self._memory.keys,
                "values": self._memory.values,
                **(others or {}),
                **self._states,
            }
        )
        self._states = {name: outputs[f"next_{name}"] for name in self._states}
        return outputs

    def release(self, handle: int) -> None:
        """Forgets one sequence; pages may move, so `rows` has to be made anew."""
        self._memory.release(handle)
