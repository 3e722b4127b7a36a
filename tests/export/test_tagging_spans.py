"""A label set of another kind, spans in the BIO scheme, by the same two commands."""

import random
from pathlib import Path

import numpy as np
import pytest

from export.__main__ import main as export
from models.synthesis.slots import make_date, make_price
from models.train import main as train
from models.training.data.labelled_spans import Span
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.pipeline.tagging.entities import find_entities
from service.pipeline.tagging.pieces import locate_tokens, make_pieces
from service.repository.loader import load_model
from service.repository.manifest import read_manifest
from service.repository.model import make_sequences

SENTENCES = (
    "We met on {DATE}.",
    "The ticket costs {SUM}.",
    "I paid {SUM} on {DATE}.",
    "Please come on {DATE}, it is free.",
    "Nobody was in {PLACE} with {WHO} yesterday.",
    "On {DATE} the price was {SUM}.",
    "Is {SUM} too much for you?",
)
# Most sentences of the training set must not be those of the test set, which are left out.
WORDS = {
    "PLACE": [
        "Berlin",
        "Seoul",
        "Paris",
        "London",
        "Rome",
        "Oslo",
        "Prague",
        "Madrid",
        "Vienna",
        "Tokyo",
        "Lima",
        "Cairo",
    ],
    "WHO": [
        "Ann",
        "Ben",
        "Carl",
        "Dora",
        "Emil",
        "Fay",
        "Gus",
        "Hana",
        "Ivo",
        "Jun",
        "Kim",
        "Leo",
        "Mia",
        "Noah",
        "Olga",
        "Paul",
    ],
}
VALUES = {"DATE": make_date, "SUM": make_price}
CONFIG = """
name = "spans-en"
task = "tagging"
languages = ["en"]
labels = ["O", "B-DATE", "I-DATE", "B-SUM", "I-SUM"]

[[sources]]
path = "spans"
licence = "CC0-1.0"
commercial_use = true

[model]
cell = "gru"
vocab_size = 700
embedding_size = 24
encoder_size = 24
encoder_layers = 1
dropout = 0.0
word_dropout = 0.0

[training]
epochs = 4
batch_tokens = 256
learning_rate = 1e-2
warmup_steps = 10
label_smoothing = 0.0
"""


def make_row(rng: random.Random) -> str:
    """A sentence with its spans, as a line of a data set."""
    text, spans = "", []
    for part in rng.choice(SENTENCES).replace("{", "\0{").replace("}", "}\0").split("\0"):
        name = part.strip("{}")
        if name in VALUES:
            value = VALUES[name](rng)["en"]
            spans.append(Span(len(text), len(text) + len(value), name))
        else:
            value = rng.choice(WORDS[name]) if name in WORDS else part
        text += value
    return f"{' '.join(map(str, spans))}\t{text}\n"


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version that was trained on dates and sums of money, and measured."""
    folder = tmp_path_factory.mktemp("spans")
    rng = random.Random(4)
    (folder / "spans").mkdir()
    for split, count in (("train", 500), ("valid", 60), ("test", 60)):
        rows = "".join(make_row(rng) for _ in range(count))
        (folder / "spans" / f"{split}.tsv").write_text(rows, encoding="utf-8")
    config, run, repository = folder / "spans.toml", folder / "run", folder / "repository"
    config.write_text(CONFIG, encoding="utf-8")
    data = ["--data", str(folder)]
    train(["--config", str(config), "--out", str(run), "--threads", "1", *data])
    export(["torch", "--run", str(run), "--repository", str(repository), *data])
    return repository / "spans-en" / "1"


def test_held_out_spans_are_found(version: Path) -> None:
    quality = {figure.metric: figure.value for figure in read_manifest(version).quality}
    assert quality["entity F1"] >= 90.0
    assert quality["token accuracy"] >= 95.0


def test_entities_are_dates_and_sums_of_a_new_sentence(version: Path) -> None:
    rng = random.Random(99)
    date, price = make_date(rng)["en"], make_price(rng)["en"]
    text = f"I paid {price} on {date}."
    model = load_model(version, Device("cpu"))
    (scores,) = run_sequences(model.runner, make_sequences(model, [text]))
    assert isinstance(scores, np.ndarray)
    pieces = make_pieces(model, locate_tokens(model, text), scores)

    found = find_entities(text, pieces, model.manifest.labels, "simple", frozenset({"O"}))

    assert [(entity.label, entity.word) for entity in found] == [("SUM", price), ("DATE", date)]
