"""The training loop: seeded, resumable after a kill, with early stopping. Independent of tasks."""

import json
import math
import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from models.config import TrainingConfig
from models.training.averaging import AverageModel
from models.training.data.sources import Example
from models.training.tasks.task import Task

LAST, BEST, HISTORY = "last.pt", "best.pt", "history.jsonl"
NUM_POINTS = 25  # of the loss curve, in each epoch


@dataclass
class Progress:
    """Progress of a run, saved with every checkpoint.

    Attributes:
        epoch: number of finished epochs.
        batch: number of finished batches of the current epoch.
        step: number of optimizer steps in total.
        best_score: best validation score so far.
        stale_epochs: number of epochs since then.
        seconds: training time across all resumptions, including that of the run it started from.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best_score: float = -math.inf
    stale_epochs: int = 0
    seconds: float = 0.0
    finished: bool = False
    losses: list[float] = field(default_factory=list)


class Trainer:
    """Trains one model in one folder; resumes if the folder holds a checkpoint."""

    def __init__(
        self,
        task: Task,
        config: TrainingConfig,
        folder: Path,
        device: torch.device,
        *,
        use_bf16: bool = False,
        checkpoint_seconds: float = 120.0,
    ) -> None:
        self.task, self.config, self.folder, self.device = task, config, folder, device
        self.use_bf16, self.checkpoint_seconds = use_bf16, checkpoint_seconds
        torch.manual_seed(config.seed)
        self.model = task.build_model().to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.average = AverageModel(self.model, config.ema_decay) if config.ema_decay else None
        self.progress = Progress()
        self._total_steps = 0
        if (folder / LAST).exists():
            self._restore()

    @property
    def has_begun(self) -> bool:
        """Whether the run has taken a step, in this process or in one that it resumes."""
        return self.progress.step > 0 or self.progress.finished

    def start_from(self, theirs: Mapping[str, Tensor], seconds: float) -> list[str]:
        """Loads the weights of another model for all parameters of the same name and shape.

        Does nothing if this run already has a checkpoint.

        Args:
            theirs: weights by name, see `initial.load_initial`.
            seconds: of training behind them.

        Returns:
            The names of the parameters that keep their random weights.

        Raises:
            ValueError: no parameter matches.
        """
        if self.has_begun:
            return []
        ours = self.model.state_dict()
        fitting = {
            name: weights
            for name, weights in theirs.items()
            if name in ours and ours[name].shape == weights.shape
        }
        if not fitting:
            raise ValueError("no weight to start from matches this model in name and shape")
        self.model.load_state_dict(ours | fitting)
        if self.average:
            self.average = AverageModel(self.model, self.config.ema_decay)
        self.progress.seconds = seconds
        return sorted(ours.keys() - fitting.keys())

    def train(self) -> Progress:
        """Runs until the last epoch or early stopping; the best weights are in `best.pt`.

        Raises:
            FloatingPointError: a gradient is not finite; the last checkpoint is unchanged.
        """
        while not self.progress.finished:
            self._train_epoch()
            self._finish_epoch()
        return self.progress

    def _train_epoch(self) -> None:
        batches = self._epoch_batches(self.progress.epoch)
        self._total_steps = self._total_steps or len(batches) * self.config.epochs
        self.model.train()
        saved = time.monotonic()
        bar = tqdm(
            batches[self.progress.batch :],
            desc=f"epoch {self.progress.epoch + 1}/{self.config.epochs}",
            initial=self.progress.batch,
            total=len(batches),
            unit="batch",
            mininterval=1.0,
        )
        started = time.monotonic()
        for batch in bar:
            loss = self._train_step(batch)
            self.progress.losses.append(loss)
            now = time.monotonic()
            self.progress.seconds += now - started
            started = now
            bar.set_postfix(
                loss=f"{_mean(self.progress.losses[-50:]):.3f}", lr=f"{self._learning_rate():.1e}"
            )
            if now - saved > self.checkpoint_seconds:
                self._save()
                saved = now

    def _train_step(self, examples: list[Example]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.use_bf16):
            loss = self.task.loss(self.model, examples, self.device)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        # a step on a NaN would corrupt the weights and the next checkpoint
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        if not torch.isfinite(norm):
            raise FloatingPointError(
                f"the gradient of step {self.progress.step + 1} is not finite; lower the learning "
                "rate or check the data; the last checkpoint is unchanged"
            )
        self.optimizer.step()
        self.progress.step += 1
        self.progress.batch += 1
        if self.average:
            self.average.update(self.model, self.progress.step)
        return float(loss.detach())

    def _finish_epoch(self) -> None:
        progress = self.progress
        model = self.average.model if self.average else self.model.eval()
        figures = self.task.validate(model, self.device)
        progress.epoch, progress.batch = progress.epoch + 1, 0
        record = {
            "epoch": progress.epoch,
            "loss": round(_mean(progress.losses), 4),
            "losses": thin_out(progress.losses, NUM_POINTS),
            "seconds": round(progress.seconds),
            **{name: round(value, 4) for name, value in figures.items()},
        }
        progress.losses = []
        print(json.dumps(record), flush=True)
        with (self.folder / HISTORY).open("a", encoding="utf-8") as history:
            history.write(json.dumps(record) + "\n")
        if figures["score"] > progress.best_score:
            progress.best_score, progress.stale_epochs = figures["score"], 0
            _write_atomically(model.state_dict(), self.folder / BEST)
        else:
            progress.stale_epochs += 1
        progress.finished = (
            progress.epoch >= self.config.epochs or progress.stale_epochs >= self.config.patience
        )
        self._save()

    def _epoch_batches(self, epoch: int) -> list[list[Example]]:
        # the same batches after a resumption
        return self.task.sample_batches(random.Random(f"{self.config.seed}/{epoch}"))

    def _learning_rate(self) -> float:
        """Returns the rate: linear warm-up, then a cosine to zero (Loshchilov and Hutter 2017)."""
        step = self.progress.step
        # otherwise a short run on little data would end during warm-up
        warmup = min(self.config.warmup_steps, self._total_steps // 2)
        if step < warmup:
            return self.config.learning_rate * (step + 1) / warmup
        share = min(1.0, (step - warmup) / max(1, self._total_steps - warmup))
        return self.config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "total_steps": self._total_steps,
            "rng": torch.get_rng_state(),
        }
        if self.average:
            state["average"] = self.average.model.state_dict()
        if self.device.type == "cuda":  # dropout draws from it
            state["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        _write_atomically(state, self.folder / LAST)

    def _restore(self) -> None:
        state: dict[str, Any] = torch.load(
            self.folder / LAST, map_location="cpu", weights_only=True
        )
        self.model.load_state_dict(state["model"])
        if self.average:
            self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
        self._total_steps = state["total_steps"]
        torch.set_rng_state(state["rng"])
        if self.device.type == "cuda" and "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)


def read_seconds(folder: Path) -> float | None:
    """Returns the training time of a run, or None if its folder has no last checkpoint."""
    if not (folder / LAST).exists():
        return None
    # memory-mapped, so that the optimizer state, most of the file, is never read
    state = torch.load(folder / LAST, map_location="cpu", weights_only=True, mmap=True)
    return float(state["progress"]["seconds"])


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Reads the figures of each finished epoch.

    A kill between writing the line and the checkpoint repeats an epoch and its line; the later
    counts.
    """
    lines = (folder / HISTORY).read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return list({record["epoch"]: record for record in records}.values())


def thin_out(values: Sequence[float], num_points: int) -> list[float]:
    """Averages the values over `num_points` equal stretches; returns fewer values unchanged."""
    num_points = min(num_points, len(values))
    borders = [len(values) * index // (num_points or 1) for index in range(num_points + 1)]
    return [round(_mean(values[start:end]), 4) for start, end in pairwise(borders)]


def _write_atomically(state: dict[str, Any], path: Path) -> None:
    """Writes a file so that a kill leaves the previous one intact."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
