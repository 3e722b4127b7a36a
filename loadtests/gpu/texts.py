"""Texts in the languages of a model, short and long ones in turn."""

from collections.abc import Sequence

import numpy as np

from loadtests.load.texts import REVIEWS, SENTENCES
from service.arrays import FloatArray
from service.engine.batch import Generation, Result, TokenSequence
from service.repository.model import LoadedModel, make_sequences

KNOWN = "en"


def list_texts(model: LoadedModel) -> list[str]:
    """The texts of its goldens and of the load test, of mixed lengths, each once."""
    manifest = model.manifest
    if manifest.task == "translation":
        language, texts = manifest.pairs[0][0], SENTENCES
    else:
        language, texts = manifest.languages[0], REVIEWS
    groups = texts.get(language, texts[KNOWN])
    found = [golden.text for golden in manifest.goldens]
    found += [text for group in groups for text in group]
    limit = manifest.limits.max_input_tokens
    encoded = zip(found, model.encode(found), strict=True)
    return list(dict.fromkeys(text for text, ids in encoded if 0 < len(ids) <= limit))


def prepare_sequences(
    model: LoadedModel, texts: Sequence[str], beam_size: int = 1
) -> list[TokenSequence]:
    """Requests without a deadline; for a model with a condition, its first one."""
    manifest = model.manifest
    target = manifest.pairs[0][1] if manifest.task == "translation" else None
    sequences = make_sequences(model, texts, target, beam_size)
    if manifest.condition:
        labels = manifest.condition.labels
        features = (
            manifest.condition.encode(labels[0]) if labels else (0.0,) * manifest.condition.size
        )
        for sequence in sequences:
            sequence.features = features
    return sequences


def read_answer(model: LoadedModel, result: Result) -> tuple[list[int], FloatArray]:
    """What a result says, to be compared: tokens or labels, and scores or probabilities."""
    if isinstance(result, Generation):
        return result.token_ids, np.array([result.score])
    if isinstance(result, list):
        return result[0].token_ids, np.array([result[0].score])
    probabilities = model.probabilities(result)
    return np.atleast_1d(probabilities.argmax(axis=-1)).tolist(), probabilities
