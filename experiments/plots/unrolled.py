"""Kinds of sequence task as networks unrolled over time: what goes in below, what comes out above."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.plots.style import INK, TEST, TRAIN, figure

FILLS = {"in": "#f6d9c6", "state": "#cfe8dc", "out": "#cfe1f2"}


@dataclass(frozen=True)
class Unrolled:
    """One kind.

    Attributes:
        title: above it.
        inputs: symbol by step; ``""`` for a step without input.
        outputs: symbol by step; ``""`` for a step without output.
        both: whether it is read backwards too.
    """

    title: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    both: bool = False


def unrolled(path: Path, title: str, kinds: Sequence[Unrolled]) -> None:
    """Draw each kind, as many steps wide as it is long, two rows of panels.

    Args:
        path: the PNG file.
        title: above the panels.
        kinds: with equally many inputs and outputs each.
    """
    rows = [kinds[: len(kinds) - 2], kinds[len(kinds) - 2 :]] if len(kinds) > 3 else [kinds]
    widest = max(sum(len(kind.inputs) + 1 for kind in row) for row in rows)
    with figure(path, 0.72 * widest, 2.9 * len(rows) + 0.4) as picture:
        picture.suptitle(title)
        parts: Any = picture.subfigures(len(rows), 1, squeeze=False)
        for part, row in zip(parts[:, 0], rows, strict=True):
            widths = [len(kind.inputs) + 1 for kind in row]
            for axes, kind in zip(
                part.subplots(1, len(row), width_ratios=widths, squeeze=False)[0], row, strict=True
            ):
                _draw(axes, kind)


def _draw(axes: Any, kind: Unrolled) -> None:
    axes.set_title(kind.title, fontsize=10)
    axes.set(xlim=(-0.9, len(kind.inputs) - 0.1), ylim=(-0.6, 2.6))
    axes.axis("off")
    for step, (read, wrote) in enumerate(zip(kind.inputs, kind.outputs, strict=True)):
        _box(axes, step, 1, "", "state")
        if step:
            _arrow(axes, (step - 0.68, 1), (step - 0.32, 1), INK, "<|-|>" if kind.both else "-|>")
        if read:
            _box(axes, step, 0, read, "in")
            _arrow(axes, (step, 0.27), (step, 0.73), TEST)
        if wrote:
            _box(axes, step, 2, wrote, "out")
            _arrow(axes, (step, 1.27), (step, 1.73), TRAIN)


def _box(axes: Any, x: float, y: float, text: str, kind: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    place = (x - 0.28, y - 0.23)
    axes.add_patch(FancyBboxPatch(place, 0.56, 0.46, "round,pad=0.02", facecolor=FILLS[kind], edgecolor=INK))
    axes.text(
        x, y, text, ha="center", va="center", fontsize=9 if len(text) < 4 else 7 if len(text) < 7 else 5.5
    )


def _arrow(
    axes: Any, begin: tuple[float, float], end: tuple[float, float], colour: str, style: str = "-|>"
) -> None:
    axes.annotate("", end, begin, arrowprops={"arrowstyle": style, "color": colour, "linewidth": 1.2})
