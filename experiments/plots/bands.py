"""Curves of many runs as a band: the median with the range that most runs lie in, beside reference curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.plots.lines import COLOURS
from experiments.plots.style import INK, figure

Curves = Mapping[str, tuple[Any, Any]]


def bands(
    path: Path,
    title: str,
    panels: Sequence[tuple[str, Curves, Curves]],
    *,
    x: str = "",
    log: str = "",
) -> None:
    """Draw one panel or several beside each other.

    Args:
        path: the PNG file.
        title: above the panels.
        panels: a heading; ``{label: (x values [points], curves [runs, points])}``, each drawn as the median
            and the range of the middle 80 % of runs; ``{label: (x values, y values)}``, drawn as dots.
        x: label of the horizontal axes.
        log: the logarithmic axes: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
    """
    with figure(path, 5.6 * len(panels), 4.4) as picture:
        picture.suptitle(title)
        for axes, (heading, groups, references) in zip(
            picture.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            for index, (label, (xs, curves)) in enumerate(groups.items()):
                colour = COLOURS[index % len(COLOURS)]
                low, middle, high = np.quantile(np.asarray(curves), (0.1, 0.5, 0.9), axis=0)
                axes.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0)
                axes.plot(xs, middle, color=colour, label=label)
            for index, (label, (xs, ys)) in enumerate(references.items()):
                style = ("o", "s", "^", "D")[index % 4]
                axes.plot(xs, ys, style, color=INK, markersize=4, markerfacecolor="none", label=label)
            axes.set(title=heading, xlabel=x)
            if "x" in log:
                axes.set_xscale("log")
            if "y" in log:
                axes.set_yscale("log")
            axes.legend(fontsize=8)
