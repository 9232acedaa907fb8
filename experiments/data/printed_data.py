"""Data of "From calculus to convolutional networks": two sets printed in full, one implied by its prints.

They come with the experiments, so that these run without a network.
"""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "printed"


def load_linear_10d() -> tuple[np.ndarray, np.ndarray]:
    """Forty rows of nine features ``[40, 9]`` and their targets ``[40]``, float64.

    The targets are exactly ``x @ [0, 1, ..., 8] + 9``, to rounding.
    """
    rows = np.loadtxt(FOLDER / "linear_10d.csv", delimiter=",", skiprows=1)
    return rows[:, :9], rows[:, 9]


def load_polynomial() -> tuple[np.ndarray, np.ndarray]:
    """A hundred points ``[100]`` and ``x + 2 x^2 + 3 x^3 + 4 x^4`` there ``[100]``, float64."""
    x = np.loadtxt(FOLDER / "polynomial.csv", skiprows=1)
    return x, np.sum([j * x**j for j in range(5)], axis=0)


def load_line() -> tuple[np.ndarray, np.ndarray]:
    """Two points on the line ``y = 1.02 x - 0.009``, float64 ``[2]`` each.

    The course names only the address of its file. These two reproduce every move that it prints.
    """
    x = np.array([0.14, 0.74])
    return x, 1.02 * x - 0.009
