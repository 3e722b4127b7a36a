import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.errors import ArtefactError
from service.repository.manifest import (
    MANIFEST,
    Limits,
    Manifest,
    Quality,
    Source,
    check_files,
    describe_file,
    read_manifest,
    write_manifest,
)
from tests.fakes import make_manifest

Fields = dict[str, Any]


def write_version(repository: Path, manifest: Manifest | None = None) -> Path:
    """A version folder whose files are real, though no graphs."""
    manifest = manifest or make_manifest("translation", "words")
    folder = repository / manifest.name / manifest.version
    folder.mkdir(parents=True)
    for entry in manifest.files:
        (folder / entry.name).write_bytes(entry.name.encode() * 9)
    files = tuple(describe_file(folder / entry.name) for entry in manifest.files)
    write_manifest(manifest.model_copy(update={"files": files}), folder)
    return folder


def edit_manifest(folder: Path, edit: Callable[[Fields], object]) -> None:
    fields = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    edit(fields)
    (folder / MANIFEST).write_text(json.dumps(fields), encoding="utf-8")


def test_written_manifest_reads_back_the_same(tmp_path: Path) -> None:
    folder = write_version(tmp_path)
    manifest = read_manifest(folder)
    write_manifest(manifest, folder)
    check_files(manifest, folder)

    assert read_manifest(folder) == manifest


def test_measured_length_limits_read_back_the_same(tmp_path: Path) -> None:
    limits = Limits(max_input_tokens=100, new_tokens_base=20, new_tokens_per_token=3.25)
    folder = write_version(tmp_path, make_manifest("translation", "words", limits=limits))

    assert read_manifest(folder).limits == limits


def test_a_manifest_without_length_limits_means_what_it_did(tmp_path: Path) -> None:
    folder = write_version(tmp_path)
    fields = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))

    assert fields["limits"] == {"max_input_tokens": 100}
    limits = read_manifest(folder).limits
    assert (limits.new_tokens_base, limits.new_tokens_per_token) == (16, 2.0)


def test_classification_is_still_read_by_its_first_name(tmp_path: Path) -> None:
    folder = write_version(tmp_path, make_manifest("classification", "film"))
    edit_manifest(folder, lambda fields: fields.update(task="sentiment"))

    manifest = read_manifest(folder)
    assert (manifest.task, manifest.purpose) == ("classification", "sentiment")
    assert manifest.answers_by_default


