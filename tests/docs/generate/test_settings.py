from docs.generate.settings import HEADINGS, describe_settings
from service.settings import ENV_PREFIX, Settings


def test_every_setting_has_one_row_with_variable_and_flag() -> None:
    rows = [line for line in describe_settings().splitlines() if line.startswith("| `")]

    assert [row.split("`")[1] for row in rows] == [
        ENV_PREFIX + name.upper() for name in Settings.model_fields
    ]
    assert all("`--" in row for row in rows)


def test_every_heading_opens_with_a_setting_that_exists() -> None:
    assert HEADINGS.keys() <= Settings.model_fields.keys()
