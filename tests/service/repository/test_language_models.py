"""Language models in the repository: manifests, loading, goldens."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.errors import ArtefactError
from service.repository.goldens import answer_golden, check_goldens
from service.repository.loader import find_state_shapes, load_model
from service.repository.manifest import MANIFEST, Condition, Golden, Precision, read_manifest
from service.repository.model import NUM_GOLDEN_TOKENS, LoadedModel

CPU = Device("cpu")
PRECISIONS: list[Precision] = ["fp32", "w8", "int8"]
TEXT = "the cat,\n\n  and\u00e9 'that'  AIDA? \n"


def copy_version(tiny_languages: Path, name: str, to: Path, **fields: Any) -> Path:
    folder = to / name / "1"
    shutil.copytree(tiny_languages / name / "1", folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(json.dumps(manifest | fields), encoding="utf-8")
    return folder


def load(tiny_languages: Path, cell: str, precision: Precision = "fp32") -> LoadedModel:
    return load_model(tiny_languages / f"tiny-language-{cell}" / "1", CPU, precision=precision)


def test_a_language_model_reads_every_character(tiny_languages: Path) -> None:
    model = load(tiny_languages, "lstm")
    bos_id, *token_ids = model.encode([TEXT])[0]

    assert bos_id == model.manifest.ids.bos_id
    assert model.tokenizer.decode(token_ids) == TEXT
    assert model.encode([""]) == [[bos_id]]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_golden_is_a_greedy_continuation(
    tiny_languages: Path, cell: str, precision: Precision
) -> None:
    model = load(tiny_languages, cell, precision)
    features = model.manifest.condition and model.manifest.condition.encode("positive")
    asked = Golden(text="the", output="", score=0.0, features=features)

    output, score = answer_golden(model, asked)
    again = answer_golden(model, asked)

    assert (output, score) == again
    assert 1 <= len(model.tokenizer.encode(output)) <= NUM_GOLDEN_TOKENS
    assert score < 0.0


def test_goldens_are_checked_by_score(tiny_languages: Path, tmp_path: Path) -> None:
    output, score = answer_golden(
        load(tiny_languages, "lstm"), Golden(text="the", output="", score=0.0)
    )
    goldens = [{"text": "the", "output": output, "score": score}]
    right = copy_version(tiny_languages, "tiny-language-lstm", tmp_path / "a", goldens=goldens)
    # another text that is as likely: a near tie fell the other way
    goldens[0]["output"] = "else"
    tied = copy_version(tiny_languages, "tiny-language-lstm", tmp_path / "b", goldens=goldens)
    goldens[0]["score"] = score - 1.0
    wrong = copy_version(tiny_languages, "tiny-language-lstm", tmp_path / "c", goldens=goldens)

    check_goldens(load_model(right, CPU, precision="fp32"))
    check_goldens(load_model(tied, CPU, precision="fp32"))
    with pytest.raises(ArtefactError, match="fails its golden check for 'the'"):
        check_goldens(load_model(wrong, CPU, precision="fp32"))


def test_states_are_as_the_graph_declares_them(tiny_languages: Path) -> None:
    for cell, names in (("lstm", ("hidden", "cell")), ("gru", ("hidden",))):
        folder = tiny_languages / f"tiny-language-{cell}" / "1"
        session = OnnxSession(folder / "generator.fp32.onnx", CPU)

        assert session.input_shape("hidden") == [2, "P", 20]
        assert find_state_shapes(session) == dict.fromkeys(names, (2, 20))


def test_a_graph_without_states_is_no_generator(tiny_languages: Path) -> None:
    folder = tiny_languages / "tiny-language-gru" / "1"

    with pytest.raises(ArtefactError, match="must declare `hidden` as"):
        find_state_shapes(OnnxSession(folder / "conditioner.fp32.onnx", CPU))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ids": {"pad_id": 0}}, "needs a bos_id"),
        ({"condition": {"labels": ["a", "b"]}}, "needs conditioner, generator, prefill"),
        ({"condition": {}}, "either labels or num_features"),
        ({"condition": {"labels": ["a"], "num_features": 2}}, "either labels or num_features"),
        ({"condition": {"num_features": 0}}, "greater than or equal to 1"),
    ],
)
def test_a_manifest_that_does_not_fit_is_rejected(
    tiny_languages: Path, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    folder = copy_version(tiny_languages, "tiny-language-lstm", tmp_path, **fields)

    with pytest.raises(ArtefactError, match=message):
        read_manifest(folder)


def test_a_label_is_a_one_hot_row() -> None:
    condition = Condition(labels=("a", "b", "c"))

    assert condition.encode("b") == (0.0, 1.0, 0.0)
    assert (condition.size, Condition(num_features=64).size) == (3, 64)
    with pytest.raises(ValidationError):
        Condition()
