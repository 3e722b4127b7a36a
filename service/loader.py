"""Turns a version folder into a model that runs, its files and goldens checked."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from service import capitals
from service.batch import FloatArray, Request, Result, SearchOptions
from service.classifier import ClassifierRunner
from service.engine import Device, OnnxSession
from service.errors import ArtefactError, InferenceFailed, InputTooLong, InvalidInput
from service.manifest import (
    TOKENIZER,
    Golden,
    Manifest,
    Precision,
    Role,
    check_files,
    read_manifest,
)
from service.scheduler import Scheduler
from service.search import TranslatorRunner
from service.tokenizer import Tokenizer

# int8 arithmetic differs between processors with and without VNNI, and a near tie can fall the
# other way.
SCORE_TOLERANCE = 0.1
PREFERENCE: dict[str, tuple[Precision, ...]] = {
    "cpu": ("int8", "fp32", "w8"),
    "cuda": ("fp32", "w8"),
}


# What the runners feed and read, by role.
INPUTS: dict[Role, set[str]] = {
    "classifier": {"input_ids", "lengths"},
    "encoder": {"input_ids", "lengths"},
    "decoder": {
        *("token_ids", "parents", "rows", "hidden", "cell"),
        *("keys", "values", "num_candidates"),
    },
}
OUTPUTS: dict[Role, set[str]] = {
    "classifier": {"logits"},
    "encoder": {"keys", "values", "hidden"},
    "decoder": {"scores", "candidates", "next_hidden", "attention"},
}


class Runner(Protocol):
    """Steps one model; owned by one thread."""

    @property
    def free_rows(self) -> int: ...

    @property
    def num_running(self) -> int: ...

    def step(self, arrivals: list[Request]) -> list[tuple[Request, Result]]: ...

    def reset(self) -> None: ...


@dataclass(frozen=True)
class LoadedModel:
    """One version, ready to answer.

    Attributes:
        runners: share the sessions and so the weights; each is for one thread.
    """

    manifest: Manifest
    tokenizer: Tokenizer
    runners: Sequence[Runner]
    device: Device
    precision: Precision

    @property
    def runner(self) -> Runner:
        """The first one, for whoever runs the model by itself."""
        return self.runners[0]

    @property
    def title(self) -> str:
        """What is loaded, for messages."""
        manifest = self.manifest
        return f"{manifest.name}/{manifest.version} in {self.precision} on {self.device}"

    def respell(self, sentences: Sequence[str]) -> list[str]:
        """The sentences of a text as the model reads them, each as long as it was."""
        lowers = self.manifest.task == "translation" and self.manifest.lower_capitals
        return capitals.respell(sentences) if lowers else list(sentences)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Input ids of each text, with eos where the model translates; empty without tokens."""
        encoded = self.tokenizer.encode_batch(texts)
        eos_id = self.manifest.ids.eos_id
        if eos_id is None:
            return encoded
        return [[*tokens, eos_id] if tokens else [] for tokens in encoded]

    def decode(self, token_ids: Sequence[int], *, in_capitals: bool) -> str:
        """The translation that token ids are, in capitals if its source is."""
        text = self.tokenizer.decode(token_ids)
        return text.upper() if in_capitals else text

    def ends(self, token_ids: Sequence[int], *, in_capitals: bool) -> list[int]:
        """Where each token ends in the translation that `decode` gives."""
        ends = self.tokenizer.ends(token_ids)
        if not in_capitals:
            return ends
        text = self.tokenizer.decode(token_ids)
        return [len(text[:end].upper()) for end in ends]  # a sharp s becomes two letters

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """The classifier graph's output (..., C) as probabilities that sum to one."""
        return scores if self.manifest.output_kind == "probabilities" else softmax(scores)


