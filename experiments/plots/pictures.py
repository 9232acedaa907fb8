"""Small pictures in rows: kernels, feature maps, what a network looks at."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.plots.style import figure


def pictures(
    path: Path, title: str, panels: Mapping[str, np.ndarray], *, columns: int = 6, size: float = 1.5
) -> None:
    """Draw each on a scale of its own: grey where nothing is negative, else blue above 0 and red below.

    Args:
        path: the PNG file.
        title: above the pictures.
        panels: by heading, ``[height, width]``; an empty heading is not written.
        columns: pictures in a row.
        size: inches of a picture.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with figure(path, max(size * columns + 0.4, 5.0), (size + 0.25) * rows + 0.6) as picture:
        picture.suptitle(title)
        grid = picture.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, (heading, values) in zip(grid.flat, panels.items(), strict=False):
            limit = float(np.abs(values).max()) or 1.0
            axes.set_anchor("N")
            if values.min() < 0:
                axes.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit)
            else:
                axes.imshow(values, cmap="gray_r", vmin=0, vmax=limit)
            axes.set_title(heading, fontsize=8, weight="normal", pad=3)
