import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from models.config import ModelConfig, RunConfig, dump_config, parse_config, read_config

CONFIGS = sorted((Path(__file__).parents[2] / "models" / "configs").glob("*.toml"))

SENTIMENT: dict[str, Any] = {
    "name": "films",
    "task": "classification",
    "languages": ["ko"],
    "labels": ["negative", "positive"],
    "sources": [{"path": "nsmc", "licence": "CC0-1.0", "commercial_use": True}],
}
TRANSLATION = SENTIMENT | {"task": "translation", "languages": ["en", "ko"], "labels": []}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configuration_is_valid_and_named_like_its_file(path: Path) -> None:
    assert read_config(path).name == path.stem


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_survives_being_saved(path: Path) -> None:
    config = read_config(path)

    assert parse_config(dump_config(config)) == config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_base_exists_and_has_the_same_network_or_a_shallower_one(path: Path) -> None:
    config = read_config(path)
    if not config.base:
        return
    base = read_config(path.parent / config.base)
    regularised: dict[str, float] = {"dropout": 0.0, "word_dropout": 0.0}
    if config.new_vocabulary:
        regularised["vocab_size"] = config.model.vocab_size
    if config.model.residual:
        assert base.model.encoder_layers <= config.model.encoder_layers
        regularised |= {"encoder_layers": config.model.encoder_layers, "residual": True}
    sizes = [
        dataclasses.replace(each.model, **regularised)  # type: ignore[arg-type]
        for each in (base, config)
    ]
    assert sizes[0] == sizes[1]
    assert (base.languages, base.labels) == (config.languages, config.labels)


def test_configuration_with_a_base_has_no_pretraining() -> None:
    with pytest.raises(ValueError, match="configure it in the base"):
        parse_config(SENTIMENT | {"base": "first.toml", "pretraining": {"epochs": 1}})


def test_defaults_fill_omitted_fields() -> None:
    config = parse_config(SENTIMENT)

    assert config.model == ModelConfig()
    assert config.sources[0].valid == "valid"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"nmae": "films"}, "nmae"),
        ({"model": {"cel": "gru"}}, "cel"),
        ({"model": {"cell": "transformer"}}, "cell"),
        ({"model": {"dropout": 1.0}}, "dropout"),
        ({"model": {"encoder_layers": 0}}, "encoder_layers"),
        ({"training": {"epochs": 0}}, "epochs"),
        ({"training": {"learning_rate": math.nan}}, "learning_rate"),
        ({"training": {"learning_rate": "fast"}}, "learning_rate"),
        ({"task": "summary"}, "task"),
        ({"sources": []}, "sources"),
        ({"sources": [{"path": "nsmc", "commercial_use": True}]}, "licence"),
        ({"name": "my films"}, "name"),
        ({"languages": ["Korean"]}, "languages"),
        ({"languages": []}, "languages"),
        ({"labels": []}, "labels"),
        ({"labels": ["good"]}, "labels"),
        ({"labels": ["good", "good"]}, "labels"),
    ],
)
def test_invalid_field_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=rf"invalid configuration[\s\S]*{named}"):
        parse_config(SENTIMENT | change)


def test_rows_are_held_out_only_without_a_validation_split() -> None:
    source = SENTIMENT["sources"][0] | {"holdout": 50}

    with pytest.raises(ValueError, match="nsmc has a validation split"):
        parse_config(SENTIMENT | {"sources": [source]})
    assert parse_config(SENTIMENT | {"sources": [source | {"valid": ""}]}).sources[0].has_valid


def test_translation_has_no_pretraining() -> None:
    with pytest.raises(ValueError, match="pretraining"):
        parse_config(TRANSLATION | {"pretraining": {}})


@pytest.mark.parametrize("languages", [["en"], ["en", "en"], ["en", "de", "ko"]])
def test_translation_needs_two_different_languages(languages: list[str]) -> None:
    with pytest.raises(ValueError, match="languages"):
        parse_config(TRANSLATION | {"languages": languages})


def test_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match="name"):
        parse_config({field: value for field, value in SENTIMENT.items() if field != "name"})


def test_broken_toml_is_a_value_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("name = ", encoding="utf-8")

    with pytest.raises(ValueError, match=r"broken\.toml"):
        read_config(path)


def test_pair_is_served_both_ways() -> None:
    assert parse_config(TRANSLATION).pairs == (("en", "ko"), ("ko", "en"))


def test_configuration_cannot_be_changed_in_place() -> None:
    config: RunConfig = parse_config(SENTIMENT)

    with pytest.raises(dataclasses.FrozenInstanceError):
        config.name = "other"  # type: ignore[misc]
