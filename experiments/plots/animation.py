"""Animations as GIF files, which every browser and every Markdown page shows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def animate(
    path: Path,
    frames: int,
    prepare: Callable[[Any], Callable[[int], None]],
    *,
    width: float = 6.0,
    height: float = 4.5,
    seconds: float = 4.0,
) -> None:
    """Draw ``frames`` pictures and write them as one GIF that repeats.

    Args:
        path: the GIF file.
        frames: number of pictures.
        prepare: ``figure -> draw``; it draws what never changes, and ``draw(i)`` changes the rest.
        width: inches.
        height: inches.
        seconds: how long one round takes.
    """
    import matplotlib
    from matplotlib.animation import FuncAnimation, PillowWriter
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from experiments.plots.style import STYLE

    with matplotlib.rc_context(STYLE):
        picture = Figure(figsize=(width, height), dpi=80)
        FigureCanvasAgg(picture)
        picture.set_layout_engine("constrained")
        draw = prepare(picture)

        def frame(index: int) -> tuple[()]:
            draw(index)
            return ()

        moving = FuncAnimation(picture, frame, frames=frames, init_func=lambda: (), blit=False)
        moving.save(path, writer=PillowWriter(fps=max(1, round(frames / seconds))))
