import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.bench.parts.generation import (
    CONTINUOUS,
    ROWS,
    STATIC,
    TORCH,
    TORCH_LOOP,
    find_generator,
    make_texts,
    measure_generation,
)
from service.engine.runtime.device import Device
from service.repository.goldens import answer_golden
from service.repository.loader import load_model
from service.repository.manifest import read_manifest

LANGUAGES = Path(__file__).parents[3] / "service" / "tiny_languages"
SHAKESPEARE = Path(__file__).parents[4] / "models" / "repository" / "shakespeare-en" / "1"


def test_generator_is_one_that_takes_no_condition(tmp_path: Path) -> None:
    assert find_generator(LANGUAGES) == LANGUAGES / "tiny-language-lstm" / "1"
    assert find_generator(tmp_path) is None


def test_texts_are_of_mixed_lengths_and_always_the_same() -> None:
    model = load_model(LANGUAGES / "tiny-language-lstm" / "1", Device("cpu"))
    first, again = make_texts(model, 40), make_texts(model, 40)

    assert [each.sampling for each in first] == [each.sampling for each in again]
    lengths = {each.sampling.max_new_tokens for each in first if each.sampling}
    assert len(lengths) > 20
    assert max(lengths) <= 200


def test_every_number_of_rows_is_measured_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    found = measure_generation(LANGUAGES / "tiny-language-lstm" / "1", 1, texts_per_row=1)

    assert found["model"] == "tiny-language-lstm"
    ours = {
        f"{precision}|{batches}|{rows}"
        for precision in ("int8", "w8")
        for batches in (CONTINUOUS, STATIC)
        for rows in ROWS
    }
    assert set(found["rows"]) == ours
    assert f"{TORCH}: left out, " in capsys.readouterr().out  # the graphs are not the export's
    assert all(rate > 0 for (rate,) in found["rows"].values())


def test_the_pytorch_loop_is_over_the_same_model() -> None:
    torch_loop = pytest.importorskip(TORCH_LOOP, reason="torch is not installed")
    folder = SHAKESPEARE
    manifest, model = read_manifest(folder), load_model(folder, Device("cpu"), precision="w8")
    golden = manifest.goldens[0]
    (prompt,) = model.encode([golden.text])
    forbidden = [model.tokenizer.token_id(name) for name in ("<pad>", "<eos>", "<bos>", "<unk>")]
    output, _ = answer_golden(model, golden)

    token_ids = torch_loop.open_model(folder).continue_greedily(prompt, 24, forbidden)

    assert model.tokenizer.decode(token_ids) == output


def test_the_pytorch_loop_tells_its_rate() -> None:
    pytest.importorskip(TORCH_LOOP, reason="torch is not installed")
    command = [sys.executable, "-m", TORCH_LOOP, str(SHAKESPEARE), "2", json.dumps([5, 9, 2])]

    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert float(done.stdout) > 0.0
