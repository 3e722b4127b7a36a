"""Stand-ins that fit through constructor arguments: no onnxruntime, no torch, no files."""

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from prometheus_client import CollectorRegistry

from service.arrays import Array, FloatArray
from service.engine.batch import Hypothesis, Result, SearchOptions, TokenSequence
from service.engine.hidden_states.states import StatesSession
from service.engine.runner import Runner
from service.engine.runtime.device import Device
from service.engine.scheduling.admission import QueueLimits
from service.engine.scheduling.scheduler import Scheduler
from service.engine.waiting_queue import WaitingQueue
from service.repository.manifest import (
    FileEntry,
    Graph,
    Limits,
    Manifest,
    SpecialIds,
    list_roles,
)
from service.repository.model import LoadedModel
from service.telemetry.metrics import Metrics
from service.text.tokenizer import Tokenizer

PAD_ID, START_ID, EOS_ID = 0, 1, 2
START_IDS = {"en": 3, "de": 4, "ko": 5}
NUM_SPECIAL_IDS = 8
NEVER = float("inf")


def make_metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def read_metric(metrics: Metrics, name: str, **labels: str) -> float:
    """A sample of a collector by its full name, 0.0 if there is none."""
    return metrics.registry.get_sample_value(f"seqserve_{name}", labels) or 0.0


def make_backlog(
    wait_seconds: float,
    max_wait_seconds: float = 0.5,
    max_standing_wait_seconds: float = NEVER,
    num_waiting: int = 50,
    metrics: Metrics | None = None,
) -> WaitingQueue:
    """The queue of a model "slow" whose first second has shown how long its sequences will wait."""
    queue = WaitingQueue(
        "slow",
        Scheduler(1, 100),
        QueueLimits(10_000, 1_000_000, max_wait_seconds, max_standing_wait_seconds),
        (metrics or make_metrics()).of_model("slow"),
        lambda expired, now: None,
        wakes_workers=False,
    )
    seconds = wait_seconds / num_waiting  # per sequence
    num_seen = round(1.0 / seconds)
    queue.add([make_sequence(5) for _ in range(num_seen + num_waiting)], now=0.0)
    for index in range(num_seen):
        queue.take_if(lambda batch: True, 1, now=index * seconds)
    return queue


