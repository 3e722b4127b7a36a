"""Translation as seen by training: both directions of a pair, scored by chrF."""

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from models.config import RunConfig
from models.networks.seq2seq import Seq2Seq, translate_greedily
from models.training.data.masking import mask_pair
from models.training.data.sources import (
    Example,
    Pair,
    Row,
    add_typing_noise,
    bucket_batches,
    pad_ids,
)
from models.training.data.start_tokens import SpeechLevels
from models.training.metrics import translation_figures
from models.training.tasks.seq2seq import Seq2SeqTask
from service.text.tokenizer import Tokenizer

VALID_BATCH_TOKENS = 8192


class TranslationTask(Seq2SeqTask):
    """Translation in both directions of a pair."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, data: Path) -> None:
        super().__init__(config, tokenizer, data)
        self.levels = SpeechLevels(config, tokenizer)

    def sample_epoch(self, rng: random.Random) -> list[Example]:
        training = self.config.training
        pairs = [
            mask(pair, rng) if training.masked and rng.random() < training.masked else pair
            for pair in self.sample_pairs(rng)
        ]
        pairs, start_ids = self.levels.choose(pairs, rng)
        noise = training.typing_noise
        pairs = [
            pair._replace(source=add_typing_noise(pair.source, rng))
            if noise and rng.random() < noise
            else pair
            for pair in pairs
        ]
        end_ids = [self.levels.end_id(start_id, self.eos_id) for start_id in start_ids]
        return self.encode_pairs(pairs, start_ids, end_ids)

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        figures: dict[str, float] = {}
        for path, rows in self._valid.items():
            for side, (source, target) in enumerate(self.config.pairs):
                translations = self._translate(model, [row[side] for row in rows], 1 - side, device)
                for figure in translation_figures(
                    translations, [row[1 - side] for row in rows], target
                ):
                    figures[f"{path} {source}-{target} {figure.metric}"] = figure.value
        chrfs = [value for name, value in figures.items() if name.endswith("chrf")]
        return {"score": sum(chrfs) / len(chrfs), **figures}

    def list_pairs(self, row: Row) -> list[Pair]:
        return [Pair(row[side], row[1 - side], 1 - side) for side in (0, 1)]

    def _translate(
        self, model: nn.Module, texts: list[str], target: int, device: torch.device
    ) -> list[str]:
        assert isinstance(model, Seq2Seq)
        encoded = [[*ids, self.eos_id] for ids in self.tokenizer.encode_batch(texts)]
        start_id = self.start_ids[target]
        rows = translate_sources([model], encoded, start_id, self.eos_id, self.pad_id, device)
        return [self.tokenizer.decode(row) for row in rows]


def mask(pair: Pair, rng: random.Random) -> Pair:
    return Pair(*mask_pair(pair.source, pair.target, rng), pair.side)


def translate_sources(
    models: Sequence[Seq2Seq],
    sources: Sequence[Sequence[int]],
    start_id: int,
    eos_id: int,
    pad_id: int,
    device: torch.device,
    progress: str = "",
) -> list[list[int]]:
    """Translates sources, which end with eos, in their order; see `translate_greedily`.

    Shows a progress bar if `progress` names it.
    """
    rows: list[list[int]] = [[]] * len(sources)
    batches = bucket_batches([len(ids) for ids in sources], VALID_BATCH_TOKENS // 2)
    for batch in tqdm(batches, desc=progress, unit="batch", mininterval=1.0, disable=not progress):
        input_ids, lengths = pad_ids([sources[index] for index in batch], pad_id)
        max_new_tokens = 10 + int(1.5 * input_ids.shape[1])
        translated = translate_greedily(
            models, input_ids.to(device), lengths.to(device), start_id, eos_id, max_new_tokens
        )
        for index, row in zip(batch, translated, strict=True):
            rows[index] = row
    return rows
