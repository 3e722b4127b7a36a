from collections.abc import Callable

import pytest

from export.card import BROUGHT, CARD, render_card, render_table
from service.repository.manifest import Manifest, Quality, Source, read_manifest
from tests.export.conftest import FolderMaker

FIGURE = Quality(
    data="tatoeba test",
    metric="chrf",
    value=43.219,
    precision="int8",
    signature="nrefs:1|case:mixed|version:2.6.0",
    pair="en-ko",
    decoding="beam 4",
)
Changer = Callable[..., Manifest]


@pytest.fixture
def change(tiny_version: FolderMaker) -> Changer:
    manifest = read_manifest(tiny_version("translation", "lstm"))
    return lambda **fields: manifest.model_copy(update=fields)


def test_the_card_lies_beside_the_manifest(tiny_version: FolderMaker) -> None:
    folder = tiny_version("sentiment", "gru")
    card = (folder / CARD).read_text(encoding="utf-8")
    assert card == render_card(read_manifest(folder))
    assert "Labels: negative, positive." in card


def test_licence_and_commercial_use_are_said(change: Changer) -> None:
    card = render_card(change())
    assert "**Commercial use of the weights: yes**" in card
    assert "| tatoeba | CC BY 2.0 FR | yes | 1 |" in card


def test_one_source_without_commercial_use_decides(change: Changer) -> None:
    closed = Source(name="kss", licence="CC BY-NC-SA 4.0", commercial_use=False)
    assert "**Commercial use of the weights: no**" in render_card(change(sources=(closed,)))


def test_a_source_for_evaluation_decides_nothing(change: Changer) -> None:
    open_set = Source(name="a", licence="CC0-1.0", commercial_use=True)
    test_set = Source(name="b", licence="none", commercial_use=False, weight=0)
    card = render_card(change(sources=(open_set, test_set)))
    assert "**Commercial use of the weights: yes**" in card
    assert "| b | none | no | evaluation only |" in card


def test_figures_are_said_with_their_signatures(change: Changer) -> None:
    card = render_card(change(quality=(FIGURE,)))
    assert "| tatoeba test | en-ko | beam 4 | chrf | 43.22 | int8 |" in card
    assert r"`nrefs:1\|case:mixed\|version:2.6.0`" in card


def test_a_model_that_was_not_measured_says_so(change: Changer) -> None:
    assert "Not measured." in render_card(change(quality=()))


def test_parity_is_said_for_each_precision(change: Changer) -> None:
    card = render_card(change())
    assert "| int8 | cpu | 1, 2, 7, 32 |" in card
    assert "At most 64 tokens a sentence." in card


def test_nothing_is_claimed_of_a_model_from_elsewhere(change: Changer) -> None:
    card = render_card(change(parity=(), tools={}))
    assert BROUGHT in card
    assert not any(heading in card for heading in ("## Parity", "## Data", "## Made with"))


def test_a_table_keeps_its_columns() -> None:
    lines = render_table(("a", "b"), [("1|2", "3")]).splitlines()
    assert lines == ["| a | b |", "| --- | --- |", r"| 1\|2 | 3 |"]
