"""A rectangle of points in the plane, where a function of two numbers is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Grid:
    """Points in rows and columns, evenly spaced.

    Attributes:
        x: lowest and highest value along the horizontal axis.
        y: the same for the vertical axis.
        size: columns, and rows.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    size: int = 100

    @property
    def columns(self) -> np.ndarray:
        """Values along the horizontal axis ``[size]``, float32."""
        return np.linspace(*self.x, self.size, dtype=np.float32)

    @property
    def rows(self) -> np.ndarray:
        """Values along the vertical axis ``[size]``, float32."""
        return np.linspace(*self.y, self.size, dtype=np.float32)

    @property
    def points(self) -> np.ndarray:
        """All points ``[size * size, 2]``, row by row."""
        return np.stack(np.meshgrid(self.columns, self.rows), axis=-1).reshape(-1, 2)

    def heights(self, function: Callable[[Any], Any]) -> Any:
        """Values ``[rows, columns]`` of ``function``, which takes ``[n, 2]`` to ``[n]``.

        Example:
            >>> Grid((0.0, 1.0), (0.0, 2.0), 2).heights(lambda points: points[:, 0] + points[:, 1])
            array([[0., 1.],
                   [2., 3.]], dtype=float32)
        """
        return function(self.points).reshape(self.size, self.size)
