"""The game of a generator and its discriminator on a line, as an animation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.plots.animation import animate
from experiments.plots.style import INK, TEST, TRAIN


def density_game(
    path: Path,
    grid: np.ndarray,
    density: np.ndarray,
    made: np.ndarray,
    outputs: np.ndarray,
    titles: Sequence[str],
) -> None:
    """Draw the game.

    Args:
        path: the GIF file.
        grid: places ``[points]``.
        density: of the data there.
        made: generated numbers ``[frames, count]``.
        outputs: of the discriminator on the grid, ``[frames, points]``.
        titles: one a frame.
    """
    top = 2.2 * density.max()
    edges = np.linspace(grid[0], grid[-1], 65)

    def prepare(picture: Any) -> Any:
        axes = picture.subplots()
        axes.set(xlim=(grid[0], grid[-1]), ylim=(0, top), xlabel="number", ylabel="density")
        heights, _ = np.histogram(made[0], edges, density=True)
        bars = axes.bar(edges[:-1], heights, np.diff(edges), align="edge", color=TRAIN, alpha=0.45)
        axes.plot(grid, density, color=INK)
        answers = axes.twinx()
        answers.set(ylim=(0, 1), ylabel="output of the discriminator")
        answers.grid(visible=False)
        answers.axhline(0.5, color=TEST, linewidth=0.8, linestyle=":")
        (curve,) = answers.plot(grid, outputs[0], color=TEST, linestyle="--")
        labels = ["generated", "data", "discriminator"]
        axes.legend([bars, axes.lines[0], curve], labels, loc="upper right", fontsize=8)

        def draw(frame: int) -> None:
            heights, _ = np.histogram(made[frame], edges, density=True)
            for bar, height in zip(bars, heights, strict=True):
                bar.set_height(height)
            curve.set_ydata(outputs[frame])
            axes.set_title(titles[frame])

        return draw

    animate(path, len(titles), prepare, width=6.5, height=4.2, seconds=6.0)
