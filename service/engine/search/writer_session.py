"""The graphs of a model that answers a text: an encoder, and the writer of its answers.

Texts are encoded and their memory is kept as for translation; the writer gives the logits of all
tokens, so that they can be drawn from.
"""

from collections.abc import Sequence

import numpy as np

from service.arrays import FloatArray, IntArray
from service.engine.batch import TokenSequence
from service.engine.search.decoder_session import DecoderSession


class WriterSession:
    """Encodes sequences and steps their answers; owned by one thread.

    Args:
        decoder: over the graphs of encoder and writer.
        start_id: the token that starts an answer.
    """

    def __init__(self, decoder: DecoderSession, start_id: int) -> None:
        self._decoder, self._start_id = decoder, start_id
        self.clear()

    def clear(self) -> None:
        """Forgets all texts."""
        self._decoder.clear()
        self._handles: IntArray = np.arange(0)  # of the text in each state row

    @property
    def prefill_seconds(self) -> float:
        """What encoding the last arrivals took."""
        return self._decoder.encode_seconds

    @property
    def num_rows(self) -> int:
        """State rows there are: those of the last step, and of the sequences read since."""
        return len(self._handles)

    def read(self, sequences: Sequence[TokenSequence]) -> list[list[int]]:
        """Encodes sequences; their state rows are added below the others.

        Returns:
            The start token of each answer.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        handles, _ = self._decoder.encode(sequences)
        self._handles = np.concatenate([self._handles, handles])
        return [[self._start_id] for _ in sequences]

    def step(self, token_ids: IntArray, parents: IntArray) -> FloatArray:
        """Moves R answers on by one token; texts that none of them answers are forgotten.

        Args:
            token_ids: (R), the last token of each.
            parents: (R), the state row that each continues, each row once at most.

        Returns:
            The logits of the next tokens: (R, V).

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        staying = self._handles[parents]
        for handle in set(self._handles.tolist()) - set(staying.tolist()):
            self._decoder.release(handle)
        self._handles = staying
        readers = np.empty(int(staying.max()) + 1, np.int64)
        readers[staying] = np.arange(len(staying))
        rows = readers[self._decoder.owners][:, None]  # (G, 1)
        logits: FloatArray = self._decoder.run_step(token_ids, parents, rows)["logits"]
        return logits
