import random
from collections import Counter
from pathlib import Path

from models.synthesis.transfer import choose_rows, score_translations
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.versions import newest_version

REPOSITORY = Path(__file__).parents[3] / "models" / "repository"
SCORED = [
    (0.99, "toll"),
    (0.97, "schön"),
    (0.93, "nett"),
    (0.01, "schlimm"),
    (0.06, "übel"),
    (0.3, "mäßig"),
    (0.5, "ein Tisch"),
    (0.45, "ein Stuhl"),
]


def test_confident_sentences_are_labelled_as_many_of_each_label() -> None:
    rows = choose_rows(SCORED, random.Random(1), with_unsure=False)

    assert sorted(rows) == [(0, "schlimm"), (0, "übel"), (1, "schön"), (1, "toll")]


def test_unsure_sentences_are_written_with_each_label() -> None:
    rows = choose_rows(SCORED, random.Random(1), with_unsure=True)

    assert Counter(label for label, _ in rows) == {0: 3, 1: 3}
    assert {label for label, text in rows if text == "ein Tisch"} == {0, 1}
    assert "mäßig" not in {text for _, text in rows}


def test_translations_get_the_scores_of_their_originals(tmp_path: Path) -> None:
    lines = ["a wonderful and moving film\tein wunderbarer Film", "bad\tschlecht"]
    lines.append("a dull and pointless film\tein öder Film")
    (tmp_path / "train.tsv").write_text("\n".join(lines), encoding="utf-8")
    model = load_model(newest_version(REPOSITORY, "sentiment-en"), Device("cpu"))

    folders = [tmp_path, tmp_path]
    scored = list(score_translations(model, folders, "train", 10, random.Random(1)))
    assert not list(score_translations(model, folders, "test", 10, random.Random(1)))

    assert len(scored) == 4  # one word alone says too little
    assert {text: score > 0.5 for score, text in scored} == {
        "ein wunderbarer Film": True,
        "ein öder Film": False,
    }
