"""The graphs of a language model with the states that lie between two steps.

States are arrays (L, R, H): hidden, and cell for lstm, of each layer, and the condition of each
text, if the model is fed with it at every step.
"""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from service.arrays import FloatArray, IntArray
from service.engine.batch import TokenSequence, pad_rows
from service.engine.runtime.session import Session


class GeneratorSession:
    """Reads prompts and steps texts; owned by one thread.

    Args:
        prefill: graph that reads prompts: (input_ids, lengths, states) to next states.
        generator: graph of one step: (token_ids, parents, states) to logits and next states.
        conditioner: graph from features to first states; None if the model takes no condition.
        shapes: L and H of the states by name; they begin as zeros without a conditioner.
        pad_id: fills short prompts.

    Attributes:
        prefill_seconds: what the last call of `read` took; 0 if no prompt had to be read.
    """

    def __init__(
        self,
        prefill: Session,
        generator: Session,
        conditioner: Session | None,
        shapes: Mapping[str, tuple[int, int]],
        pad_id: int,
    ) -> None:
        self.prefill_seconds = 0.0
        self._prefill, self._generator, self._conditioner = prefill, generator, conditioner
        self._shapes, self._pad_id = shapes, pad_id
        self.clear()

    def clear(self) -> None:
        """Forgets all texts."""
        self._states = self._zeros(0)

    @property
    def num_rows(self) -> int:
        """State rows there are: those of the last step, and of the prompts read since."""
        return len(self._states["hidden"][0])

    def read(self, sequences: Sequence[TokenSequence]) -> list[list[int]]:
        """Reads all tokens of prompts but the last, which the first step takes.

        Their state rows are added below the others.

        Returns:
            The tokens of each text so far, which are those of its prompt.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        states = self._begin(sequences)
        started_at = time.perf_counter()
        places = [place for place, each in enumerate(sequences) if each.num_tokens > 1]
        if places:
            batch = pad_rows([sequences[place].input_ids[:-1] for place in places], self._pad_id)
            first = {name: array[:, places] for name, array in states.items()}
            outputs = self._prefill.run({**batch.feeds, **first})
            for name, array in states.items():
                array[:, places] = outputs[f"next_{name}"]
        self.prefill_seconds = time.perf_counter() - started_at if places else 0.0
        self._states = {
            name: np.concatenate([self._states[name], array], axis=1)
            for name, array in states.items()
        }
        return [sequence.input_ids for sequence in sequences]

    def step(self, token_ids: IntArray, parents: IntArray) -> FloatArray:
        """Moves R texts on by one token.

        Args:
            token_ids: (R), the last token of each.
            parents: (R), the state row that each continues.

        Returns:
            The logits of the next tokens: (R, V).

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        outputs = self._generator.run({"token_ids": token_ids, "parents": parents, **self._states})
        self._states = {name: outputs[f"next_{name}"] for name in self._states}
        logits: FloatArray = outputs["logits"]
        return logits

    def _begin(self, sequences: Sequence[TokenSequence]) -> dict[str, FloatArray]:
        """The states before the first token of each sequence: (L, N, H)."""
        if self._conditioner is None:
            return self._zeros(len(sequences))
        features = np.array([each.features for each in sequences], dtype=np.float32)
        begun = self._conditioner.run({"features": features})
        return {name: begun[name].copy() for name in self._shapes}

    def _zeros(self, num_rows: int) -> dict[str, FloatArray]:
        return {
            name: np.zeros((num_layers, num_rows, size), np.float32)
            for name, (num_layers, size) in self._shapes.items()
        }
