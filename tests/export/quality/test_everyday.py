"""The measurement on everyday sentences, and the scores of the shipped models."""

import dataclasses
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest

from export.quality.everyday import has_words, judge_labels, judge_translations
from models.training.data.held_out import EVERYDAY, read_everyday
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.model import LoadedModel
from service.repository.versions import newest_version
from tests.export.conftest import FolderMaker

NEGATIONS = ("litotes", "double", "nothing", "enough")
REPOSITORY = Path(__file__).parents[3] / "models" / "repository"
# a floor well below the shipped scores: a model below it is broken
FLOORS = {"sentiment-en": 75.0, "sentiment-ko": 80.0, "en-de": 50.0, "de-en": 50.0}
FLOORS |= {"en-ko": 50.0, "ko-en": 40.0}


def load_shipped(name: str) -> LoadedModel:
    return load_model(newest_version(REPOSITORY, name), Device("cpu"))


def test_every_line_has_its_columns_and_texts_are_unique() -> None:
    labelled, translated = read_everyday("classification"), read_everyday("translation")

    assert {len(row) for row in labelled} == {4}
    assert {len(row) for row in translated} == {4}
    assert {row[1] for row in labelled} == {"positive", "negative", "unsure"}
    for rows, key_columns in ((labelled, (0, 2)), (translated, (1, 2))):
        texts = {tuple(row[column] for column in key_columns) for row in rows}
        assert len(texts) == len(rows) >= 40
    assert (EVERYDAY / "README.md").exists()


def test_every_language_has_ten_labelled_sentences_of_each_kind() -> None:
    counts = Counter((language, kind) for language, _, _, kind in read_everyday("classification"))

    for language in ("en", "ko", "de"):
        kinds = {kind: count for (code, kind), count in counts.items() if code == language}
        assert kinds.keys() == {"plain", "fact", *NEGATIONS, "mixed"}
        assert min(kinds[kind] for kind in ("plain", *NEGATIONS, "mixed")) >= 10


def test_negations_are_both_positive_and_negative_and_mixed_ones_neither() -> None:
    found: dict[str, Counter[str]] = {}
    for _, expected, _, kind in read_everyday("classification"):
        found.setdefault(kind, Counter())[expected] += 1

    assert found["mixed"].keys() == found["fact"].keys() == {"unsure"}
    for kind in NEGATIONS:
        assert found[kind].keys() == {"positive", "negative"}
        assert min(found[kind].values()) >= 10


def test_every_direction_has_sixty_sentences() -> None:
    counts = Counter((source, target) for source, target, _, _ in read_everyday("translation"))

    assert counts == dict.fromkeys(permutations(("en", "de", "ko"), 2), 60)


def test_alternatives_are_words_and_a_copied_source_is_wrong() -> None:
    for _, _, text, words in read_everyday("translation"):
        assert all(word.strip() for group in words.split(";") for word in group.split("|")), text
        assert not has_words(text, words), text


@pytest.mark.parametrize(
    ("translation", "words", "expected"),
    [
        ("The man rides a bike.", "man;bicycle|bike", True),
        ("The woman rides a bike.", "man;bike", False),
        ("A MAN IS RIDING", "man;rid", True),
        ("A man", "man;rid", False),
        ("지하철역이 어디예요?", "지하철|전철;어디", True),
        ("정말 배고파요", "고파", True),
        ("Die Katze schläft.", "katze;schläf", True),
    ],
)
def test_words_are_found(translation: str, words: str, expected: bool) -> None:
    assert has_words(translation, words) is expected


def test_model_with_other_labels_or_languages_is_not_measured(tiny_version: FolderMaker) -> None:
    model = load_model(tiny_version("classification", "gru"), Device("cpu"))
    assert judge_labels(model)["mixed"].signature == "percent of 11 sentences of models/everyday"

    for change in ({"labels": ("no", "yes")}, {"languages": ("es",)}):
        manifest = model.manifest.model_copy(update=change)
        assert judge_labels(dataclasses.replace(model, manifest=manifest)) == {}


def test_misses_are_listed_with_their_translations(tiny_version: FolderMaker) -> None:
    model = load_model(tiny_version("translation", "lstm"), Device("cpu"))

    judged = judge_translations(model, "en", "ko", 1)

    assert judged is not None
    figure, misses = judged
    assert figure.value < 100.0
    assert ("I am hungry.", dict(misses)["I am hungry."]) in misses
    assert judge_translations(model, "en", "fr", 1) is None


@pytest.mark.parametrize("name", ["sentiment-en", "sentiment-ko"])
def test_shipped_classifiers_understand_everyday_sentences(name: str) -> None:
    assert judge_labels(load_shipped(name))["plain"].value >= FLOORS[name]


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        ("translation-en-de", "en", "de"),
        ("translation-en-de", "de", "en"),
        ("translation-en-ko", "en", "ko"),
        ("translation-en-ko", "ko", "en"),
    ],
)
def test_shipped_translators_translate_everyday_sentences(
    name: str, source: str, target: str
) -> None:
    judged = judge_translations(load_shipped(name), source, target, 2)

    assert judged is not None
    assert judged[0].value >= FLOORS[f"{source}-{target}"]
