"""How well the served graphs answer held-out texts.

A text has many right answers, so that the likeness to the one at hand says little. Beside it stand
the likelihood of that answer, how many different answers are given, and how many of them are
learnt by heart.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path

from export.quality.perplexity import sum_steps
from models.config import RunConfig, SourceConfig
from models.training.data.sources import Row, bucket_batches, read_source
from models.training.metrics import Figure, text_figures, translation_figures
from service.engine.batch import Generation, SamplingOptions, TokenSequence
from service.engine.generation.generator import GeneratorRunner
from service.engine.runner import run_sequences
from service.repository.model import LoadedModel

BATCH_TOKENS = 4096


def measure_answers(
    model: LoadedModel, config: RunConfig, source: SourceConfig, data: Path, rows: Sequence[Row]
) -> list[Figure]:
    """Figures of the greedy answers to the first columns of rows, and of their second columns.

    Raises:
        FileNotFoundError: the training split is missing.
    """
    texts = [text for text, _ in rows]
    answers = answer_texts(model, texts)
    learnt = {answer for _, answer in read_source(config, source, data, "train")}
    signature = f"percent of {len(answers)} greedy answers"
    num_learnt = sum(answer in learnt for answer in answers)
    references = [answer for _, answer in rows]
    likeness = translation_figures(answers, references, config.languages[0])
    return [
        *text_figures(sum_losses(model, rows), sum(len(answer) + 1 for answer in references)),
        *(figure for figure in likeness if figure.metric == "chrf"),
        Figure("different answers", 100.0 * len(set(answers)) / len(answers), signature),
        Figure("answers of the training data", 100.0 * num_learnt / len(answers), signature),
    ]


def answer_texts(model: LoadedModel, texts: Sequence[str]) -> list[str]:
    """The greedy answers of a model to texts."""
    sampling = SamplingOptions(model.manifest.limits.max_new_tokens)
    now = time.monotonic()
    sequences = [
        TokenSequence(input_ids, now, math.inf, sampling=sampling)
        for input_ids in model.encode(texts)
    ]
    answers = []
    for result in run_sequences(model.runner, sequences):
        assert isinstance(result, Generation), "a model that writes texts answers with them"
        answers.append(model.tokenizer.decode(result.token_ids))
    return answers


def sum_losses(model: LoadedModel, rows: Sequence[Row]) -> float:
    """Sum over all tokens of the answers of the negative log-probability in nats, as served."""
    assert isinstance(model.runner, GeneratorRunner)
    session, ids = model.runner.session, model.manifest.ids
    assert ids.eos_id is not None, "the manifest of such a model has an eos_id"
    read = model.encode([text for text, _ in rows])
    written = model.encode([answer for _, answer in rows])  # each with eos
    total = 0.0
    for batch in bucket_batches([len(token_ids) for token_ids in written], BATCH_TOKENS):
        session.clear()
        begun = session.read([TokenSequence(read[place], 0.0, math.inf) for place in batch])
        targets = [written[place] for place in batch]
        inputs = [
            [*start, *token_ids[:-1]] for start, token_ids in zip(begun, targets, strict=True)
        ]
        total += sum_steps(session, inputs, targets, ids.pad_id, [ids.pad_id])
    session.clear()
    return total
