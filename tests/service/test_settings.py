import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.settings import Settings, SettingsError, load_settings, unknown_variables


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.upper().startswith(("SEQSERVE_", "OTEL_"))]:
        monkeypatch.delenv(name)


def test_defaults_serve_on_this_machine_only() -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.api_keys == ()


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQSERVE_MAX_BATCH_SIZE", "7")
    monkeypatch.setenv("SEQSERVE_MODELS_DIR", "/models")
    settings = load_settings()
    assert settings.max_batch_size == 7
    assert settings.models_dir == Path("/models")


def test_flag_wins_over_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQSERVE_PORT", "9000")
    assert load_settings({"port": "9001"}).port == 9001


def test_empty_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQSERVE_PORT", "")
    assert load_settings().port == 8000


def test_misspelt_variable_is_refused_with_the_closest_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEQSERVE_MAX_BACH_SIZE", "7")
    with pytest.raises(SettingsError, match=r"SEQSERVE_MAX_BACH_SIZE.*SEQSERVE_MAX_BATCH_SIZE"):
        load_settings()


def test_kubernetes_service_link_is_explained() -> None:
    (sentence,) = unknown_variables(["SEQSERVE_PORT_80_TCP", "PATH"])
    assert "enableServiceLinks" in sentence


def test_unknown_override_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"max_batch_siz .*max_batch_size"):
        load_settings({"max_batch_siz": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "65536"),
        ("port", "http"),
        ("device", "gpu"),
        ("device", "cuda:"),
        ("precision", "fp64"),
        ("max_batch_size", "0"),
        ("drain_seconds", "-1"),
        ("drain_seconds", "nan"),
        ("log_level", "loud"),
        ("drain_seconds", "-0.1"),
    ],
)
def test_value_out_of_bounds_is_refused_with_both_spellings(name: str, value: str) -> None:
    flag = "--" + name.replace("_", "-")
    pattern = rf"SEQSERVE_{name.upper()} \({re.escape(flag)}\) must be .*'{re.escape(value)}'"
    with pytest.raises(SettingsError, match=pattern):
        load_settings({name: value})


@pytest.mark.parametrize("device", ["auto", "cpu", "CUDA", "cuda:3"])
def test_devices_are_accepted_in_any_case(device: str) -> None:
    assert load_settings({"device": device}).device == device.lower()


@pytest.mark.parametrize(
    "overrides",
    [
        {"default_timeout_ms": 2000, "max_timeout_ms": 1000},
        {"default_beam_size": 4, "max_beam_size": 2},
    ],
)
def test_default_above_its_limit_is_refused(overrides: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="contradict each other"):
        load_settings(overrides)


def test_a_lower_limit_lowers_the_default_beam() -> None:
    assert load_settings({"max_beam_size": 2}).max_beam_size == 2


def test_every_fault_has_its_line() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"port": -1, "max_texts": 0})
    assert len(str(caught.value).splitlines()) == 2


def test_keys_are_split_and_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQSERVE_API_KEYS", " first, second,,")
    settings = load_settings()
    assert [key.get_secret_value() for key in settings.api_keys] == ["first", "second"]
    assert "first" not in repr(settings)


def test_bad_key_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"api_keys": "schlüssel"})
    assert "schl" not in str(caught.value)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


def test_every_setting_has_a_description_and_a_default() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert not any(field.is_required() for field in Settings.model_fields.values())


def test_standard_variable_of_opentelemetry_is_read_and_ours_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert load_settings().otlp_endpoint == "http://collector:4318"
    monkeypatch.setenv("SEQSERVE_OTLP_ENDPOINT", "https://ours")
    assert load_settings().otlp_endpoint == "https://ours"
    assert load_settings({"otlp_endpoint": ""}).otlp_endpoint == ""


@pytest.mark.parametrize("endpoint", ["collector:4317", "http://", "grpc://collector:4317"])
def test_endpoint_that_is_no_url_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="must be a URL like http://collector:4318"):
        load_settings({"otlp_endpoint": endpoint})


@pytest.mark.parametrize("path", ["translator", "/", "/a/", "/a b", "//a", "/a?b"])
def test_root_path_is_a_path(path: str) -> None:
    with pytest.raises(SettingsError, match="must be a path like /translator, without a slash"):
        load_settings({"root_path": path})
