"""Measures the encoding of words: `python docs/decisions/measured/words.py [TEXTS...]`.

Microseconds of processor time per text of `sentiment-en`: the whole text by the tokenizers library,
and word by word. Of the benchmark's texts, of words that are all unknown, and of each file that is
named, with a text on each line, from an empty memory on. Prints the report and writes words.json.
"""

import random
import string
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from docs.decisions.measured.report import write_report
from loadtests.bench.workloads.lengths import draw_lengths, make_texts
from loadtests.bench.workloads.shape_model import find_tokenizer
from service.text.tokenizer import Tokenizer

ROUNDS, MAX_TEXTS, MAX_CHARS = 15, 7_000, 400


def load(*, by_words: bool) -> Tokenizer:
    tokenizer = Tokenizer.load(find_tokenizer())
    tokenizer.ignore_layout(squeeze_spaces=True)
    if not by_words:
        vars(tokenizer)["_words"] = None
    return tokenizer


def time_texts(encode: Callable[[str], list[int]], texts: Sequence[str]) -> float:
    """Microseconds per text."""
    started = time.thread_time()
    for text in texts:
        encode(text)
    return 1e6 * (time.thread_time() - started) / len(texts)


def compare(texts: Sequence[str], num_rounds: int, *, remembers: bool) -> dict[str, float]:
    """The least of some rounds, in turns."""
    found: dict[str, list[float]] = {"whole": [], "words": []}
    whole, words = load(by_words=False), load(by_words=True)
    for _ in range(num_rounds):
        if not remembers:
            words = load(by_words=True)
        found["whole"].append(time_texts(whole.encode, texts))
        found["words"].append(time_texts(words.encode, texts))
    return {way: round(min(times), 1) for way, times in found.items()}


def make_unknown(num_texts: int = 200, num_words: int = 10) -> list[str]:
    rng = random.Random(5)
    return [
        " ".join("".join(rng.choices(string.ascii_lowercase, k=6)) for _ in range(num_words))
        for _ in range(num_texts)
    ]


def read_texts(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    random.Random(6).shuffle(lines)
    return [line[:MAX_CHARS] for line in lines[:MAX_TEXTS] if line.strip()]


def measure() -> dict[str, object]:
    tokenizer = load(by_words=False)
    made = make_texts(tokenizer, draw_lengths(512).tolist())
    return {
        "us_per_text": {
            "benchmark": compare(made, ROUNDS, remembers=True),
            "unknown": compare(make_unknown(), ROUNDS, remembers=False),
            **{
                Path(name).stem: compare(read_texts(Path(name)), 3, remembers=False)
                for name in sys.argv[1:]
            },
        },
    }


if __name__ == "__main__":
    write_report(__file__, measure)
