"""Any number of labels, from a data set to the page: trained, exported, served, shown.

The cell is a vanilla RNN, which is one setting, so that this way is tested for it, too.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import export.__main__
import models.train
from service.repository.manifest import read_manifest
from tests.integration.server import run_server

LABELS = ("bad", "middling", "good")
WORDS = {"bad": ("awful", "dull"), "middling": ("passable", "fair"), "good": ("superb", "moving")}
FILLERS = ("the film", "this book", "our hotel", "their song")
CONFIG = """
name = "stars-en"
task = "classification"
purpose = "stars"
languages = ["en"]
labels = ["bad", "middling", "good"]

[[sources]]
path = "stars"
licence = "CC0-1.0"
commercial_use = true

[model]
cell = "rnn"
vocab_size = 400
embedding_size = 16
encoder_size = 16
encoder_layers = 1
dropout = 0.0
word_dropout = 0.0

[training]
epochs = 8
batch_tokens = 128
learning_rate = 1e-2
warmup_steps = 5
"""


def write_stars(folder: Path) -> None:
    """Three splits in which one word decides the label."""
    rng = random.Random(3)
    folder.mkdir(parents=True)
    for split, num_rows in (("train", 240), ("valid", 30), ("test", 30)):
        rows = [LABELS[index % 3] for index in range(num_rows)]
        lines = [
            f"{label}\t{rng.choice(FILLERS)} was {rng.choice(WORDS[label])} in {1900 + index}"
            for index, label in enumerate(rows)
        ]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the model, made by the two commands."""
    folder = tmp_path_factory.mktemp("labels")
    write_stars(folder / "data" / "stars")
    config, run, made = folder / "stars.toml", folder / "run", folder / "repository"
    config.write_text(CONFIG, encoding="utf-8")
    data = ("--data", str(folder / "data"))
    models.train.main(
        [*("--config", str(config)), *data, *("--out", str(run), "--threads", "1", "--no-bf16")]
    )
    export.__main__.main(["torch", *("--run", str(run)), *data, *("--repository", str(made))])
    return made


@pytest.fixture(scope="module")
def client(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    with run_server(repository, log) as server, server.open_client() as client:
        yield client


def test_quality_has_accuracy_and_macro_f1(repository: Path) -> None:
    manifest = read_manifest(repository / "stars-en" / "1")

    accuracy, f1 = manifest.headlines
    assert (manifest.cell, manifest.labels) == ("rnn", LABELS)
    assert (accuracy.metric, f1.metric) == ("accuracy", "f1")
    assert min(accuracy.value, f1.value) >= 90.0
    assert f1.signature.startswith("macro F1")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("the film was superb in 1999", "good"),
        ("our hotel was dull in 1950", "bad"),
        ("this book was passable in 1950", "middling"),
    ],
)
def test_three_labels_are_told_apart(client: httpx.Client, text: str, label: str) -> None:
    (scores,) = client.post("/classify", json={"inputs": text}).raise_for_status().json()

    assert scores[0]["label"] == label
    assert {each["label"] for each in scores} == set(LABELS)
    assert sum(each["score"] for each in scores) == pytest.approx(1.0, abs=1e-5)


def test_page_gets_every_label_and_the_purpose(client: httpx.Client) -> None:
    (model,) = client.get("/models").raise_for_status().json()
    assert (model["purpose"], model["answers_by_default"]) == ("stars", True)
    assert model["labels"] == list(LABELS)

    # as the page asks
    body = {"inputs": ["the film was superb in 1999"], "details": True, "explain": True}
    (shown,) = client.post("/classify", json=body).raise_for_status().json()
    assert shown["labels"][0]["label"] == "good"
    assert len(shown["labels"]) == 3
    assert client.get("/info").json()["model_type"]["classifier"]["id2label"]["2"] == "good"
