"""Rows of pictures with a label before each row: originals above what a network makes of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.plots.style import figure


def gallery(
    path: Path, title: str, rows: Mapping[str, np.ndarray], columns: tuple[str, ...] = (), scale: float = 0.8
) -> None:
    """Draw one row of pictures below the other.

    Args:
        path: the PNG file.
        title: above the pictures.
        rows: by label, pictures ``[pictures, height, width]``, ink 1 and paper 0; equally many in each row.
        columns: labels above the pictures.
        scale: inches of a picture.
    """
    count = max(len(pictures) for pictures in rows.values())
    longest = max(map(len, rows))
    with figure(path, scale * count + 0.085 * longest + 0.3, scale * 1.06 * len(rows) + 0.7) as picture:
        picture.suptitle(title)
        grid = picture.subplots(len(rows), count, squeeze=False)
        for line, (label, pictures) in zip(grid, rows.items(), strict=True):
            for axes, one in zip(line, pictures, strict=True):
                axes.imshow(one, cmap="gray_r", vmin=0, vmax=1)
                axes.set(xticks=[], yticks=[])
                axes.grid(visible=False)
                axes.spines[:].set_visible(False)
            line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
        for axes, label in zip(grid[0], columns, strict=False):
            axes.set_title(label, fontsize=9, fontweight="normal")
