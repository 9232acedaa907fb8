"""The misclassified pictures, the most confident mistakes first."""

from pathlib import Path

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
    with figure(path, max(1.15 * columns, 5.0), 1.45 * rows + 0.75) as picture:
        picture.suptitle(f"{title}: {len(wrong)} mistakes of {len(x):,}" + _shown(len(shown), len(wrong)))
        for axes in picture.subplots(rows, columns, squeeze=False).flat:
            axes.axis("off")
        for axes, index in zip(picture.axes, shown, strict=False):
            axes.imshow(x[index], cmap="gray_r", vmin=0, vmax=1)
            guess = guesses[index]
            axes.set_title("")
            axes.text(0, 1.06, f"{labels[index]}", color=RIGHT, weight="bold", transform=axes.transAxes)
            text = f"{guess}"
            axes.text(0.5, 1.06, text, color=WRONG, weight="bold", ha="center", transform=axes.transAxes)
            sure = f"{probabilities[index, guess]:.0%}"
            axes.text(1, 1.06, sure, color=QUIET, fontsize=8, ha="right", transform=axes.transAxes)
        key = "green: what it is    orange: what the network says, and how sure it is"
        picture.supxlabel(key, fontsize=9, color=QUIET)
    return len(wrong)


def _shown(shown: int, wrong: int) -> str:
    return f", the {shown} most confident" if shown < wrong else ""
