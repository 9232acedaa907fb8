"""The ways of many update rules over surfaces of two parameters, a panel for each rule and surface."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.plots.grid import Grid
from experiments.plots.style import INK, TRAIN, figure

COLUMNS = 5


def ways(path: Path, steps: int, surfaces: Mapping[str, tuple[Any, Mapping[str, Any]]]) -> None:
    """Draw the blocks of panels, one block a surface, below each other.

    Args:
        path: the PNG file.
        steps: for the heading.
        surfaces: by name, a surface (``value``, ``start``, ``x``, ``y``), and by rule, a way (``rate``,
            ``points [steps + 1, 2]``, ``values``).
    """
    rules = max(len(of) for _, of in surfaces.values())
    rows = -(-rules // COLUMNS)
    with figure(path, 2.5 * COLUMNS, (1.75 * rows + 0.5) * len(surfaces)) as picture:
        blocks: Any = picture.subfigures(len(surfaces), 1, squeeze=False)
        for block, (name, (surface, found)) in zip(blocks[:, 0], surfaces.items(), strict=True):
            block.suptitle(f"{name}: {steps} steps from the star, each rule at its best rate", fontsize=12)
            grid = Grid(surface.x, surface.y, 120)
            heights = np.log10(np.asarray(grid.heights(jax.vmap(surface.value))) + 1e-3)
            panels = block.subplots(rows, COLUMNS, squeeze=False).ravel()
            for axes in panels[len(found) :]:
                axes.axis("off")
            for axes, (rule, way) in zip(panels, found.items(), strict=False):
                axes.contourf(grid.columns, grid.rows, heights, levels=16, cmap="Greys", alpha=0.6)
                axes.plot(*way.points.T, color=TRAIN, linewidth=0.8)
                axes.scatter(*way.points.T, c=np.arange(len(way.points)), cmap="plasma", s=4, zorder=3)
                axes.plot(*surface.start, "*", color=INK, markersize=8)
                axes.plot(*way.points[-1], "o", color="white", markeredgecolor=INK, markersize=6, zorder=4)
                axes.set(xlim=surface.x, ylim=surface.y, xticks=[], yticks=[])
                axes.grid(visible=False)
                axes.set_title(f"{rule}, rate {way.rate:.2g}, end {way.values[-1]:.0e}", fontsize=7.5, pad=3)
