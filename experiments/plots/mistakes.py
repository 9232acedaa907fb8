"""The misclassified pictures, the most confident mistakes first."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.plots.style import QUIET, RIGHT, WRONG, figure

ROWS, COLUMNS = 4, 8


def mistakes(path: Path, title: str, x: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> int:
    """Draw up to 32 mistakes, each with its true class, the network's, and the probability it gave to that.

    Args:
        path: the PNG file, written only when there is a mistake.
        title: above the pictures.
        x: ``[examples, height, width]``, ink 1, paper 0.
        labels: int ``[examples]``, the true classes.
        probabilities: ``[examples, classes]``.

    Returns:
        The number of mistakes.
    """
    guesses = probabilities.argmax(1)
    wrong = np.flatnonzero(guesses != labels)
    if not len(wrong):
        return 0
    shown = wrong[np.argsort(-probabilities[wrong, guesses[wrong]], kind="stable")][: ROWS * COLUMNS]
    rows = -(-len(shown) // COLUMNS)
    columns = min(len(shown), COLUMNS)
    with figure(path, max(1.25 * columns, 5.5), 1.65 * rows + 0.8) as picture:
        picture.suptitle(f"{title}: {_count(len(wrong), len(x), len(shown))}")
        grid = picture.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, index in zip(grid.flat, shown, strict=False):
            axes.imshow(x[index], cmap="gray_r", vmin=0, vmax=1)
            guess = guesses[index]
            place: dict[str, Any] = {"transform": axes.transAxes, "va": "bottom", "weight": "bold"}
            axes.text(0.38, 1.0, f"{labels[index]}", color=RIGHT, ha="right", **place)
            axes.text(0.50, 1.0, "\N{RIGHTWARDS ARROW}", color=QUIET, ha="center", **place)
            axes.text(0.62, 1.0, f"{guess}", color=WRONG, ha="left", **place)
            sure = f"{probabilities[index, guess]:.0%} sure"
            axes.text(
                0.5, -0.04, sure, color=QUIET, fontsize=8, ha="center", va="top", transform=axes.transAxes
            )
        key = "green: what it is    orange: what the network says"
        picture.supxlabel(key, fontsize=9, color=QUIET)
    return len(wrong)


def _count(wrong: int, examples: int, shown: int) -> str:
    text = f"{wrong} mistake{'s' if wrong > 1 else ''} of {examples:,}"
    return f"{text}, the {shown} most confident" if shown < wrong else text
