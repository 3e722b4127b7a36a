"""Answers to texts, in one language, as seen by training: scored by the likelihood of the answers.

What is said to a text has many right answers, so that a comparison with the one at hand says less
than its probability.
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from models.training.data.sources import Pair, Row, batch_examples
from models.training.metrics import text_figures
from models.training.tasks.seq2seq import Seq2SeqTask

VALID_BATCH_TOKENS = 8192


class TextToTextTask(Seq2SeqTask):
    """The second column of a row from the first."""

    @torch.inference_mode()
    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Measures nats and bits per character of the answers, an end counting as one."""
        figures: dict[str, float] = {}
        scores = []
        for path, rows in self._valid.items():
            pairs = self.make_pairs(rows)
            examples = self.encode_pairs(pairs, self.start_ids * len(pairs))
            nats = 0.0
            for batch in batch_examples(examples, VALID_BATCH_TOKENS):
                logits, outputs = self._predict(model, batch, device)
                nats += float(
                    cross_entropy(logits, outputs, ignore_index=self.pad_id, reduction="sum")
                )
            num_characters = sum(len(pair.target) + 1 for pair in pairs)
            scores.append(-nats / num_characters)
            for figure in text_figures(nats, num_characters):
                figures[f"{path} {figure.metric}"] = figure.value
        return {"score": sum(scores) / len(scores), **figures}

    def list_pairs(self, row: Row) -> list[Pair]:
        return [Pair(*row, 0)]
