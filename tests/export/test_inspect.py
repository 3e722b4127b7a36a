"""The whole command, on exported models of random weights."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.card import CARD, FINDS
from models.inspect.__main__ import main
from models.inspect.samples import cut_text, make_samples, read_prefixes, read_texts
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.manifest import read_manifest
from service.repository.model import make_sequences
from tests.export.conftest import FolderMaker

ROWS = "\n".join(
    f"{index % 2}\t이 영화 {'정말 ' * (index % 7)}재미있어요 {index}" for index in range(60)
)


@pytest.fixture
def version(tiny_version: FolderMaker, tmp_path: Path) -> Path:
    folder = tmp_path / "tiny-classification-gru" / "1"
    shutil.copytree(tiny_version("classification", "gru"), folder)
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "test.tsv.gz"
    path.write_bytes(gzip.compress(ROWS.encode()))
    return path


def test_finds_are_in_the_manifest_and_on_the_card(
    version: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--min-correlation", "0.2", "--show", "우리 영화"]
    main(["--model", str(version), "--data", str(table), *options])

    finds = read_manifest(version).finds
    assert finds
    assert all(0.2 <= abs(find.correlation) <= 1 for find in finds)
    assert list(finds) == sorted(finds, key=lambda find: -abs(find.correlation))
    assert {find.data for find in finds} == {"test.tsv.gz"}
    card = (version / CARD).read_text(encoding="utf-8")
    assert f"| {finds[0].property} |" in card
    assert f"({FINDS})" in card
    picture = (version / FINDS).read_text(encoding="utf-8")
    assert picture.startswith("<svg")
    assert ">우리영화</text>" in picture
    assert finds[0].property in capsys.readouterr().out
    load_model(version, Device("cpu"))

    main(["--model", str(version), "--data", str(table), "--min-correlation", "1"])

    assert not read_manifest(version).finds
    assert FINDS not in (version / CARD).read_text(encoding="utf-8")
    assert not (version / FINDS).exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.csv", "a,b", "is not one of"),
        ("data.txt", "이 영화", "too few or too short"),
        ("missing.txt", None, "does not hold"),
    ],
)
def test_data_that_will_not_do_is_named(
    name: str, content: str | None, message: str, version: Path, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")

    with pytest.raises(SystemExit, match=message):
        main(["--model", str(version), "--data", str(tmp_path / name)])


def test_model_that_takes_a_condition_is_refused(tiny_version: FolderMaker, table: Path) -> None:
    with pytest.raises(SystemExit, match="takes a condition"):
        main(["--model", str(tiny_version("language", "lstm")), "--data", str(table)])


def test_long_text_is_cut_after_lines_and_keeps_its_properties(version: Path) -> None:
    model = load_model(version, Device("cpu"))
    text = '"이 영화\n' * 60

    stretches = list(cut_text(model, text))

    assert "".join(stretch.text for stretch in stretches) == text
    assert len(stretches) > 1
    limit = model.manifest.limits.max_input_tokens
    assert all(len(model.encode([stretch.text])[0]) <= limit for stretch in stretches)
    inside = np.concatenate([stretch.properties[:, 0] for stretch in stretches])
    marks = np.cumsum([character == '"' for character in text])
    np.testing.assert_array_equal(inside, marks % 2)


def test_samples_end_at_the_limit(version: Path, table: Path) -> None:
    model = load_model(version, Device("cpu"))

    samples = list(make_samples(model, read_texts(table), 50))

    assert 50 <= sum(len(sample.spans) for sample in samples) < 120
    for sample in samples:
        assert len(sample.spans) == len(sample.states) == len(sample.properties)


def test_label_so_far_is_that_of_the_prefix(version: Path) -> None:
    model = load_model(version, Device("cpu"))
    (sequence,) = make_sequences(model, ["이 영화 정말 재미있어요"])

    found = read_prefixes(model, sequence.input_ids)

    (scores,) = run_sequences(model.runner, [sequence])
    assert found.shape == (sequence.num_tokens, 2)
    np.testing.assert_allclose(found[-1], model.probabilities(np.asarray(scores)), atol=0.05)
