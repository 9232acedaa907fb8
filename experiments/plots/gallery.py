"""Rows of pictures with a label before each row: originals above what a network makes of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.plots.style import INK, figure

GAP = 4  # pixels between pictures


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
    height, width = next(iter(rows.values())).shape[1:]
    count = max(len(pictures) for pictures in rows.values())
    # One picture of all: as many axes as pictures would take a hundred times as long.
    sheet = np.zeros((len(rows) * (height + GAP) - GAP, count * (width + GAP) - GAP), np.float32)
    for row, pictures in enumerate(rows.values()):
        for column, one in enumerate(pictures):
            top, left = row * (height + GAP), column * (width + GAP)
            sheet[top : top + height, left : left + width] = one
    longest = max(map(len, rows))
    with figure(path, scale * count + 0.085 * longest + 0.3, scale * 1.06 * len(rows) + 0.7) as picture:
        picture.suptitle(title)
        axes = picture.subplots()
        axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=1)
        middles = [(height + GAP) * row + height / 2 for row in range(len(rows))]
        axes.set_yticks(middles, list(rows), fontsize=9, color=INK)
        centres = [(width + GAP) * column + width / 2 for column in range(len(columns))]
        axes.set_xticks(centres, list(columns), fontsize=9, color=INK)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
