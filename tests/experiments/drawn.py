"""Digits drawn with straight strokes, as a person would in a paint program."""

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

# Corners of the strokes in a square of 100 by 100.
STROKES: dict[int, list[list[tuple[int, int]]]] = {
    0: [[(50, 10), (25, 25), (20, 50), (25, 75), (50, 90), (75, 75), (80, 50), (75, 25), (50, 10)]],
    1: [[(50, 10), (50, 90)]],
    2: [[(25, 30), (35, 12), (60, 10), (75, 28), (60, 50), (25, 88), (80, 88)]],
    3: [[(25, 15), (55, 10), (72, 25), (60, 45), (42, 48), (68, 55), (75, 75), (55, 90), (25, 85)]],
    4: [[(55, 10), (20, 60), (80, 60)], [(62, 40), (60, 92)]],
    5: [[(75, 10), (32, 10), (28, 45), (60, 45), (75, 65), (60, 88), (25, 88)]],
    6: [[(65, 10), (35, 35), (25, 65), (35, 88), (62, 88), (72, 68), (55, 52), (30, 60)]],
    7: [[(22, 12), (78, 12), (45, 90)]],
    8: [[(50, 10), (30, 25), (50, 48), (72, 70), (50, 90), (28, 70), (50, 48), (70, 25), (50, 10)]],
    9: [[(72, 30), (50, 10), (30, 25), (35, 45), (60, 48), (72, 30), (68, 60), (55, 90)]],
}


def draw(
    digit: int,
    *,
    size: tuple[int, int] = (320, 300),
    pen: int = 14,
    ink: Any = "black",
    paper: Any = "white",
    mode: str = "RGB",
) -> Image.Image:
    """One digit on a sheet of ``size`` (width, height)."""
    image = Image.new(mode, size, paper)
    sheet = ImageDraw.Draw(image)
    scale = min(size) / 100
    for stroke in STROKES[digit]:
        sheet.line([(x * scale, y * scale) for x, y in stroke], fill=ink, width=pen, joint="curve")
    return image


def save(image: Image.Image, path: Path) -> Path:
    """Write an image and give its path back."""
    image.save(path)
    return path