class FakeClock:
    """Monotonic seconds that stand still until they are moved."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class ByteTokenizer(Tokenizer):
    """A token per UTF-8 byte, after the special ids; white space and "\u200b" have no tokens."""

    def __init__(self) -> None:
        """Needs no backend."""

    @property
    def vocab_size(self) -> int:
        return NUM_SPECIAL_IDS + 256

    def has_word(self, word: str) -> bool:
        return len(self.encode(word)) == 1

    def encode(self, text: str) -> list[int]:
        has_tokens = text.replace("\u200b", "").strip()
        return [NUM_SPECIAL_IDS + byte for byte in text.encode()] if has_tokens else []

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def decode(self, token_ids: Sequence[int]) -> str:
        content = [token_id for token_id in token_ids if token_id >= NUM_SPECIAL_IDS]
        return bytes(token_id - NUM_SPECIAL_IDS for token_id in content).decode(errors="replace")

    def spans(self, text: str) -> list[tuple[int, int]]:
        starts = [index for index, char in enumerate(text) for _ in char.encode()]
        return [(start, start + 1) for start in starts] if self.encode(text) else []

    def tokens(self, token_ids: Sequence[int]) -> list[str]:
        return [self.decode([token_id]) or f"<{token_id}>" for token_id in token_ids]


class FakeSession:
    """A graph that is a Python function; remembers what it was fed."""

    def __init__(self, function: Callable[[Mapping[str, Array]], dict[str, Array]]) -> None:
        self.feeds: list[Mapping[str, Array]] = []
        self._function = function

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.feeds.append(feeds)
        return self._function(feeds)


def sum_ids(sequence: TokenSequence) -> Result:
    """A result that only this sequence can have."""
    return np.array([sum(sequence.input_ids), len(sequence.input_ids)], dtype=np.float32)


def one_step(sequence: TokenSequence) -> int:
    return 1


class FakeRunner:
    """Answers each sequence after a number of steps.

    Args:
        answer: gives the result of a sequence.
        num_steps: gives the number of steps that it runs.
        max_rows: rows at a time.

    Attributes:
        batches: the sequences that arrived with each step; empty lists are left out.
        failures: raised by the next steps, one each; None lets a step pass.
        gate: while it is cleared, steps do not end.
        entered: set when a step has begun.
        reset_failure: raised by `reset`, if set.
        on_step: called in every step.
        batch_seconds: see `Runner`; whatever `on_step` says.
    """

    def __init__(
        self,
        answer: Callable[[TokenSequence], Result] = sum_ids,
        num_steps: Callable[[TokenSequence], int] = one_step,
        max_rows: int = 8,
    ) -> None:
        self.batches: list[list[TokenSequence]] = []
        self.failures: list[Exception | None] = []
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.reset_failure: Exception | None = None
        self.on_step: Callable[[], object] = lambda: None
        self.batch_seconds = 0.0
        self._answer, self._num_steps, self._max_rows = answer, num_steps, max_rows
        self._running: dict[TokenSequence, int] = {}

    @property
    def free_rows(self) -> int:
        return self._max_rows - sum(sequence.num_rows for sequence in self._running)

    @property
    def num_running(self) -> int:
        return len(self._running)

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        self.entered.set()
        self.on_step()
        assert self.gate.wait(timeout=20), "the test has left the gate closed"
        if arrivals:
            self.batches.append(arrivals)
        if self.failures and (failure := self.failures.pop(0)):
            raise failure
        self._running.update((sequence, self._num_steps(sequence)) for sequence in arrivals)
        self._running = {
            sequence: steps - 1
            for sequence, steps in self._running.items()
            if not sequence.is_abandoned
        }
        ended = [sequence for sequence, steps in self._running.items() if steps <= 0]
        for sequence in ended:
            del self._running[sequence]
        results = [(sequence, self._answer(sequence)) for sequence in ended]
        for sequence, result in results:
            if sequence.on_tokens and isinstance(result, list):
                for token_id in result[0].token_ids:
                    sequence.on_tokens([token_id])
        return results

    def reset(self) -> None:
        if self.reset_failure:
            raise self.reset_failure
        self._running = {}


def make_sequence(
    num_tokens: int = 1,
    deadline: float = NEVER,
    beam_size: int = 1,
    *,
    arrived_at: float = 0.0,
    max_new_tokens: int = 8,
    with_attention: bool = False,
) -> TokenSequence:
    """A sequence to translate, of tokens numbered from `NUM_SPECIAL_IDS`."""
    input_ids = list(range(NUM_SPECIAL_IDS, NUM_SPECIAL_IDS + num_tokens))
    search = SearchOptions(beam_size, max_new_tokens, with_attention)
    return TokenSequence(input_ids, arrived_at, deadline, search, START_ID)


def make_manifest(task: str = "classification", name: str = "fake", **fields: object) -> Manifest:
    """A manifest that passes its own checks; no file is behind it."""
    roles = ["classifier"] if task == "classification" else ["encoder", "decoder"]
    roles += ["states"] if fields.get("states") else []
    ids = fields.get("ids")
    roles += ["scorer"] if isinstance(ids, SpecialIds) and ids.neutral_ids else []
    files = [*(f"{role}.onnx" for role in roles), "tokenizer.json"]
    defaults: dict[str, object] = {
        "name": name,
        "version": "1",
        "task": task,
        "cell": "gru",
        "languages": ("en",) if task == "classification" else ("en", "de"),
        "labels": ("negative", "positive") if task == "classification" else (),
        "pairs": () if task == "classification" else (("en", "de"), ("de", "en")),
        "ids": SpecialIds(
            pad_id=PAD_ID,
            eos_id=EOS_ID if task == "translation" else None,
            start_ids=dict(START_IDS) if task == "translation" else {},
        ),
        "limits": Limits(max_input_tokens=100),
        "opset": 17,
        "graphs": tuple(
            Graph.model_validate({"role": role, "precision": "fp32", "file": f"{role}.onnx"})
            for role in roles
        ),
        "files": tuple(FileEntry(name=file, sha256="0" * 64, num_bytes=0) for file in files),
    }
    return Manifest.model_validate(defaults | fields)


def make_generator_manifest(name: str, task: str = "language", **fields: object) -> Manifest:
    """The same of a model that writes texts."""
    starts = {"start_ids": {"ko": 2}} if task == "text2text" else {"bos_id": 2}
    roles = list_roles(task, has_condition="condition" in fields)
    own = {
        "ids": {"pad_id": 0, "eos_id": 1, **starts},
        "languages": ("ko",),
        "pairs": (),
        "graphs": [{"role": role, "precision": "fp32", "file": f"{role}.onnx"} for role in roles],
        "files": [
            {"name": name, "sha256": "0" * 64, "num_bytes": 0}
            for name in (*(f"{role}.onnx" for role in roles), "tokenizer.json")
        ],
    }
    return make_manifest(task, name, **own, **fields)


class FakeStates:
    """A graph of states whose unit N holds N times each token."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        values = feeds["input_ids"][:, :, None] * np.arange(4, dtype=np.float32)
        return {"0.hidden": values, "0.cell": -values}


def make_model(manifest: Manifest, runner: Runner | None = None) -> LoadedModel:
    """A loaded model whose runner is a fake one."""
    if runner is None:
        is_classifier = manifest.task == "classification"
        runner = FakeRunner(score_text if is_classifier else shout)
    return LoadedModel(
        manifest, ByteTokenizer(), Device("cpu"), "fp32", [runner], StatesSession(FakeStates, {})
    )


def score_text(sequence: TokenSequence) -> Result:
    """Logits of a text, (2): the more exclamation marks, the more positive."""
    text = ByteTokenizer().decode(sequence.input_ids)
    return np.array([1.0, 2.0 * text.count("!")], dtype=np.float32)


def shout(sequence: TokenSequence) -> Result:
    """A translation into capitals; each further hypothesis draws out its last letter once more."""
    assert sequence.search is not None
    tokenizer = ByteTokenizer()
    text = tokenizer.decode(sequence.input_ids).upper()
    end = max((place + 1 for place, each in enumerate(text) if each.isalpha()), default=0)
    hypotheses = []
    for rank in range(sequence.search.beam_size):
        drawn = text[:end] + text[max(end - 1, 0) : end] * rank + text[end:]
        token_ids = tokenizer.encode(drawn)[: sequence.search.max_new_tokens]
        attention = attend_in_step(len(token_ids) + 1, sequence.num_tokens)
        hypotheses.append(
            Hypothesis(
                token_ids,
                -0.1 * (rank + 1),
                attention=attention if sequence.search.with_attention else None,
            )
        )
    return hypotheses


def attend_in_step(num_steps: int, num_tokens: int) -> FloatArray:
    """Each step attends to the token at its own place, late ones to the last."""
    steps = np.minimum(np.arange(num_steps), num_tokens - 1)
    return np.eye(num_tokens, dtype=np.float32)[steps]
