"""Lines over a common axis: functions, losses by step, sweeps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.plots.style import figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1b1f24", "#8c6d31")
DASHES = ("-", "--", "-.", ":")


def lines(
    path: Path,
    title: str,
    panels: Sequence[tuple[str, Mapping[str, tuple[Any, Any]]]],
    *,
    x: str = "",
    y: str = "",
    log: str = "",
    width: float | None = None,
) -> None:
    """Draw one panel or several beside each other.

    Args:
        path: the PNG file.
        title: above the panels.
        panels: pairs of a heading and ``{label: (x values, y values)}``.
        x: label of the horizontal axes.
        y: label of the vertical axis of the first panel.
        log: the logarithmic axes: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
        width: inches; 5 for each panel when left out.
    """
    with figure(path, width or max(6.0, 5.0 * len(panels)), 4.4) as picture:
        picture.suptitle(title)
        for number, (axes, (heading, series)) in enumerate(
            zip(picture.subplots(1, len(panels), squeeze=False)[0], panels, strict=True)
        ):
            for index, (label, (xs, ys)) in enumerate(series.items()):
                style = DASHES[index // len(COLOURS) % len(DASHES)]
                axes.plot(xs, ys, style, color=COLOURS[index % len(COLOURS)], label=label)
            axes.set(title=heading, xlabel=x, ylabel=y if number == 0 else "")
            if "x" in log:
                axes.set_xscale("log")
            if "y" in log:
                axes.set_yscale("log")
            if len(series) > 4:  # beside the panel: within it, so many names would hide lines
                axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
            elif len(series) > 1 or any(series):
                axes.legend(fontsize=8)
