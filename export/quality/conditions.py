"""Whether texts are what their label asks for: a classifier of the same repository judges them."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.config import RunConfig
from models.training.data.sources import read_source
from models.training.metrics import Figure
from service.engine.batch import Generation, SamplingOptions, TokenSequence
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device, available_cpus
from service.repository.loader import load_model
from service.repository.manifest import Manifest, read_manifest
from service.repository.model import LoadedModel, make_sequences
from service.repository.versions import find_versions

NUM_TEXTS, TEMPERATURE = 500, 0.8
FOUND = "asked label found"


def find_judge(repository: Path, manifest: Manifest) -> LoadedModel | None:
    """The classifier of the repository that knows the labels and the language of a model."""
    wanted = set(manifest.condition.labels) if manifest.condition else set()
    for folder in find_versions(repository):
        other = read_manifest(folder)
        is_fit = wanted and wanted <= set(other.labels)
        if is_fit and set(manifest.languages) <= set(other.languages):
            return load_model(folder, Device("cpu"), num_threads=available_cpus())
    return None


def judge_conditions(
    model: LoadedModel, judge: LoadedModel, config: RunConfig, data: Path
) -> list[Figure]:
    """Shares of drawn texts that have the label asked for, and that are a training row.

    Raises:
        FileNotFoundError: a training split is missing.
    """
    assert model.manifest.condition
    known = model.manifest.condition.labels
    labels = [known[seed % len(known)] for seed in range(NUM_TEXTS)]
    texts = draw_texts(model, labels)
    learnt = {
        text for source in config.sources for _, text in read_source(config, source, data, "train")
    }
    num_found = sum(map(str.__eq__, choose_labels(judge, texts), labels))
    num_learnt = sum(text in learnt for text in texts)
    signature = f"percent of {NUM_TEXTS} texts at temperature {TEMPERATURE}"
    name = f"{judge.manifest.name} {judge.manifest.version}"
    return [
        Figure(FOUND, 100.0 * num_found / NUM_TEXTS, f"{signature}, by {name}"),
        Figure("texts of the training data", 100.0 * num_learnt / NUM_TEXTS, signature),
    ]


def draw_texts(model: LoadedModel, labels: Sequence[str]) -> list[str]:
    """A text for each label, by the seeds from 0."""
    condition, limits = model.manifest.condition, model.manifest.limits
    assert condition
    now = time.monotonic()
    sequences = [
        TokenSequence(
            *(model.frame([]), now, math.inf),
            sampling=SamplingOptions(limits.max_new_tokens, TEMPERATURE, seed=seed),
            features=condition.encode(label),
        )
        for seed, label in enumerate(labels)
    ]
    texts = []
    for result in run_sequences(model.runner, sequences):
        assert isinstance(result, Generation), "a language model answers with texts"
        texts.append(model.tokenizer.decode(result.token_ids))
    return texts


def choose_labels(judge: LoadedModel, texts: Sequence[str]) -> list[str]:
    """The likeliest label of each text; "" of one that is empty."""
    readable = [text for text in texts if text.strip()]
    results = run_sequences(judge.runner, make_sequences(judge, readable))
    chosen = {}
    for text, result in zip(readable, results, strict=True):
        assert isinstance(result, np.ndarray), "a classifier answers with an array"
        chosen[text] = judge.manifest.labels[int(result.argmax())]
    return [chosen.get(text, "") for text in texts]
