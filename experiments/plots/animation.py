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

    Where ``prepare`` marks what changes with ``set_animated(True)``, everything else is drawn only once.

    Args:
        path: the GIF file.
        frames: number of pictures.
        prepare: ``figure -> draw``; it draws what never changes, and ``draw(i)`` changes the rest.
        width: inches.
        height: inches.
        seconds: how long one round takes.
    """
    import matplotlib
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    from experiments.plots.style import STYLE

    with matplotlib.rc_context(STYLE):
        picture = Figure(figsize=(width, height), dpi=80)
        canvas = FigureCanvasAgg(picture)
        picture.set_layout_engine("constrained")
        draw = prepare(picture)
        moving = [artist for artist in picture.findobj(include_self=False) if artist.get_animated()]
        canvas.draw()
        still = canvas.copy_from_bbox(picture.bbox) if moving else None
        images = []
        for index in range(frames):
            draw(index)
            if still is None:
                canvas.draw()
            else:
                canvas.restore_region(still)
                for artist in moving:
                    artist.draw(canvas.get_renderer())
            images.append(Image.fromarray(np.asarray(canvas.buffer_rgba()).copy()).convert("RGB"))
    # One palette for all: only what moves then differs from frame to frame, and only that is stored.
    palette = images[-1].quantize(256)
    images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=round(1000 * seconds / frames), loop=0
    )
