from docs.generate.__main__ import ROOT
from docs.generate.models import SHIPPED, describe_models, describe_quality, order_search


def test_the_short_table_has_a_row_for_each_shipped_model() -> None:
    rows = describe_models(ROOT).splitlines()[2:]

    assert [row.split("`")[1] for row in rows] == list(SHIPPED)


def test_a_translator_shows_the_figure_of_every_search() -> None:
    quality = describe_quality(ROOT)

    assert "| greedy |" in quality
    assert "| beam 4 |" in quality
    assert "| translation-en-de | Multi30k test_2016_flickr | en-de | BLEU |" in quality


def test_searches_are_ordered_from_greedy_to_the_widest_beam() -> None:
    searches = ["beam 10", "beam 4", "greedy"]

    assert sorted(searches, key=order_search) == ["greedy", "beam 4", "beam 10"]


def test_both_directions_of_a_pair_share_an_arrow() -> None:
    assert "| `translation-en-ko` | translation, en ↔ ko |" in describe_models(ROOT)
