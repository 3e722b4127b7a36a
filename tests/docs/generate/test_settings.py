import pytest

from docs.generate.settings import HEADINGS, describe_settings, describe_values
from service.settings import ENV_PREFIX, Settings


def test_every_setting_has_one_row() -> None:
    rows = [line for line in describe_settings().splitlines() if line.startswith("| `")]

    assert [row.split("`")[1] for row in rows] == [
        ENV_PREFIX + name.upper() for name in Settings.model_fields
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("port", "0 to 65,535"),
        ("log_format", "`text`, `json`"),
        ("models_dir", "path"),
        ("device", "as described"),
        ("otlp_endpoint", "URL"),
        ("host", "text"),
    ],
)
def test_allowed_values_come_from_the_field(name: str, shown: str) -> None:
    assert describe_values(Settings.model_json_schema()["properties"][name]) == shown


def test_every_heading_opens_with_a_setting_that_exists() -> None:
    assert HEADINGS.keys() <= Settings.model_fields.keys()
