"""Matrices beside each other, with their numbers: what layers make of a few examples, weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.plots.style import INK, figure


def matrices(
    path: Path,
    title: str,
    panels: Mapping[str, np.ndarray],
    rows: Sequence[str] = (),
    columns: Mapping[str, Sequence[str]] | None = None,
    *,
    digits: int = 2,
) -> None:
    """Draw each matrix on one common colour scale, symmetric about 0, its numbers in the cells.

    Args:
        path: the PNG file.
        title: above the panels.
        panels: by heading, matrices with equally many rows ``[rows, columns]``.
        rows: labels of the rows, at the left of the first panel.
        columns: labels of the columns, for the panels that have any.
        digits: after the decimal point.
    """
    limit = max(float(np.abs(values).max()) for values in panels.values())
    widths = [max(2, values.shape[1]) for values in panels.values()]
    height = max(len(values) for values in panels.values())
    with figure(path, 0.52 * sum(widths) + 0.5 * len(widths) + 1.6, 0.42 * height + 1.6) as picture:
        picture.suptitle(title)
        grid = picture.subplots(1, len(panels), width_ratios=widths, squeeze=False)[0]
        for number, (axes, (heading, values)) in enumerate(zip(grid, panels.items(), strict=True)):
            axes.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
            for (row, column), value in np.ndenumerate(values):
                colour = "white" if abs(value) > 0.6 * limit else INK
                text = f"{value:.0f}" if float(value).is_integer() else f"{value:.{digits}f}"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
            axes.set_title(heading, fontsize=10)
            named = (columns or {}).get(heading, ())
            axes.set_xticks(range(len(named)), named, rotation=60, ha="right", fontsize=8)
            labelled = rows if number == 0 else ()
            axes.set_yticks(range(len(labelled)), labelled, fontsize=8)
            axes.tick_params(length=0)
            axes.grid(visible=False)
            axes.spines[:].set_visible(False)
