"""The training loop on a toy task, and on real text, where the loss must fall."""

import copy
import dataclasses
import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.config import RunConfig, TrainingConfig
from models.train import prepare_run
from models.training.data.sources import Example, batch_examples
from models.training.tasks.task import build_task
from models.training.trainer import BEST, LAST, Trainer, read_history, read_seconds, thin_out

CPU = torch.device("cpu")


class LineTask:
    """Learns y = 2x from ten points; its validation scores are predefined."""

    def __init__(self, scores: Sequence[float] = (1.0, 2.0, 3.0), dropout: float = 0.0) -> None:
        self.scores = list(scores)
        self.dropout = dropout
        self.num_losses = 0
        self.fail_at: int | None = None
        self.loss_factor = 1.0

    def build_model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(1, 8), nn.Dropout(self.dropout), nn.Linear(8, 1))

    def sample_batches(self, rng: random.Random) -> list[list[Example]]:
        examples = [Example([number] * rng.randint(1, 3), [0]) for number in range(10)]
        return batch_examples(examples, 6, rng)

    def loss(self, model: nn.Module, examples: Sequence[Example], device: torch.device) -> Tensor:
        self.num_losses += 1
        if self.num_losses == self.fail_at:
            raise KeyboardInterrupt
        inputs = torch.tensor([[float(example.input_ids[0])] for example in examples])
        outputs: Tensor = model(inputs)
        return (outputs - 2.0 * inputs).square().mean() * self.loss_factor

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        assert not model.training
        return {"score": self.scores.pop(0)}


def make_trainer(folder: Path, task: LineTask, **changes: Any) -> Trainer:
    config = TrainingConfig(**({"epochs": 3, "batch_tokens": 6, "warmup_steps": 2} | changes))
    return Trainer(task, config, folder, CPU, checkpoint_seconds=0.0)


