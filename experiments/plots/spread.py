"""Curves of several seeds: each of them thin, their mean thick."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.plots.style import INK, TRAIN, figure


def spread(
    path: Path,
    title: str,
    panels: Mapping[str, tuple[Any, Any]],
    *,
    x: str = "",
    levels: Mapping[str, tuple[float, str]] | None = None,
) -> None:
    """Draw one panel or several beside each other.

    Args:
        path: the PNG file.
        title: above the panels.
        panels: by heading, the values of the horizontal axis ``[points]`` and the curves ``[seeds, points]``.
        x: label of the horizontal axes.
        levels: by heading, a value that the curves are to be compared with, and its label.
    """
    with figure(path, 5.2 * len(panels), 4.0) as picture:
        picture.suptitle(title)
        for axes, (heading, (xs, curves)) in zip(
            picture.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            curves = np.asarray(curves)
            for number, curve in enumerate(curves):
                label = f"each of {len(curves)} seeds" if number == 0 else None
                axes.plot(xs, curve, color=TRAIN, alpha=0.35, linewidth=1, label=label)
            axes.plot(xs, curves.mean(0), color=INK, label="mean over seeds")
            if levels and heading in levels:
                level, label = levels[heading]
                axes.axhline(level, color=INK, linestyle=":", linewidth=1.2, label=label)
            axes.set(title=heading, xlabel=x)
            axes.legend(fontsize=8)
