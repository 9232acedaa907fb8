"""Points of several classes in the plane."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.plots.style import figure


def scatter(
    path: Path, title: str, panels: Mapping[str, np.ndarray], classes: np.ndarray, names: tuple[str, ...] = ()
) -> None:
    """Draw one panel or several, each class in a colour of its own.

    Args:
        path: the PNG file.
        title: above the panels.
        panels: by heading, points ``[points, 2]``.
        classes: int ``[points]``.
        names: of the classes; their numbers when left out.
    """
    from matplotlib import colormaps

    colours = colormaps["tab10"].colors  # type: ignore[attr-defined]
    with figure(path, 5.4 * len(panels) + 0.6, 5.2) as picture:
        picture.suptitle(title)
        for number, (axes, (heading, points)) in enumerate(
            zip(picture.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True)
        ):
            for label in np.unique(classes):
                x, y = points[classes == label].T
                name = names[label] if names else str(label)
                axes.scatter(x, y, s=5, alpha=0.6, linewidths=0, color=colours[label % 10], label=name)
            axes.set(title=heading, aspect="equal")
            if number == len(panels) - 1:
                axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=3)
