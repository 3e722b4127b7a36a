"""A plain PyTorch loop that generates texts with a version of a language model, in float32.

`python -m loadtests.bench.contestants.torch_loop FOLDER ROWS LENGTHS` generates texts of these
lengths in tokens (a JSON array), ROWS at a time, and prints the characters per second. It is the
loop that people write without a server: step all texts of a batch until the longest is done.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from models.config import ModelConfig
from models.networks.language_model import LanguageModel
from models.training.initial import read_version
from service.repository.manifest import TOKENIZER, read_manifest
from service.text.tokenizer import Tokenizer

TEMPERATURE = 0.8


def main() -> None:
    folder, rows, lengths = sys.argv[1:]
    torch.set_num_threads(1)
    torch.manual_seed(1)
    try:
        print(time_texts(Path(folder), int(rows), json.loads(lengths)))
    except ValueError as exc:
        raise SystemExit(str(exc)) from exc


def time_texts(folder: Path, num_rows: int, lengths: Sequence[int]) -> float:
    """Characters per second of texts of these lengths in tokens, `num_rows` at a time.

    Raises:
        ValueError: the version was not made from our networks.
    """
    model, tokenizer = open_model(folder), Tokenizer.load(folder / TOKENIZER)
    bos_id = read_manifest(folder).ids.bos_id
    assert bos_id is not None, "the manifest of a language model has a bos_id"
    generate(model, bos_id, [1])  # loads what torch loads at first use
    started = time.perf_counter()
    texts = [
        tokenizer.decode(token_ids)
        for start in range(0, len(lengths), num_rows)
        for token_ids in generate(model, bos_id, lengths[start : start + num_rows])
    ]
    return sum(map(len, texts)) / (time.perf_counter() - started)


def open_model(folder: Path) -> LanguageModel:
    """The torch model of a version, its sizes read from its weights."""
    weights = read_version(folder)
    vocab_size, embedding_size = weights["embedding.weight"].shape
    config = ModelConfig(
        cell=read_manifest(folder).cell,  # type: ignore[arg-type]
        vocab_size=vocab_size,
        embedding_size=embedding_size,
        hidden_size=weights["layers.0.weight_hh_l0"].shape[1],
        num_layers=sum(name.endswith("weight_hh_l0") for name in weights),
        tied="readout.weight" in weights,
    )
    model = LanguageModel(config)
    model.load_state_dict(weights)
    return model.eval()


@torch.inference_mode()
def generate(model: LanguageModel, bos_id: int, lengths: Sequence[int]) -> list[list[int]]:
    """Draws texts side by side until the longest is done; each is cut at its length."""
    token_ids = torch.full((len(lengths), 1), bos_id)
    state = model.first_state(len(lengths))
    steps = []
    for _ in range(max(lengths)):
        logits, state = model(token_ids, state)
        token_ids = torch.multinomial((logits[:, -1] / TEMPERATURE).softmax(dim=-1), 1)
        steps.append(token_ids)
    rows: list[list[int]] = torch.cat(steps, dim=1).tolist()
    return [row[:length] for row, length in zip(rows, lengths, strict=True)]


if __name__ == "__main__":
    main()
