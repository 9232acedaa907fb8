"""A drawing beside what the network saw of it, and its answer."""

from pathlib import Path

import numpy as np

from experiments.plots.style import QUIET, RIGHT, TRAIN, figure


def drawing(path: Path, name: str, original: np.ndarray, seen: np.ndarray, probabilities: np.ndarray) -> None:
    """Draw three panels.

    Args:
        path: the PNG file.
        name: the drawing's file name.
        original: the drawing in grey, ``[height, width]``, black 0, white 1.
        seen: what went into the network, ``[height, width]``, ink 1, paper 0.
        probabilities: ``[classes]``.
    """
    best = int(probabilities.argmax())
    classes = range(len(probabilities))
    with figure(path, 10, 3.6) as picture:
        picture.suptitle(f"This is a {best} ({probabilities[best]:.1%})")
        left, middle, right = picture.subplots(1, 3, width_ratios=(1, 1, 1.3))
        left.imshow(original, cmap="gray", vmin=0, vmax=1)
        left.set_title(name if len(name) <= 24 else f"{name[:21]}...")
        middle.imshow(seen, cmap="gray_r", vmin=0, vmax=1)
        middle.set_title("what the network saw")
        for axes in (left, middle):
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
            axes.spines[:].set_visible(True)
        colours = [RIGHT if number == best else TRAIN for number in classes]
        right.barh(classes, probabilities, color=colours)
        for number in classes:
            text = f"{probabilities[number]:.1%}"
            inside = probabilities[number] > 0.8
            place = probabilities[number] + (-0.02 if inside else 0.02)
            colour = "white" if inside else QUIET
            right.text(
                place, number, text, va="center", ha="right" if inside else "left", fontsize=8, color=colour
            )
        right.set(title="probability", xlim=(0, 1), yticks=list(classes))
        right.invert_yaxis()
        right.grid(visible=False, axis="y")
