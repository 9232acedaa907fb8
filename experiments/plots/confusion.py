"""The confusion matrix: which class was taken for which."""

from pathlib import Path

import numpy as np

from experiments.plots.style import INK, MAP, figure


def confusion(path: Path, title: str, labels: np.ndarray, guesses: np.ndarray, classes: int) -> None:
    """Draw the counts, coloured by their share of the row, on a scale that makes rare mistakes visible.

    Args:
        path: the PNG file.
        title: above the matrix.
        labels: int ``[examples]``, the true classes.
        guesses: int ``[examples]``, the network's.
        classes: number of classes.
    """
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, guesses), 1)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with figure(path, 6.4, 6.4) as picture:
        axes = picture.subplots()
        # The square root lifts a share of one in a hundred to a tenth of the scale.
        axes.imshow(np.sqrt(share), cmap=MAP, vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if share[row, column] > 0.35 else INK
                axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=9)
        axes.set(title=title, xlabel="the network says", ylabel="it is")
        axes.set_xticks(range(classes))
        axes.set_yticks(range(classes))
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
