"""What peers that batch run: the same graph and tokenizer, each batch split by length.

A batch is sorted by length and run in fours, since padding all of it to its longest text costs more
than it saves, and float32 gets no cheaper per text with more than four. Peers import it in
environments of their own, so it imports nothing of this project.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import tokenizers
from numpy.typing import NDArray

LABELS = ("negative", "positive")
GROUP_SIZE = 4

Answer = list[list[dict[str, str | float]]]


class SplitClassifier:
    """A session of one thread, since peers have a worker per processor.

    Args:
        graph: takes `input_ids` and `lengths`, gives logits.
        tokenizer: of the `tokenizers` package.
    """

    def __init__(self, graph: Path, tokenizer: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer))

    def encode(self, text: str) -> list[int]:
        token_ids: list[int] = self._tokenizer.encode(text).ids
        return token_ids

    def classify(self, rows: Sequence[Sequence[int]]) -> list[Answer]:
        """An answer for each row of token ids, in the order of the rows."""
        answers: list[Answer] = [[] for _ in rows]
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        for start in range(0, len(order), GROUP_SIZE):
            group = order[start : start + GROUP_SIZE]
            logits = self._run([rows[index] for index in group])
            for index, row in zip(group, logits, strict=True):
                answers[index] = make_answer(row)
        return answers

    def _run(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits, (B, labels), of rows that are padded to the longest."""
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        input_ids = np.zeros((len(rows), int(lengths.max())), dtype=np.int64)
        for line, row in zip(input_ids, rows, strict=True):
            line[: len(row)] = row
        logits: NDArray[np.float32]
        (logits,) = self._session.run(None, {"input_ids": input_ids, "lengths": lengths})
        return logits


def make_answer(logits: NDArray[np.float32]) -> Answer:
    """The labels of one text with their probabilities, likeliest first."""
    powers = np.exp(logits - logits.max())
    scores = (powers / powers.sum()).tolist()
    found = sorted(zip(scores, LABELS, strict=True), reverse=True)
    return [[{"label": label, "score": score} for score, label in found]]
