"""What a decoder looks at: a row for each piece that it writes, a column for each piece that it reads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.plots.style import MAP, figure


def attention_maps(
    path: Path, title: str, maps: Sequence[tuple[Sequence[str], Sequence[str], np.ndarray]]
) -> None:
    """Draw one map or several beside each other.

    Args:
        path: the PNG file.
        title: above the maps.
        maps: pieces written, pieces read, and weights ``[written, read]`` whose rows sum to 1.
    """
    widths = [0.32 * len(read) + 1.4 for _, read, _ in maps]
    height = max(0.28 * len(written) + 1.8 for written, _, _ in maps)
    with figure(path, sum(widths) + 0.6, height) as picture:
        picture.suptitle(title)
        panels = picture.subplots(1, len(maps), squeeze=False, width_ratios=widths)[0]
        images = []
        for axes, (written, read, weights) in zip(panels, maps, strict=True):
            images.append(axes.imshow(weights, cmap=MAP, vmin=0, vmax=1, aspect="auto"))
            axes.set_xticks(range(len(read)), read, rotation=90, fontsize=8)
            axes.set_yticks(range(len(written)), written, fontsize=8)
            axes.grid(visible=False)
        picture.colorbar(images[-1], ax=panels.tolist(), shrink=0.6, label="weight")
