"""Histograms of one number over many runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.plots.lines import COLOURS
from experiments.plots.style import INK, figure


def histogram(
    path: Path,
    title: str,
    groups: Mapping[str, Any],
    *,
    x: str = "",
    y: str = "",
    mark: tuple[str, float] | None = None,
) -> None:
    """Draw the counts of each group over common bins, one colour a group.

    Args:
        path: the PNG file.
        title: above the panel.
        groups: by label, the numbers ``[runs]``.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        mark: label and place of a vertical line.
    """
    values = [np.asarray(group, float) for group in groups.values()]
    low, high = min(map(np.min, values)), max(map(np.max, values))
    whole = all(np.equal(np.mod(group, 1), 0).all() for group in values)
    bins = np.arange(low - 0.5, high + 1.5) if whole and high - low <= 200 else np.linspace(low, high, 40)
    with figure(path, 7.5, 4.2) as picture:
        axes = picture.subplots()
        for index, (label, group) in enumerate(zip(groups, values, strict=True)):
            colour = COLOURS[index % len(COLOURS)]
            median = f"{label}: median {np.median(group):.4g}"
            axes.hist(group, bins=bins, color=colour, alpha=0.55, label=median)
        if mark is not None:
            axes.axvline(mark[1], color=INK, linestyle="--", linewidth=1.2, label=mark[0])
        axes.set(title=title, xlabel=x, ylabel=y)
        axes.legend(fontsize=9, loc="upper left")
