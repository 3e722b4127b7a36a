"""Calibrates a classifier by temperature, so that scores match the share of correct answers.

The temperature is fitted on the validation splits and folded into the last layer, so that the
graphs do not change.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.config import RunConfig
from models.networks.classifier import Classifier
from models.training.tasks.classification import classify_examples, read_examples
from models.training.vocabulary.subwords import PAD
from service.text.tokenizer import Tokenizer

TEMPERATURES = tuple(1.02**step for step in range(-70, 71))  # 0.25 to 4


@torch.inference_mode()
def find_temperature(
    model: Classifier, config: RunConfig, tokenizer: Tokenizer, data: Path
) -> float:
    """Finds the best temperature for all validation rows together.

    Raises:
        FileNotFoundError: a validation split is missing.
        ValueError: there are no rows.
    """
    limit = config.training.valid_limit
    examples = [
        example
        for source in config.sources
        if source.has_valid
        for example in read_examples(config, source, data, tokenizer, "valid", limit)
    ]
    if not examples:
        raise ValueError("no validation split to calibrate the scores on")
    logits = classify_examples(model, examples, tokenizer.token_id(PAD), torch.device("cpu"))
    return fit_temperature(logits, torch.tensor([example.target_ids[0] for example in examples]))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Finds the temperature of the highest likelihood (Guo et al. 2017, section 4.2)."""
    return min(
        TEMPERATURES, key=lambda temperature: float(cross_entropy(logits / temperature, labels))
    )


@torch.no_grad()
def set_temperature(model: Classifier, temperature: float) -> None:
    """Divides the logits by the temperature, by scaling the output layer."""
    for parameter in model.output.parameters():
        parameter.div_(temperature)
