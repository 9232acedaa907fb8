"""Forecasts beside what happened, with the band that most of it should lie in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.plots.style import INK, TRAIN, figure


@dataclass(frozen=True)
class Panel:
    """One series.

    Attributes:
        title: above the panel. unit: of the values.
        labels: the date of each step ``[n]``.
        truth: what happened ``[n]``. forecast: what was foretold ``[n]``.
        low: lower end of the band ``[n]``. high: upper end.
    """

    title: str
    unit: str
    labels: Sequence[str]
    truth: np.ndarray
    forecast: np.ndarray
    low: np.ndarray
    high: np.ndarray


def forecasts(path: Path, title: str, panels: Sequence[Panel], band: str) -> None:
    """Draw a panel for each series, below each other.

    Args:
        path: the PNG file.
        title: above the panels.
        panels: the series.
        band: what the band is, for the legend.
    """
    with figure(path, 10, 2.7 * len(panels) + 0.8) as picture:
        picture.suptitle(title)
        for axes, panel in zip(picture.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
            steps = np.arange(len(panel.truth))
            axes.fill_between(steps, panel.low, panel.high, color=TRAIN, alpha=0.2, linewidth=0, label=band)
            axes.plot(steps, panel.forecast, color=TRAIN, linewidth=1.4, label="forecast")
            axes.plot(steps, panel.truth, ".", color=INK, markersize=3.5, label="what happened")
            marks = np.linspace(0, len(steps) - 1, min(7, len(steps))).astype(int)
            axes.set_xticks(marks, [panel.labels[mark] for mark in marks])
            axes.set(title=panel.title, ylabel=panel.unit)
            # Beside the panel, where it hides nothing.
            axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