def softmax(logits: FloatArray) -> FloatArray:
    """(..., C) -> (..., C)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: FloatArray = powers / powers.sum(axis=-1, keepdims=True)
    return result


def load_model(
    folder: Path,
    device: Device,
    *,
    precision: str = "auto",
    num_threads: int = 1,
    num_runners: int = 1,
    max_rows: int = 64,
) -> LoadedModel:
    """Loads one version.

    Args:
        folder: of the version.
        device: where its sessions run.
        precision: `auto` takes the best for the device.
        num_threads: within an operator.
        num_runners: over the same sessions, which may be run from several threads.
        max_rows: rows that each runner takes at a time.

    Raises:
        ArtefactError: files are damaged, or the version lacks the precision.
        DeviceUnavailable: the device cannot be used.
    """
    manifest = read_manifest(folder)
    check_files(manifest, folder)
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    chosen = choose_precision(manifest, device, precision)

    def open_graph(role: Role) -> OnnxSession:
        graph = manifest.graph(role, chosen)
        path = folder / graph.file
        session = OnnxSession(path, device, num_threads, graph.inputs, graph.outputs)
        check_names(session, role, path)
        return session

    ids = manifest.ids
    runners: list[Runner]
    if manifest.task == "sentiment":
        graph = open_graph("classifier")
        runners = [ClassifierRunner(graph, ids.pad_id, max_rows) for _ in range(num_runners)]
    else:
        assert ids.eos_id is not None, "the manifest of a translation model has an eos_id"
        graphs = open_graph("encoder"), open_graph("decoder")
        runners = [
            TranslatorRunner(*graphs, ids.pad_id, ids.eos_id, max_rows) for _ in range(num_runners)
        ]
    return LoadedModel(manifest, tokenizer, runners, device, chosen)


def check_names(session: OnnxSession, role: Role, path: Path) -> None:
    """Refuses a graph that the runner of its role could not feed or read.

    Raises:
        ArtefactError: names what is too much or too little.
    """
    strange = set(session.input_names) - INPUTS[role]
    missing = OUTPUTS[role] - set(session.output_names)
    if strange or missing:
        raise ArtefactError(
            f"{path} does not fit its role {role}: unknown inputs: "
            f"{', '.join(sorted(strange)) or 'none'}, missing outputs: "
            f"{', '.join(sorted(missing)) or 'none'}; the manifest can map names"
        )


def choose_precision(manifest: Manifest, device: Device, wanted: str) -> Precision:
    """The wanted precision, or for `auto` the best of those that the version has for the device.

    Raises:
        ArtefactError: there is none.
    """
    usable = [
        precision for precision in PREFERENCE[device.kind] if precision in manifest.precisions
    ]
    if wanted == "auto" and usable:
        return usable[0]
    for precision in usable:
        if precision == wanted:
            return precision
    raise ArtefactError(
        f"{manifest.name}/{manifest.version} has no graphs in precision {wanted} for "
        f"{device.kind}; it has {', '.join(manifest.precisions)}, of which "
        f"{', '.join(usable) or 'none'} can run there"
    )


def run_requests(
    runner: Runner, requests: Sequence[Request], max_batch_tokens: int = 4096
) -> list[Result]:
    """Runs requests to their end on the calling thread; results in the order of the requests."""
    scheduler = Scheduler(runner.free_rows, max_batch_tokens)
    scheduler.add(list(requests))
    results: dict[Request, Result] = {}
    while scheduler.num_waiting or runner.num_running:
        results.update(runner.step(scheduler.next_batch(runner.free_rows).requests))
    return [results[request] for request in requests]


def make_requests(
    model: LoadedModel, texts: Sequence[str], target: str | None = None, beam_size: int = 1
) -> list[Request]:
    """Requests without a deadline, of texts as they are; for goldens and measurements.

    Raises:
        ValueError: a text has no tokens.
    """
    now = time.monotonic()
    requests = []
    for text, input_ids in zip(texts, model.encode(texts), strict=True):
        if not input_ids:
            raise ValueError(f"no tokens in {text!r}")
        request = Request(input_ids, now, float("inf"))
        if target is not None:
            request.search = SearchOptions(beam_size, new_token_limit(input_ids, model.manifest))
            request.start_id = model.manifest.ids.start_ids[target]
        requests.append(request)
    return requests


def check_length(input_ids: Sequence[int], model: LoadedModel) -> None:
    """Refuses what the model was not made for.

    Raises:
        InputTooLong: more tokens than the manifest allows.
    """
    limit = model.manifest.limits.max_input_tokens
    if len(input_ids) > limit:
        unit = "text" if model.manifest.task == "sentiment" else "sentence"
        raise InputTooLong(
            f"a {unit} has {len(input_ids)} tokens, above the limit of {limit} of model "
            f"{model.manifest.name}; split it"
        )


def new_token_limit(input_ids: Sequence[int], manifest: Manifest) -> int:
    """Where a translation ends at the latest: no pair here doubles the length, a loop would."""
    return min(manifest.limits.max_new_tokens, 16 + 2 * len(input_ids))


def answer_golden(model: LoadedModel, golden: Golden) -> tuple[str, float]:
    """What the model gives for a golden: label and probability, or translation and score."""
    (result,) = run_requests(model.runner, make_requests(model, [golden.text], golden.target))
    if isinstance(result, list):
        return model.tokenizer.decode(result[0].token_ids), result[0].score
    probabilities = model.probabilities(result)
    best = int(probabilities.argmax())
    return model.manifest.labels[best], float(probabilities[best])


def agrees(golden: Golden, output: str, score: float) -> bool:
    """Whether an answer is the golden's.

    A translation may differ where its score says that it is as good; a label may not.
    """
    is_same = output == golden.output or golden.target is not None
    return is_same and abs(score - golden.score) <= SCORE_TOLERANCE


def check_goldens(model: LoadedModel) -> None:
    """Runs every golden; this also warms the model up.

    Raises:
        ArtefactError: an output differs by more than a near tie explains, named in the message.
    """
    for golden in model.manifest.goldens:
        try:
            output, score = answer_golden(model, golden)
        except (ValueError, InvalidInput, InferenceFailed) as exc:
            raise ArtefactError(
                f"{model.title} fails its golden check for {golden.text!r}: {exc}"
            ) from exc
        if not agrees(golden, output, score):
            raise ArtefactError(
                f"{model.title} fails its golden check for {golden.text!r}: it gives {output!r} "
                f"({score:.3f}), expected {golden.output!r} ({golden.score:.3f})"
            )
