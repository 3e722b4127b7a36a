"""The language model learns from real reviews, and the classifier starts from its weights."""

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from models.config import RunConfig, TrainingConfig
from models.train import prepare_run
from models.training.data.sources import Example
from models.training.tasks.pretraining import LanguageModel, PretrainingTask, cut_windows
from models.training.tasks.task import build_model
from models.training.trainer import BEST, Trainer, read_history

CPU = torch.device("cpu")


@pytest.fixture
def config(tiny_config: Callable[..., RunConfig]) -> RunConfig:
    pretraining = TrainingConfig(
        epochs=3, batch_tokens=256, crop_tokens=12, learning_rate=1e-2, warmup_steps=5
    )
    return dataclasses.replace(
        tiny_config("classification", "lstm", encoder_layers=1, dropout=0.0),
        pretraining=pretraining,
    )


@pytest.fixture
def task(config: RunConfig, samples: Path, tmp_path: Path) -> PretrainingTask:
    config, tokenizer = prepare_run(config, tmp_path / "run", samples)
    return PretrainingTask(config, tokenizer, samples)


def test_each_direction_predicts_the_token_that_it_reads_next(config: RunConfig) -> None:
    model = LanguageModel(config.model)
    input_ids = torch.tensor([[5, 6, 7], [8, 9, 0]])

    readout, token_ids = model(input_ids, torch.tensor([3, 2]))

    assert token_ids.tolist() == [6, 7, 9, 5, 6, 8]
    assert readout.shape == (6, config.model.embedding_size)


def test_no_prediction_sees_its_own_token(config: RunConfig) -> None:
    model = LanguageModel(config.model).eval()
    lengths = torch.tensor([4])
    before, _ = model(torch.tensor([[5, 6, 7, 8]]), lengths)
    after, _ = model(torch.tensor([[5, 6, 99, 8]]), lengths)
    same = [torch.allclose(*pair, atol=1e-6) for pair in zip(before, after, strict=True)]
    # nothing has changed before 5 and 6, nor after 8 and the new token
    assert same == [True, True, False, False, False, True]


def test_loss_over_the_batch_estimates_the_one_over_the_vocabulary(task: PretrainingTask) -> None:
    torch.manual_seed(3)
    model = task.build_model()
    assert isinstance(model, LanguageModel)
    examples = task.sample_epoch(random.Random(1))[:400]

    estimated = float(task.loss(model, examples, CPU).detach())

    total, count = 0.0, 0
    with torch.inference_mode():
        for example in examples:
            readout, token_ids = model(
                torch.tensor([example.input_ids]), torch.tensor([len(example.input_ids)])
            )
            logits = model.logits(readout)
            total += float(cross_entropy(logits, token_ids, reduction="sum"))
            count += len(token_ids)
    assert estimated == pytest.approx(total / count, rel=0.03)


def test_epochs_cover_every_text_with_different_windows(task: PretrainingTask) -> None:
    first, second = (task.sample_epoch(random.Random(seed)) for seed in (1, 2))

    def list_ids(examples: list[Example]) -> list[int]:
        return sorted(token_id for example in examples for token_id in example.input_ids)

    assert max(map(len, first)) == 12
    assert first != second
    # a window of a single token has nothing to predict and is omitted
    assert abs(len(list_ids(first)) - len(list_ids(second))) < 0.02 * len(list_ids(first))


@pytest.mark.parametrize(
    ("first", "windows"),
    [
        (3, [[0, 1, 2], [3, 4, 5], [6]]),
        (1, [[0], [1, 2, 3], [4, 5, 6]]),
    ],
)
def test_windows_cover_a_text(first: int, windows: list[list[int]]) -> None:
    assert cut_windows(list(range(7)), 3, first) == windows
    assert cut_windows([1, 2, 3], 3, first) == [[1, 2, 3]]


def test_classifier_starts_from_the_trained_language_model(
    task: PretrainingTask, config: RunConfig, samples: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pretraining"
    folder.mkdir()
    assert config.pretraining is not None
    Trainer(task, config.pretraining, folder, CPU).train()
    perplexities = [record["perplexity"] for record in read_history(folder)]
    assert perplexities[-1] < 0.8 * task.config.model.vocab_size
    assert perplexities[-1] < perplexities[0]

    class Classifying:
        build_model = staticmethod(lambda: build_model(task.config))

    trainer = Trainer(Classifying(), config.training, tmp_path / "run", CPU)  # type: ignore[arg-type]
    learnt = torch.load(folder / BEST, weights_only=True)
    assert trainer.start_from(learnt, 0.0) == ["output.bias", "output.weight"]
    ours = trainer.model.state_dict()
    assert torch.equal(ours["embedding.weight"], learnt["embedding.weight"])
    name = "encoder.layers.0.backward_layer.weight_hh_l0"
    assert torch.equal(ours[name], learnt[name])
