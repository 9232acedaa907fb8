"""Loss surfaces of two parameters with the paths that descents take on them, still and moving."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.plots.animation import animate
from experiments.plots.grid import Grid
from experiments.plots.style import INK, figure

CONTOURS = 30
PATHS = ("#d55e00", "#009e73", "#cc79a7", "#e69f00", INK, "#8c6d31")


def surface(
    path: Path,
    title: str,
    grid: Grid,
    heights: Any,
    paths: Mapping[str, Any],
    *,
    x: str,
    y: str,
    losses: Mapping[str, Any] | None = None,
    height: str = "loss",
) -> None:
    """Draw a loss as colour and contour lines, and paths over it.

    Args:
        path: the PNG file.
        title: above the picture.
        grid: where the loss was computed.
        heights: the loss there ``[rows, columns]``, not negative; the colours are logarithmic.
        paths: by label, the points of a descent ``[steps, 2]``, its start first.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        losses: by label, the loss at each of those points ``[steps]``, for a panel beside the surface.
        height: what the colours and the panel's vertical axis show.
    """
    with figure(path, 11 if losses else 6.4, 4.8) as picture:
        _prepare(picture, title, grid, heights, paths, losses, x, y, height)(-1)


def animated_surface(
    path: Path,
    title: str,
    grid: Grid,
    heights: Any,
    paths: Mapping[str, Any],
    *,
    x: str,
    y: str,
    losses: Mapping[str, Any] | None = None,
    height: str = "loss",
    frames: int = 40,
    seconds: float = 6.0,
) -> None:
    """Draw the same with paths that grow, as a GIF of at most ``frames`` pictures that takes ``seconds``."""
    longest = max(len(points) for points in paths.values())
    steps = np.unique(np.linspace(0, longest - 1, min(frames, longest)).round().astype(int))

    def prepare(picture: Any) -> Callable[[int], None]:
        draw = _prepare(picture, title, grid, heights, paths, losses, x, y, height)
        for line in (line for axes in picture.axes for line in axes.lines):
            line.set_animated(True)
        return lambda frame: draw(int(steps[frame]))

    animate(path, len(steps), prepare, width=10 if losses else 6.0, height=4.4, seconds=seconds)


def _prepare(
    picture: Any,
    title: str,
    grid: Grid,
    heights: Any,
    paths: Mapping[str, Any],
    losses: Mapping[str, Any] | None,
    x: str,
    y: str,
    height: str,
) -> Callable[[int], None]:
    """Draw what stays; return ``draw(step)``, which draws the paths up to a step, or whole for -1."""
    picture.suptitle(title)
    axes, *beside = picture.subplots(1, 2 if losses else 1, squeeze=False)[0]
    _colours(picture, axes, grid, np.asarray(heights, np.float64), height)
    axes.set(xlabel=x, ylabel=y, xlim=grid.x, ylim=grid.y)
    axes.grid(visible=False)
    styles = dict(zip(paths, (PATHS[i % len(PATHS)] for i in range(len(paths))), strict=True))
    moving = []
    for label, points in paths.items():
        points = np.asarray(points)
        few: dict[str, Any] = {"marker": "o", "markersize": 3} if len(points) <= 120 else {}
        (line,) = axes.plot([], [], color=styles[label], linewidth=1.5, label=label, **few)
        (head,) = axes.plot([], [], "o", color=styles[label], markersize=7, markeredgecolor="white")
        moving += [(line, points[:, 0], points[:, 1]), (head, points[:, 0], points[:, 1])]
    axes.legend(loc="best", fontsize=8, frameon=True, framealpha=0.85)
    for panel in beside:
        for label, values in (losses or {}).items():
            values = np.asarray(values)
            (line,) = panel.plot([], [], color=styles[label], label=label)
            moving.append((line, np.arange(len(values)), values))
        drawn = np.concatenate([np.asarray(values, np.float64) for values in (losses or {}).values()])
        positive = drawn[np.isfinite(drawn) & (drawn > 0)]
        panel.set(xlabel="step", yscale="log", title=f"{height} by step")
        panel.set_xlim(0, max(max(len(values) for values in (losses or {}).values()) - 1, 1))
        panel.set_ylim(max(positive.min(), 1e-14) / 1.5, positive.max() * 1.5)
        panel.legend(fontsize=8)

    def draw(step: int) -> None:
        for line, xs, ys in moving:
            end = len(xs) if step < 0 else min(step + 1, len(xs))
            start = end - 1 if line.get_linestyle() == "None" else 0
            line.set_data(xs[start:end], ys[start:end])

    return draw


def _colours(picture: Any, axes: Any, grid: Grid, heights: np.ndarray, label: str) -> None:
    """Filled contours on a logarithmic scale, lines between them, and the bar that explains them."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator

    low = max(heights[heights > 0].min(), heights.max() * 1e-5)
    levels = np.geomspace(low, heights.max(), CONTOURS)
    norm = LogNorm(low, heights.max())
    clipped = np.clip(heights, low, None)
    filled = axes.contourf(grid.columns, grid.rows, clipped, levels, cmap="Blues", norm=norm, extend="both")
    axes.contour(grid.columns, grid.rows, clipped, levels, colors="white", linewidths=0.4)
    picture.colorbar(filled, ax=axes, label=label, ticks=LogLocator())
