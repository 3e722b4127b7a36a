from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from models.pictures import NUM_COLORS, save_picture


def test_a_picture_has_few_colours_and_keeps_those_of_its_lines(tmp_path: Path) -> None:
    figure = Figure(figsize=(4, 2))
    figure.subplots().plot([0, 1, 0], color="red", linewidth=5)

    save_picture(figure, tmp_path / "lines.png", dpi=50)

    picture = Image.open(tmp_path / "lines.png")
    colors = [color for _, color in picture.convert("RGB").getcolors() or []]
    assert picture.size == (200, 100)
    assert len(colors) <= NUM_COLORS
    assert {(255, 255, 255), (255, 0, 0)} <= set(colors)
