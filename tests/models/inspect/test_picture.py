from xml.etree import ElementTree

import numpy as np

from models.inspect.picture import MAX_COLUMNS, Panel, draw_panels, lay_out, mix
from models.inspect.samples import Sample

TEXT = 'say "<Yes>" & 네\nno'
NAMESPACE = "{http://www.w3.org/2000/svg}"


def test_picture_has_each_character_and_a_colour_for_each_token() -> None:
    spans = [(0, 3), (4, 11), (14, 15)]
    values = np.array([-2.0, 0.0, 2.0], np.float32)
    empty = np.zeros((3, 1), np.float32)

    drawn = draw_panels([Panel("a & b", Sample(TEXT, spans, empty, empty), values)])

    root = ElementTree.fromstring(drawn)
    texts = [each.text for each in root.iter(f"{NAMESPACE}text")]
    assert texts == ["a & b", 'say"<Yes>"&네', "no"]
    fills = [each.get("fill") for each in root.iter(f"{NAMESPACE}rect")][1:]
    assert fills == [mix(-1.0), mix(0.0), mix(1.0)]
    assert len(set(fills)) == 3
    places = root.findall(f"{NAMESPACE}text")[1].get("x", "").split()
    assert len(places) == len('say"<Yes>"&네')


def test_colours_go_from_blue_over_white_to_red() -> None:
    assert [mix(share) for share in (-1.0, 0.0, 1.0)] == ["#2166ac", "#f7f7f7", "#b2182b"]
    assert mix(-3.0) == mix(-1.0)


def test_long_lines_are_broken_and_wide_characters_take_two_places() -> None:
    places = list(lay_out("a" * MAX_COLUMNS + "b\n네c"))

    assert (places[MAX_COLUMNS].line, places[MAX_COLUMNS].column) == (1, 0)
    assert [(place.line, place.column) for place in places[-2:]] == [(2, 0), (2, 2)]
