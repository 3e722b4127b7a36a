"""The models that tests/service has in git are as made today; it has neither torch nor onnx."""

import json
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from export.graphs.builder import GraphBuilder, save_graphs
from service.repository.manifest import MANIFEST
from tests.export.tiny_language import write_repository

SERVICE_TESTS = Path(__file__).parents[1] / "service"
LANGUAGES = SERVICE_TESTS / "tiny_languages"
# Differ with the machine and the versions of tools: rounding, hence hashes of weights and scores.
MADE_HERE = ("created", "files", "goldens", "parity", "quality", "tools")


def read_manifest(folder: Path) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    names = [entry["name"] for entry in fields["files"]]
    return {name: fields[name] for name in fields if name not in MADE_HERE} | {"names": names}


@pytest.mark.parametrize("name", ["tiny-classification-gru", "tiny-translation-lstm"])
def test_tiny_repository_in_git_is_what_the_export_makes(tiny_repository: Path, name: str) -> None:
    kept, made = (
        repository / name / "1"
        for repository in (SERVICE_TESTS / "tiny_repository", tiny_repository)
    )
    assert read_manifest(kept) == read_manifest(made), (
        f"renew it: cp -r {tiny_repository}/. {kept.parents[1]}"
    )


@pytest.mark.parametrize("name", ["tiny-tagging-gru", "tiny-stream-tagging-lstm"])
def test_tiny_taggers_in_git_are_what_the_export_makes(tiny_taggers: Path, name: str) -> None:
    kept, made = (
        repository / name / "1" for repository in (SERVICE_TESTS / "tiny_taggers", tiny_taggers)
    )
    assert read_manifest(kept) == read_manifest(made), (
        f"renew them: cp -r {tiny_taggers}/. {kept.parents[1]}"
    )


def test_tiny_answerers_in_git_are_what_the_export_makes(tiny_answerers: Path) -> None:
    kept, made = (
        repository / "tiny-text2text-lstm" / "1"
        for repository in (SERVICE_TESTS / "tiny_answerers", tiny_answerers)
    )
    assert read_manifest(kept) == read_manifest(made), (
        f"renew them: cp -r {tiny_answerers}/. {kept.parents[1]}"
    )


@pytest.mark.parametrize("name", ["tiny-language-gru", "tiny-language-lstm"])
def test_tiny_languages_in_git_are_what_is_made(tmp_path: Path, name: str) -> None:
    write_repository(tmp_path)

    kept, made = (repository / name / "1" for repository in (LANGUAGES, tmp_path))

    assert read_manifest(kept) == read_manifest(made), f"renew it: cp -r {tmp_path}/. {LANGUAGES}"


def test_gather_graph_in_git_is_what_the_builder_makes(tmp_path: Path) -> None:
    graph = GraphBuilder("gather")
    table = graph.input("table", TensorProto.FLOAT, ["N", 2])
    rows = graph.input("rows", TensorProto.INT64, ["R"])
    graph.output(graph.op("Gather", table, rows, axis=0), "chosen", TensorProto.FLOAT, ["R", 2])
    graph.output(graph.op("Shape", rows), "count", TensorProto.INT64, [1])
    save_graphs({"gather.onnx": graph.build()}, tmp_path)

    kept, made = SERVICE_TESTS / "engine" / "runtime" / "gather.onnx", tmp_path / "gather.onnx"
    assert kept.read_bytes() == made.read_bytes(), f"renew it: cp {made} {kept}"
