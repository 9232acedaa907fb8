"""A small network: values and errors at its units, gradients on its weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.plots.style import INK, QUIET, TEST, TRAIN, figure


def network(
    path: Path,
    title: str,
    values: Sequence[Any],
    deltas: Sequence[Any],
    gradients: Sequence[Any],
    headings: Sequence[str],
) -> None:
    """Draw units in columns; above each its value, below it its error; lines as thick as gradients are big.

    Args:
        path: the PNG file.
        title: above the picture.
        values: of the units, column by column, ``[units]`` each; the input first.
        deltas: gradient of the cost with respect to each unit's weighted input, or to the input.
        gradients: of the kernels between columns ``[units before, units]``; blue lines are positive.
        headings: of the columns.
    """
    tallest = max(len(column) for column in values)
    largest = max(np.abs(gradient).max() for gradient in gradients)
    with figure(path, 2.6 * len(values) + 1, 0.85 * tallest + 1.2) as picture:
        picture.suptitle(title)
        axes = picture.subplots()
        axes.set_axis_off()
        axes.set(xlim=(-0.5, len(values) - 0.5), ylim=(-tallest / 2 - 0.3, tallest / 2 + 0.6))
        heights = [np.arange(len(column))[::-1] - (len(column) - 1) / 2 for column in values]
        for column, gradient in enumerate(gradients):
            for (i, j), slope in np.ndenumerate(np.asarray(gradient)):
                width = 0.3 + 4 * abs(slope) / largest
                ends = [heights[column][i], heights[column + 1][j]]
                colour = TRAIN if slope > 0 else TEST
                axes.plot([column, column + 1], ends, color=colour, linewidth=width, alpha=0.35, zorder=1)
        for column, heading in enumerate(headings):
            axes.text(column, tallest / 2 + 0.3, heading, ha="center", fontweight="bold", color=INK)
            for height, value, delta in zip(heights[column], values[column], deltas[column], strict=True):
                axes.plot(
                    [column], [height], "o", markersize=9, color="white", markeredgecolor=QUIET, zorder=2
                )
                box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
                axes.text(
                    column, height + 0.16, f"{value:.4g}", ha="center", color=TRAIN, fontsize=9, bbox=box
                )
                axes.text(
                    column,
                    height - 0.19,
                    f"{delta:.3g}",
                    ha="center",
                    va="top",
                    color=TEST,
                    fontsize=9,
                    bbox=box,
                )
