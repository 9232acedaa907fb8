"""The filters of the first convolution, as pictures."""

from pathlib import Path

import numpy as np

from experiments.plots.style import QUIET, figure

COLUMNS = 8


def filters(path: Path, title: str, kernel: np.ndarray) -> None:
    """Draw each filter on one common scale, so that strong and weak filters can be told apart.

    Args:
        path: the PNG file.
        title: above the pictures.
        kernel: ``[height, width, 1, features]``.
    """
    count = kernel.shape[-1]
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    limit = float(np.abs(kernel).max())
    with figure(path, 0.95 * columns + 1.2, 0.95 * rows + 0.9) as picture:
        picture.suptitle(title)
        grid = picture.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        images = [
            axes.imshow(kernel[:, :, 0, index], cmap="RdBu", vmin=-limit, vmax=limit)
            for index, axes in enumerate(grid.flat[:count])
        ]
        bar = picture.colorbar(images[0], ax=grid, shrink=0.9, pad=0.02)
        bar.set_label("weight (blue for ink, red for paper)", fontsize=8, color=QUIET)
        bar.outline.set_visible(False)
