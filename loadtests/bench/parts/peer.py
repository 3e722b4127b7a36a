"""Part (a): the translator's engine against CTranslate2 with a Transformer of its size."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from loadtests.bench.parts.decoder import (
    TARGET,
    choose_share,
    count_tokens,
    load_translator,
    make_mixes,
    time_sentences,
)
from loadtests.bench.parts.engine import list_layouts
from loadtests.measuring.figures import median
from service.engine.runner import run_sequences
from service.repository.model import LoadedModel, make_sequences

SCRIPT = Path(__file__).parents[1] / "contestants" / "transformer.py"
OURS, PEER = "seqserve int8", "CTranslate2 int8"
PEER_ROWS = (1, 16, 64)
PRECISION = "int8"
# Of the plan's sentences: every row of the largest batches has several, one after the other.
SENTENCES_FACTOR = 6


class PeerError(Exception):
    """CTranslate2 ended, or gave no answer."""


class CTranslate2:
    """The process of `contestants/transformer.py`; a context manager.

    Attributes:
        about: the number of parameters, and the version.
    """

    def __init__(self, python: Path, vocab_size: int) -> None:
        self._process = subprocess.Popen(
            [str(python), str(SCRIPT), "--vocab-size", str(vocab_size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.about = self._read()

    def __enter__(self) -> "CTranslate2":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def time_lengths(
        self, layout: tuple[int, int], rows: int, lengths: Sequence[tuple[int, int]]
    ) -> float:
        """Output tokens per second for sentences of these source and target tokens.

        Raises:
            PeerError: the process ended.
        """
        assert self._process.stdin is not None
        order = {"layout": layout, "rows": rows, "lengths": lengths}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return float(self._read()["tokens_per_second"])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate()  # closes the pipes, too
            raise PeerError(
                f"CTranslate2 ended with status {self._process.returncode}; its message is above"
            )
        found: dict[str, Any] = json.loads(line)
        return found


def measure_peer(
    python: Path, num_rounds: int, num_sentences: int, num_cpus: int
) -> dict[str, Any]:
    """Greedy output tokens per second of both by mix, layout and rows, a figure per round.

    Both translate sentences of the same lengths on all processors, in turns.
    """
    layouts = [layout for layout in list_layouts(num_cpus) if layout[0] * layout[1] == num_cpus]
    models = {
        (layout, rows): load_translator(PRECISION, rows, *layout)
        for layout in layouts
        for rows in PEER_ROWS
    }
    first = next(iter(models.values()))
    mixes = make_mixes(first, SENTENCES_FACTOR * num_sentences)
    lengths = {mix: count_lengths(first, sentences) for mix, sentences in mixes.items()}
    found: dict[str, list[float]] = {}
    with CTranslate2(python, first.tokenizer.vocab_size) as peer:
        for index in range(num_rounds + 1):
            for (layout, rows), model in models.items():
                for mix, sentences in mixes.items():
                    case = f"{mix}|{layout[0]}x{layout[1]}|{rows}"
                    ours = time_sentences(model, choose_share(sentences, rows))
                    peers = peer.time_lengths(layout, rows, choose_share(lengths[mix], rows))
                    if index:  # the first runs of a shape allocate
                        found.setdefault(f"{OURS}|{case}", []).append(ours)
                        found.setdefault(f"{PEER}|{case}", []).append(peers)
    return {
        "num_parameters": first.manifest.num_parameters,
        "peer_num_parameters": peer.about["num_parameters"],
        "peer_version": peer.about["version"],
        "tokens_per_second": found,
    }


def count_lengths(model: LoadedModel, sentences: Sequence[str]) -> list[tuple[int, int]]:
    """Source and target tokens of each sentence, eos included."""
    sequences = make_sequences(model, sentences, TARGET)
    results = run_sequences(model.runner, sequences)
    return [
        (sequence.num_tokens, count_tokens(result))
        for sequence, result in zip(sequences, results, strict=True)
    ]


def peer_ratio(figures: Mapping[str, Sequence[float]], mix: str) -> float:
    """Our tokens per second over the peer's, each with its best layout and rows."""
    best = {
        name: max(
            median(values) for key, values in figures.items() if key.startswith(f"{name}|{mix}|")
        )
        for name in (OURS, PEER)
    }
    return best[OURS] / best[PEER]