def load(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state


def test_training_runs_all_epochs_and_writes_their_figures(tmp_path: Path) -> None:
    progress = make_trainer(tmp_path, LineTask()).train()

    assert progress.finished
    assert progress.best_score == 3.0
    assert [record["epoch"] for record in read_history(tmp_path)] == [1, 2, 3]
    assert set(read_history(tmp_path)[0]) == {"epoch", "loss", "losses", "seconds", "score"}


def test_best_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    seen: list[dict[str, Tensor]] = []

    class Watching(LineTask):
        def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
            seen.append(copy.deepcopy(model.state_dict()))
            return super().validate(model, device)

    make_trainer(tmp_path, Watching([4.0, 5.0, 3.0])).train()

    best = load(tmp_path / BEST)
    same = [all(map(torch.equal, best.values(), weights.values())) for weights in seen]
    assert same == [False, True, False]


@pytest.mark.parametrize(
    ("scores", "patience", "epochs"),
    [
        ([3.0, 2.0, 2.0, 9.0], 2, 3),
        ([3.0, 2.0, 4.0, 1.0, 1.0, 9.0], 2, 5),
        ([3.0, 3.0, 9.0], 1, 2),  # equal is not better
    ],
)
def test_training_stops_after_epochs_without_a_better_score(
    tmp_path: Path, scores: list[float], patience: int, epochs: int
) -> None:
    task = LineTask(scores)

    progress = make_trainer(tmp_path, task, epochs=20, patience=patience).train()

    assert progress.epoch == epochs
    assert progress.best_score == max(scores[:epochs])


def test_finished_run_does_nothing(tmp_path: Path) -> None:
    make_trainer(tmp_path, LineTask()).train()
    again = LineTask([])

    assert make_trainer(tmp_path, again).train().best_score == 3.0
    assert again.num_losses == 0


@pytest.mark.parametrize("fail_at", [1, 4, 9])
def test_resumed_run_ends_in_the_same_weights(tmp_path: Path, fail_at: int) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    make_trainer(whole, LineTask(dropout=0.5)).train()

    interrupted = LineTask(dropout=0.5)
    interrupted.fail_at = fail_at
    with pytest.raises(KeyboardInterrupt):
        make_trainer(parts, interrupted).train()
    torch.manual_seed(999)
    make_trainer(parts, LineTask(interrupted.scores, dropout=0.5)).train()

    ours, theirs = load(parts / LAST), load(whole / LAST)
    assert all(map(torch.equal, ours["model"].values(), theirs["model"].values()))
    assert ours["progress"] | {"seconds": 0} == theirs["progress"] | {"seconds": 0}
    assert [record["loss"] for record in read_history(parts)] == [
        record["loss"] for record in read_history(whole)
    ]


def test_seed_decides_the_run(tmp_path: Path) -> None:
    weights = []
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        (tmp_path / name).mkdir()
        make_trainer(tmp_path / name, LineTask(), seed=seed).train()
        weights.append(load(tmp_path / name / BEST)["0.weight"])

    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_failed_write_keeps_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_trainer(tmp_path, LineTask(), epochs=1).train()
    before = (tmp_path / BEST).read_bytes()

    def write_half(state: object, path: Path) -> None:
        path.write_bytes(before[:100])
        raise OSError("no space left on device")

    (tmp_path / LAST).unlink()
    monkeypatch.setattr(torch, "save", write_half)
    with pytest.raises(OSError, match="no space"):
        make_trainer(tmp_path, LineTask(), epochs=1).train()

    assert (tmp_path / BEST).read_bytes() == before
    assert not (tmp_path / LAST).exists()


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_non_finite_loss_stops_the_run_and_keeps_the_checkpoint(
    tmp_path: Path, factor: float
) -> None:
    task = LineTask()
    make_trainer(tmp_path, task, epochs=1).train()
    trainer = make_trainer(tmp_path, task, epochs=3)
    trainer.progress.finished = False
    task.loss_factor = factor

    with pytest.raises(FloatingPointError, match="step 5 is not finite"):
        trainer.train()

    assert all(weight.isfinite().all() for weight in trainer.model.parameters())
    assert load(tmp_path / LAST)["progress"]["epoch"] == 1


def test_gradients_are_clipped(tmp_path: Path) -> None:
    task = LineTask()
    task.loss_factor = 1e6
    trainer = make_trainer(tmp_path, task, epochs=1, clip_norm=0.5)

    trainer.train()

    gradients = [weight.grad for weight in trainer.model.parameters() if weight.grad is not None]
    assert torch.cat([g.flatten() for g in gradients]).norm().item() <= 0.5 + 1e-4


def test_rate_warms_up_and_then_falls_to_zero(tmp_path: Path) -> None:
    rates: list[float] = []

    class Watching(LineTask):
        def loss(
            self, model: nn.Module, examples: Sequence[Example], device: torch.device
        ) -> Tensor:
            rates.append(trainer.optimizer.param_groups[0]["lr"])
            return super().loss(model, examples, device)

    trainer = make_trainer(tmp_path, Watching(), warmup_steps=5, learning_rate=0.1)
    trainer.train()

    assert rates[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert 0.0 <= rates[-1] < 0.01


def test_warm_up_is_at_most_half_of_a_short_run(tmp_path: Path) -> None:
    rates: list[float] = []

    class Watching(LineTask):
        def loss(
            self, model: nn.Module, examples: Sequence[Example], device: torch.device
        ) -> Tensor:
            rates.append(trainer.optimizer.param_groups[0]["lr"])
            return super().loss(model, examples, device)

    trainer = make_trainer(tmp_path, Watching(), warmup_steps=1000, learning_rate=0.1)
    trainer.train()

    assert max(rates) == pytest.approx(0.1)
    assert rates.index(max(rates)) < len(rates) / 2


def test_losses_are_reported_as_means_of_stretches() -> None:
    assert thin_out([1.0, 3.0, 5.0, 7.0, 9.0], 2) == [2.0, 7.0]
    assert thin_out([1.0, 3.0], 5) == [1.0, 3.0]
    assert thin_out([], 5) == []


def test_epoch_repeated_after_a_kill_counts_once_in_the_history(tmp_path: Path) -> None:
    lines = [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.0}, {"epoch": 2, "loss": 2.0}]
    (tmp_path / "history.jsonl").write_text(
        "".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8"
    )

    assert read_history(tmp_path) == lines[:2]


def train_tiny(config: RunConfig, folder: Path, data: Path, use_bf16: bool = False) -> Trainer:
    config, tokenizer = prepare_run(config, folder, data)
    task = build_task(config, tokenizer, data)
    trainer = Trainer(task, config.training, folder, CPU, use_bf16=use_bf16)
    trainer.train()
    return trainer


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_sentiment_is_learnt_from_real_reviews(
    tmp_path: Path, samples: Path, tiny_config: Callable[..., RunConfig], cell: str
) -> None:
    training = {
        "epochs": 6,
        "batch_tokens": 512,
        "learning_rate": 5e-3 if cell == "rnn" else 1e-2,
        "warmup_steps": 10,
        "patience": 6,
    }
    config = tiny_config(
        "classification",
        cell,
        training,
        vocab_size=900,
        embedding_size=48,
        encoder_size=48,
        dropout=0.1,
    )

    trainer = train_tiny(config, tmp_path, samples)

    history = read_history(tmp_path)
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert trainer.progress.best_score > 58.0  # of 100 unseen reviews, half of them positive


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_translation_memorizes_real_sentences(
    tmp_path: Path, samples: Path, tiny_config: Callable[..., RunConfig], cell: str
) -> None:
    training = {
        "epochs": 8,
        "batch_tokens": 200,
        "learning_rate": 5e-3 if cell == "rnn" else 1.5e-2,
        "warmup_steps": 20,
        "label_smoothing": 0.0,
        "patience": 8,
    }
    sizes = {"embedding_size": 48, "encoder_size": 48, "decoder_size": 64, "attention_size": 32}
    config = tiny_config(
        "translation", cell, training, encoder_layers=1, dropout=0.0, word_dropout=0.0, **sizes
    )
    data = tmp_path / "data" / "tatoeba"
    data.mkdir(parents=True)
    rows = (samples / "tatoeba" / "train.tsv").read_text(encoding="utf-8").splitlines(True)
    (data / "train.tsv").write_text("".join(rows[:6] * 64), encoding="utf-8")
    (data / "valid.tsv").write_text("".join(rows[:6]), encoding="utf-8")

    train_tiny(config, tmp_path / "run", tmp_path / "data")

    history = read_history(tmp_path / "run")
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert history[-1]["score"] > history[0]["score"] + 30.0  # chrF of both directions


@pytest.mark.parametrize("task", ["classification", "translation"])
def test_bfloat16_trains_too(
    tmp_path: Path, samples: Path, tiny_config: Callable[..., RunConfig], task: str
) -> None:
    training = {"epochs": 2, "warmup_steps": 5, "learning_rate": 5e-3, "batch_tokens": 128}
    config = tiny_config(task, "gru", training | {"valid_limit": 4})
    sources = (dataclasses.replace(config.sources[0], train="valid"),)  # the smaller split
    config = dataclasses.replace(config, sources=sources)

    trainer = train_tiny(config, tmp_path, samples, use_bf16=True)

    history = read_history(tmp_path)
    assert history[1]["loss"] < history[0]["loss"]
    assert {weight.dtype for weight in trainer.model.parameters()} == {torch.float32}


@pytest.mark.gpu
@pytest.mark.parametrize("task", ["classification", "translation"])
def test_resumed_run_draws_the_same_dropout_on_the_gpu(
    tmp_path: Path, samples: Path, tiny_config: Callable[..., RunConfig], task: str
) -> None:
    config = tiny_config(task, "gru", {"epochs": 1})
    config, tokenizer = prepare_run(config, tmp_path, samples)
    built, device = build_task(config, tokenizer, samples), torch.device("cuda")
    Trainer(built, config.training, tmp_path, device).train()
    drawn = torch.rand(4, device=device)

    Trainer(built, config.training, tmp_path, device)

    assert torch.equal(torch.rand(4, device=device), drawn)


def test_average_of_the_weights_is_validated_and_kept(tmp_path: Path) -> None:
    seen: list[dict[str, Tensor]] = []

    class Watching(LineTask):
        def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
            seen.append(copy.deepcopy(model.state_dict()))
            return super().validate(model, device)

    trainer = make_trainer(tmp_path, Watching(), ema_decay=0.9)
    trainer.train()

    assert all(map(torch.equal, seen[-1].values(), load(tmp_path / BEST).values()))
    last = trainer.model.state_dict()
    assert not any(map(torch.equal, seen[-1].values(), last.values()))


@pytest.mark.parametrize("fail_at", [2, 9])
def test_resumed_run_continues_its_average(tmp_path: Path, fail_at: int) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    make_trainer(whole, LineTask(), ema_decay=0.9).train()
    task = LineTask()
    task.fail_at = fail_at
    with pytest.raises(KeyboardInterrupt):
        make_trainer(parts, task, ema_decay=0.9).train()
    task.fail_at = None
    make_trainer(parts, task, ema_decay=0.9).train()

    assert all(map(torch.equal, load(whole / BEST).values(), load(parts / BEST).values()))


def test_run_starts_from_the_best_weights_of_another_and_counts_its_time(tmp_path: Path) -> None:
    base, run = tmp_path / "base", tmp_path / "run"
    for folder in (base, run):
        folder.mkdir()
    make_trainer(base, LineTask()).train()
    trainer = make_trainer(run, LineTask(), ema_decay=0.9)

    assert trainer.start_from(load(base / BEST), read_seconds(base) or 0.0) == []

    assert trainer.average is not None
    best = load(base / BEST)
    for model in (trainer.model, trainer.average.model):
        assert all(map(torch.equal, model.state_dict().values(), best.values()))
    assert trainer.progress.seconds == load(base / LAST)["progress"]["seconds"] > 0.0
    trainer.train()
    assert make_trainer(run, LineTask(), ema_decay=0.9).start_from(best, 1.0) == []
    assert not torch.equal(load(run / BEST)["0.weight"], best["0.weight"])


def test_run_without_a_matching_weight_is_rejected(tmp_path: Path) -> None:
    weights = {"0.weight": torch.zeros(5, 5), "strange": torch.zeros(8, 1)}
    trainer = make_trainer(tmp_path, LineTask())

    with pytest.raises(ValueError, match="no weight"):
        trainer.start_from(weights, 0.0)
