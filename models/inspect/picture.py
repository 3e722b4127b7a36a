"""Draws a text in the colours of some units: SVG, blue for low values, red for high ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from models.inspect.samples import Sample
from service.arrays import FloatArray

# Of a character of the type, in pixels; East Asian characters take two places.
WIDTH, HEIGHT, SIZE = 8.4, 20.0, 14
MAX_COLUMNS, MARGIN, TITLE_HEIGHT = 88, 12.0, 28.0
BLUE, WHITE, RED = (33, 102, 172), (247, 247, 247), (178, 24, 43)
INK, FONT = "#1b2624", "ui-monospace, 'DejaVu Sans Mono', 'Noto Sans Mono CJK KR', monospace"
WIDE = "\u1100"


@dataclass(frozen=True)
class Panel:
    """A text in the colours of one unit.

    Attributes:
        values: (T) of the unit after each token.
    """

    title: str
    sample: Sample
    values: FloatArray


@dataclass(frozen=True)
class Place:
    """Where a character stands, in columns and lines."""

    column: int
    line: int
    width: int


def draw_panels(panels: Sequence[Panel]) -> str:
    """The SVG of all panels, one above the other."""
    parts = []
    top = MARGIN
    for panel in panels:
        drawn, height = draw_panel(panel, top)
        parts += drawn
        top += height + MARGIN
    width = 2 * MARGIN + MAX_COLUMNS * WIDTH
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {top:g}" '
        f'width="{width:g}" height="{top:g}" font-family="{FONT}" font-size="{SIZE}" '
        f'fill="{INK}">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>\n"])


def draw_panel(panel: Panel, top: float) -> tuple[list[str], float]:
    """A title and the coloured text below it, and their height."""
    places = list(lay_out(panel.sample.text))
    scale = float(np.abs(panel.values).max()) or 1.0
    parts = [
        f'<text x="{MARGIN:g}" y="{top + SIZE:g}" font-weight="bold">{escape(panel.title)}</text>'
    ]
    first = top + TITLE_HEIGHT
    for (start, end), value in zip(panel.sample.spans, panel.values, strict=True):
        colour = mix(float(value) / scale)
        parts += [
            f'<rect x="{MARGIN + column * WIDTH:g}" y="{first + line * HEIGHT:g}" '
            f'width="{width * WIDTH:g}" height="{HEIGHT - 2:g}" fill="{colour}"/>'
            for column, line, width in group(places[start:end])
        ]
    lines: dict[int, list[tuple[Place, str]]] = {}
    for place, character in zip(places, panel.sample.text, strict=True):
        if not character.isspace():
            lines.setdefault(place.line, []).append((place, character))
    for line, found in lines.items():
        # a place for each character: the widths of the reader's type may be others
        xs = " ".join(f"{MARGIN + place.column * WIDTH:g}" for place, _ in found)
        text = escape("".join(character for _, character in found))
        parts.append(f'<text x="{xs}" y="{first + line * HEIGHT + SIZE:g}">{text}</text>')
    num_lines = places[-1].line + 1 if places else 0
    return parts, TITLE_HEIGHT + num_lines * HEIGHT


def lay_out(text: str) -> Iterator[Place]:
    """Where each character stands; long lines are broken."""
    column = line = 0
    for character in text:
        width = 2 if character >= WIDE else 1
        if column + width > MAX_COLUMNS:
            column, line = 0, line + 1
        if character == "\n":
            yield Place(column, line, 1)
            column, line = 0, line + 1
        else:
            yield Place(column, line, width)
            column += width


def group(places: Sequence[Place]) -> Iterator[tuple[int, int, int]]:
    """First column, line and width of the parts of a token on each line."""
    by_line: dict[int, list[Place]] = {}
    for place in places:
        by_line.setdefault(place.line, []).append(place)
    for line, found in by_line.items():
        yield found[0].column, line, sum(place.width for place in found)


def mix(share: float) -> str:
    """The colour of -1 (blue) to 1 (red)."""
    end = RED if share > 0 else BLUE
    weight = min(abs(share), 1.0)
    channels = (
        round(white + weight * (colour - white)) for white, colour in zip(WHITE, end, strict=True)
    )
    return "#" + "".join(f"{channel:02x}" for channel in channels)
