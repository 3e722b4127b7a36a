from collections.abc import Callable

import pytest

from models.card import BROUGHT, CARD, render_card, render_table
from service.repository.manifest import Manifest, Quality, ScoreFit, Source, read_manifest
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


def test_card_is_written_beside_the_manifest(tiny_version: FolderMaker) -> None:
    folder = tiny_version("classification", "gru")
    card = (folder / CARD).read_text(encoding="utf-8")
    assert card == render_card(read_manifest(folder))
    assert "Labels: negative, positive." in card


def test_card_states_licence_and_commercial_use(change: Changer) -> None:
    card = render_card(change())
    assert "**Commercial use of the weights: yes**" in card
    assert "| tatoeba | CC BY 2.0 FR | yes | 1 |" in card


def test_one_non_commercial_source_is_enough_to_forbid_commercial_use(change: Changer) -> None:
    closed = Source(name="kss", licence="CC BY-NC-SA 4.0", commercial_use=False)
    assert "**Commercial use of the weights: no**" in render_card(change(sources=(closed,)))


def test_evaluation_source_does_not_affect_commercial_use(change: Changer) -> None:
    open_set = Source(name="a", licence="CC0-1.0", commercial_use=True)
    test_set = Source(name="b", licence="none", commercial_use=False, weight=0)
    card = render_card(change(sources=(open_set, test_set)))
    assert "**Commercial use of the weights: yes**" in card
    assert "| b | none | no | evaluation only |" in card


def test_figures_have_their_signatures(change: Changer) -> None:
    card = render_card(change(quality=(FIGURE,)))
    assert "| tatoeba test | en-ko | beam 4 | chrf | 43.22 | int8 |" in card
    assert r"`nrefs:1\|case:mixed\|version:2.6.0`" in card


def test_card_says_if_a_model_was_not_measured(change: Changer) -> None:
    assert "Not measured." in render_card(change(quality=()))


def test_card_states_parity_per_precision(change: Changer) -> None:
    card = render_card(change())
    assert "| int8 | cpu | 1, 2, 7, 32 |" in card
    assert "At most 64 tokens per sentence." in card


def test_card_of_a_wrapped_model_makes_no_claims(change: Changer) -> None:
    card = render_card(change(parity=(), tools={}))
    assert BROUGHT in card
    assert not any(heading in card for heading in ("## Parity", "## Data", "## Made with"))


def test_table_keeps_its_columns() -> None:
    lines = render_table(("a", "b"), [("1|2", "3")]).splitlines()
    assert lines == ["| a | b |", "| --- | --- |", r"| 1\|2 | 3 |"]


def test_card_says_how_scores_are_made(change: Changer) -> None:
    fit = ScoreFit(
        pair="en-ko",
        slope=3.5,
        intercept=2.0,
        data="validation rows of tatoeba",
        num_sentences=400,
        threshold=30,
        auc=0.876,
    )
    card = render_card(change(score_fits=(fit,)))
    assert "fitted to validation rows of tatoeba." in card
    assert "| en-ko | 1 / (1 + exp(-(3.5 x + 2))) | 30 | 400 | 0.88 |" in card
