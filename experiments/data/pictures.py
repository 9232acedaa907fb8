"""A labelled picture data set with its split."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Pictures:
    """Training and test pictures with their labels.

    Attributes:
        x: float32 ``[examples, height, width]``, ink 1, paper 0.
        y: int32 ``[examples]``, each in ``[0, classes)``.
        x_test: as ``x``, never trained on.
        y_test: as ``y``.
        classes: number of classes.
    """

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: int

    def __post_init__(self) -> None:
        """Check on the host what an indexed array on the device would silently clamp or wrap.

        Raises:
            ValueError: labels out of range, or not as many labels as pictures.
        """
        for x, y, part in ((self.x, self.y, "training"), (self.x_test, self.y_test, "test")):
            if len(x) != len(y):
                raise ValueError(
                    f"{part} data: {len(x)} pictures but {len(y)} labels; each picture needs one"
                )
            bad = np.flatnonzero((y < 0) | (y >= self.classes))
            if len(bad):
                raise ValueError(
                    f"{part} labels: expected integers in [0, {self.classes}), got {int(y[bad[0]])} at index "
                    f"{int(bad[0])} ({len(bad)} such); correct the labels or raise the number of classes"
                )

    def head(self, train: int, test: int) -> "Pictures":
        """The first ``train`` training and ``test`` test pictures, for a quick look."""
        return replace(
            self, x=self.x[:train], y=self.y[:train], x_test=self.x_test[:test], y_test=self.y_test[:test]
        )
