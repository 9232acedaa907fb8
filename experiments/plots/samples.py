"""Many small pictures side by side, as they are and as they came about."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.plots.animation import animate
from experiments.plots.style import figure


def sheet(pictures: np.ndarray, margin: int = 2) -> np.ndarray:
    """Lay ``[n, height, width]`` out in a square of rows and columns, with a margin of paper between them."""
    side = int(np.ceil(np.sqrt(len(pictures))))
    height, width = (size + margin for size in pictures.shape[1:])
    laid = np.zeros((side * height + margin, side * width + margin), pictures.dtype)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, side)
        top, left = row * height + margin, column * width + margin
        laid[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return laid


def samples(path: Path, title: str, pictures: np.ndarray) -> None:
    """Draw ``[n, height, width]``, ink 1 and paper 0, as a PNG."""
    with figure(path, 5.6, 6.0) as drawn:
        axes = drawn.subplots()
        axes.axis("off")
        axes.imshow(sheet(pictures), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(title)


def animated_samples(path: Path, pictures: np.ndarray, titles: Sequence[str], seconds: float = 6.0) -> None:
    """Draw ``[frames, n, height, width]`` as a GIF, with a title for each frame."""

    def prepare(drawn: Any) -> Any:
        axes = drawn.subplots()
        axes.axis("off")
        image = axes.imshow(sheet(pictures[0]), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")

        def draw(frame: int) -> None:
            image.set_data(sheet(pictures[frame]))
            axes.set_title(titles[frame])

        return draw

    animate(path, len(pictures), prepare, width=4.8, height=5.1, seconds=seconds)
