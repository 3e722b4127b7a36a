import pytest

from service.answers import Prompt
from service.errors import InvalidInput
from service.pipeline.generation.prompts import encode_condition
from service.repository.manifest import (
    Condition,
    FileEntry,
    Graph,
    Limits,
    Manifest,
    SpecialIds,
)

LABELS = Condition(labels=("bad", "good"))
NUMBERS = Condition(num_features=3)


def make_language_manifest(condition: Condition | None) -> Manifest:
    roles = ["prefill", "generator", *(["conditioner"] if condition else [])]
    files = [*(f"{role}.onnx" for role in roles), "tokenizer.json"]
    return Manifest(
        name="verse",
        version="1",
        task="language",
        cell="lstm",
        languages=("en",),
        condition=condition,
        ids=SpecialIds(pad_id=0, bos_id=1),
        limits=Limits(max_input_tokens=10),
        opset=17,
        graphs=tuple(
            Graph.model_validate({"role": role, "precision": "fp32", "file": f"{role}.onnx"})
            for role in roles
        ),
        files=tuple(FileEntry(name=file, sha256="0" * 64, num_bytes=0) for file in files),
    )


@pytest.mark.parametrize(
    ("condition", "prompt", "features"),
    [
        (None, Prompt("a"), None),
        (LABELS, Prompt(label="good"), (0.0, 1.0)),
        (LABELS, Prompt("a", label="bad"), (1.0, 0.0)),
        (NUMBERS, Prompt(features=(1.0, 2.0, 3.0)), (1.0, 2.0, 3.0)),
    ],
)
def test_a_condition_becomes_features(
    condition: Condition | None, prompt: Prompt, features: tuple[float, ...] | None
) -> None:
    assert encode_condition(prompt, make_language_manifest(condition)) == features


@pytest.mark.parametrize(
    ("condition", "prompt", "message"),
    [
        (None, Prompt("a", label="good"), "verse takes no label and no features; leave them out"),
        (None, Prompt("a", features=(1.0,)), "takes no label"),
        (LABELS, Prompt("a"), "needs a `label`; send one of bad, good"),
        (LABELS, Prompt(label="so-so"), "one of bad, good"),
        (LABELS, Prompt(features=(0.0, 1.0)), "one of bad, good"),
        (NUMBERS, Prompt("a"), "`features`, 3 numbers, and got none; send 3"),
        (NUMBERS, Prompt(features=(1.0,)), "3 numbers, and got 1"),
        (NUMBERS, Prompt(label="good", features=(1.0, 2.0, 3.0)), "3 numbers"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    condition: Condition | None, prompt: Prompt, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        encode_condition(prompt, make_language_manifest(condition))
