"""Maps of what a classifier of points in the plane says, with the points over them, still and moving."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.plots.animation import animate
from experiments.plots.grid import Grid
from experiments.plots.style import INK, TEST, TRAIN, figure

LEVELS = np.linspace(0, 1, 21)
MOST_POINTS = 400


@dataclass(frozen=True)
class DecisionMap:
    """One map.

    Attributes:
        heading: above it.
        grid: where the classifier was asked.
        probability: of class 1 there ``[rows, columns]``.
        points: examples ``[n, 2]``; at most the first 400 are drawn.
        labels: their classes, 0 or 1 ``[n]``.
    """

    heading: str
    grid: Grid
    probability: Any
    points: Any
    labels: Any


def decision_maps(path: Path, title: str, maps: Sequence[DecisionMap], *, columns: int = 4) -> None:
    """Draw maps beside and below each other; black is the line where both classes are equally probable.

    Args:
        path: the PNG file.
        title: above all.
        maps: what to draw, row by row.
        columns: most maps in a row.
    """
    columns = min(columns, len(maps))
    rows = -(-len(maps) // columns)
    with figure(path, 3.5 * columns + 0.8, 3.4 * rows + 0.5) as picture:
        picture.suptitle(title)
        every = picture.subplots(rows, columns, squeeze=False)
        for axes in every.flat[len(maps) :]:
            axes.set_axis_off()
        filled = None
        for axes, one in zip(every.flat, maps, strict=False):
            filled, _ = _map(axes, one.grid, np.asarray(one.probability))
            _scatter(axes, one.points, one.labels)
            axes.set(title=one.heading, xlabel="x", ylabel="y", xlim=one.grid.x, ylim=one.grid.y)
        _bar(picture, filled, every)


def animated_decision_map(
    path: Path,
    title: str,
    grid: Grid,
    probabilities: Any,
    points: Any,
    labels: Any,
    *,
    steps: Any,
    curve: Any,
    x: str = "step",
    y: str = "accuracy",
    seconds: float = 5.0,
) -> None:
    """Draw how a map changes in training, with a curve beside it that grows.

    Args:
        path: the GIF file.
        title: above the picture.
        grid: where the classifier was asked.
        probabilities: of class 1 there ``[frames, rows, columns]``.
        points: examples ``[n, 2]``; at most the first 400 are drawn.
        labels: their classes, 0 or 1 ``[n]``.
        steps: when each frame was taken ``[frames]``.
        curve: what the panel beside shows at that time ``[frames]``.
        x: label of the panel's horizontal axis.
        y: label of its vertical axis.
        seconds: how long one round takes.
    """
    probabilities, steps, curve = np.asarray(probabilities), np.asarray(steps), np.asarray(curve)

    def prepare(picture: Any) -> Callable[[int], None]:
        picture.suptitle(title)
        axes, beside = picture.subplots(1, 2)
        filled, border = _map(axes, grid, probabilities[-1])
        _bar(picture, filled, axes)
        _scatter(axes, points, labels)
        axes.set(xlabel="x", ylabel="y", xlim=grid.x, ylim=grid.y)
        beside.plot(steps, curve, color=TRAIN, alpha=0.25)
        (line,) = beside.plot([], [], color=TRAIN)
        (head,) = beside.plot([], [], "o", color=TRAIN, markersize=7)
        beside.set(xlabel=x, ylabel=y, title="")
        heading = axes.set_title(f"{x} {steps[-1]}")
        picture.draw_without_rendering()
        picture.set_layout_engine("none")
        shown = [filled, border]

        def draw(frame: int) -> None:
            for old in shown:
                if old is not None:
                    old.remove()
            shown[:] = _map(axes, grid, probabilities[frame])
            heading.set_text(f"{x} {steps[frame]}")
            line.set_data(steps[: frame + 1], curve[: frame + 1])
            head.set_data(steps[frame : frame + 1], curve[frame : frame + 1])

        return draw

    animate(path, len(probabilities), prepare, width=9.5, height=4.2, seconds=seconds)


def _map(axes: Any, grid: Grid, probability: np.ndarray) -> tuple[Any, Any]:
    """Blue for class 1 and orange for class 0, whitest where the classifier is least sure."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("classes", ["#f0b27f", "#ffffff", "#7fb7d8"])
    inside = np.clip(probability, 0, 1)
    filled = axes.contourf(grid.columns, grid.rows, inside, LEVELS, cmap=colours, zorder=0)
    # Where one class wins everywhere there is no border, and matplotlib would warn of an empty contour.
    border = None
    if inside.min() < 0.5 < inside.max():
        border = axes.contour(grid.columns, grid.rows, inside, [0.5], colors=INK, linewidths=1.5, zorder=1)
    axes.grid(visible=False)
    return filled, border


def _scatter(axes: Any, points: Any, labels: Any) -> None:
    points, labels = np.asarray(points)[:MOST_POINTS], np.asarray(labels)[:MOST_POINTS]
    for label, colour, marker in ((0, TEST, "o"), (1, TRAIN, "s")):
        x, y = points[labels == label].T
        axes.scatter(x, y, 12, color=colour, marker=marker, edgecolor="white", linewidth=0.4, zorder=2)


def _bar(picture: Any, filled: Any, axes: Any) -> None:
    picture.colorbar(
        filled, ax=axes, ticks=[0, 0.5, 1], shrink=0.8, label="probability of class 1 (squares)", pad=0.02
    )