def test_defaults_are_not_written(tmp_path: Path) -> None:
    fields = json.loads((write_version(tmp_path) / MANIFEST).read_text(encoding="utf-8"))

    assert "trained_minutes" not in fields
    assert "goldens" not in fields


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda fields: fields.update(colour="blue"), "colour"),
        (lambda fields: fields["ids"].update(unk_id=3), r"ids\.unk_id"),
        (lambda fields: fields.pop("limits"), "limits"),
        (lambda fields: fields["limits"].update(new_tokens_base=0), "limits.new_tokens_base"),
        (
            lambda fields: fields["limits"].update(new_tokens_per_token=-1),
            "limits.new_tokens_per_token",
        ),
        (lambda fields: fields.update(version="0"), "version"),
        (lambda fields: fields.update(version="one"), "version"),
        (lambda fields: fields.update(version=1), "version"),
        (lambda fields: fields.update(name="../words"), "name"),
        (lambda fields: fields.update(format=2), "format"),
        (lambda fields: fields.update(task="summary"), "task"),
        (lambda fields: fields.update(cell="transformer"), "cell"),
        (lambda fields: fields.update(languages=["English"]), "languages"),
        (lambda fields: fields["ids"].update(pad_id=-1), r"ids\.pad_id"),
        (lambda fields: fields["limits"].update(max_input_tokens=0), "max_input_tokens"),
        (lambda fields: fields["graphs"][0].update(file="../a.onnx"), r"graphs\.0\.file"),
        (lambda fields: fields["graphs"][0].update(precision="fp8"), "precision"),
        (lambda fields: fields["files"][0].update(sha256="abc"), r"files\.0\.sha256"),
        (lambda fields: fields["files"].pop(), "files does not list tokenizer.json"),
        (lambda fields: fields["files"].pop(0), "files does not list encoder.onnx"),
        (lambda fields: fields["graphs"].pop(0), "fp32 has graphs decoder, needs decoder, encoder"),
        (lambda fields: fields["graphs"].append(fields["graphs"][0]), "needs decoder, encoder"),
        (lambda fields: fields["graphs"][0].update(role="classifier"), "needs decoder, encoder"),
        (lambda fields: fields["graphs"][0].update(precision="w8"), "needs decoder, encoder"),
        (lambda fields: fields["graphs"].clear(), "a version needs graphs"),
        (lambda fields: fields["pairs"].clear(), "needs pairs, eos_id, and a start id"),
        (lambda fields: fields["ids"].pop("eos_id"), "needs pairs, eos_id, and a start id"),
        (lambda fields: fields["ids"]["start_ids"].pop("de"), "a start id per target"),
        (lambda fields: fields.update(task="classification"), "at least two labels"),
    ],
)
def test_invalid_manifest_is_rejected_by_field(
    tmp_path: Path, edit: Callable[[Fields], object], message: str
) -> None:
    folder = write_version(tmp_path)
    edit_manifest(folder, edit)

    with pytest.raises(ArtefactError, match=rf"manifest\.json is invalid: .*{message}"):
        read_manifest(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_manifest_that_is_not_a_json_object_is_rejected(tmp_path: Path, content: bytes) -> None:
    folder = write_version(tmp_path)
    (folder / MANIFEST).write_bytes(content)

    with pytest.raises(ArtefactError, match="is invalid"):
        read_manifest(folder)


def test_missing_manifest_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"manifest\.json cannot be read: No such file"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("place", ["words/2", "other/1"])
def test_manifest_in_the_wrong_folder_is_rejected(tmp_path: Path, place: str) -> None:
    folder = write_version(tmp_path)
    target = tmp_path / place
    target.parent.mkdir(exist_ok=True)
    folder.rename(target)

    with pytest.raises(ArtefactError, match=f"describes words/1 but lies in {place}"):
        read_manifest(target)


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx", "tokenizer.json"])
def test_missing_file_is_rejected_by_name(tmp_path: Path, name: str) -> None:
    folder = write_version(tmp_path)
    (folder / name).unlink()

    with pytest.raises(ArtefactError, match=rf"{name} is missing"):
        check_files(read_manifest(folder), folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: b"X" + content[1:],
        lambda content: b"",
    ],
    ids=["cut", "longer", "one byte changed", "emptied"],
)
def test_damaged_file_is_rejected_by_name(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    folder = write_version(tmp_path)
    path = folder / "encoder.onnx"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(ArtefactError, match=r"encoder\.onnx is damaged: .* copy it again"):
        check_files(read_manifest(folder), folder)


def test_wrong_hash_is_rejected_even_if_the_size_is_right(tmp_path: Path) -> None:
    folder = write_version(tmp_path)
    edit_manifest(folder, lambda fields: fields["files"][1].update(sha256="0" * 64))

    with pytest.raises(ArtefactError, match=r"decoder\.onnx is damaged"):
        check_files(read_manifest(folder), folder)


def test_shipped_size_is_the_sum_of_all_files(tmp_path: Path) -> None:
    folder = write_version(tmp_path)

    on_disk = sum(path.stat().st_size for path in folder.iterdir() if path.name != MANIFEST)
    assert read_manifest(folder).num_bytes == on_disk


@pytest.mark.parametrize(
    ("weights", "is_commercial"), [((1.0, 1.0), False), ((1.0, 0.0), True), ((0.0, 0.0), True)]
)
def test_evaluation_only_sets_do_not_restrict_commercial_use(
    weights: tuple[float, float], is_commercial: bool
) -> None:
    free, unfree = (
        Source(name=name, licence=name, commercial_use=name == "free", weight=weight)
        for name, weight in zip(("free", "unfree"), weights, strict=True)
    )

    assert make_manifest(sources=(free, unfree)).commercial_use is is_commercial


def test_each_pair_has_a_headline_even_if_several_beams_were_measured() -> None:
    quality = tuple(
        Quality(
            data="test",
            metric="bleu",
            value=float(beam),
            precision="fp32",
            signature="x",
            pair=pair,
            decoding="greedy" if beam == 1 else f"beam {beam}",
        )
        for pair in ("en-de", "de-en")
        for beam in (1, 2, 4)
    )
    found = make_manifest("translation", quality=quality).headlines

    assert [(figure.pair, figure.value) for figure in found] == [("en-de", 4.0), ("de-en", 4.0)]


def test_headlines_are_those_of_the_widest_beam() -> None:
    quality = tuple(
        Quality(
            data=data,
            metric=metric,
            value=1.0,
            precision=precision,
            signature="",
            pair=pair,
            decoding=decoding,
        )
        for precision, decodings in (("int8", ("greedy", "beam 4")), ("fp32", ("greedy",)))
        for data in ("first", "second")
        for pair in ("en-ko", "ko-en")
        for decoding in decodings
        for metric in ("bleu", "chrf")
    )

    found = make_manifest("translation", quality=quality).headlines

    assert [
        (each.data, each.pair, each.metric, each.precision, each.decoding) for each in found
    ] == [
        ("first", "en-ko", "bleu", "int8", "beam 4"),
        ("first", "ko-en", "bleu", "int8", "beam 4"),
    ]


def test_greedy_is_the_headline_if_nothing_else_was_measured() -> None:
    figure = Quality(
        data="", metric="bleu", value=1.0, precision="fp32", signature="", decoding="greedy"
    )

    assert make_manifest(quality=(figure,)).headlines == (figure,)
    assert make_manifest().headlines == ()


def test_headlines_of_a_classifier_are_accuracy_before_f1() -> None:
    quality = [
        Quality(data=data, metric=metric, value=90.0, precision="int8", signature="")
        for data, metric in (("a", "accuracy"), ("a", "f1"), ("b", "accuracy"))
    ]

    assert make_manifest(quality=tuple(quality[:2])).headlines == tuple(quality[:2])
    assert make_manifest(quality=tuple(quality)).headlines == (quality[0], quality[2])
