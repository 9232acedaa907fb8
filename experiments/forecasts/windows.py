"""A series as windows of its past and the change that follows, with nothing taken from the future.

A forecaster reads the last steps and foretells the change from the last value to the next, so that a net
that says 0 says what persistence says, and the mean change besides. Means and standard deviations are those
of the training part, its held-out third included; of the test part nothing is used.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from experiments.data.time_series import Series

Scale = Literal["plain", "log", "root"]
TO: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": lambda x: x, "log": np.log, "root": np.sqrt,
}  # fmt: skip
BACK: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": lambda g: g, "log": np.exp, "root": lambda g: np.maximum(g, 0) ** 2,
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """What is known about a series before one looks at its end.

    Attributes:
        scale: on which its steps are of about one size: ``"log"`` where they grow with the value, ``"root"``
            where their square does, as with counts.
        grows: whether its level wanders off, so that changes are read instead of values.
        year: steps of a year, where it has seasons.
        season: how the season is told of the step to come: ``"lag"``, the change a year before it;
            ``"calendar"``, sine and cosine of the day of the year; ``""``, not at all.
        window: steps that are read.
        epochs: passes over the training part.
    """

    scale: Scale
    grows: bool
    year: float
    season: Literal["", "lag", "calendar"]
    window: int
    epochs: int


@dataclass(frozen=True)
class Windows:
    """A series as a forecaster sees it.

    Attributes:
        inputs: float32 ``[n, window, features]``, the steps before each target.
        targets: float32 ``[n]``, the changes from the last value of the window to the next, scaled.
        steps: ``[n]``, the places of the targets in the series.
        last: ``[n]``, the last values of the windows, on the recipe's scale.
        mean: of the changes of the training part. spread: their standard deviation.
        held_out: the place in the series where the last third of the training part begins.
        test: the place where the test part begins.
        scale: see ``Recipe``.
    """

    inputs: np.ndarray
    targets: np.ndarray
    steps: np.ndarray
    last: np.ndarray
    mean: float
    spread: float
    held_out: int
    test: int
    scale: Scale

    def values(self, changes: np.ndarray) -> np.ndarray:
        """Forecasts ``[..., n]`` in the series' unit, from scaled changes ``[..., n]``."""
        return BACK[self.scale](self.last + self.mean + self.spread * np.asarray(changes, np.float64))

    @property
    def is_test(self) -> np.ndarray:
        """Which targets lie in the test part, ``[n]``."""
        return self.steps >= self.test

    @property
    def is_held_out(self) -> np.ndarray:
        """Which targets lie in the last third of the training part, ``[n]``: settings are chosen there."""
        return ~self.is_test & (self.steps >= self.held_out)


def make_windows(series: Series, recipe: Recipe) -> Windows:
    """Cut a series into windows; the last third is the test part.

    Raises:
        ValueError: the series is too short for the recipe.
    """
    n = len(series.values)
    test = n - n // 3
    held_out = test - test // 3
    level = TO[recipe.scale](series.values)
    change = np.diff(level, prepend=math.nan)
    # At place t stands what is known when t is foretold: what was read at t - 1, and the season of t.
    read = np.roll(change if recipe.grows else level, 1)
    read[0] = math.nan
    columns = [read, *_seasons(recipe, change)]
    first = int(np.flatnonzero(np.isnan(columns).any(axis=0)).max()) + recipe.window
    if first + 2 > held_out:
        raise ValueError(
            f"{series.name}: {test} training values are too few for windows of {recipe.window} that begin "
            f"at {first - recipe.window + 1}; take a shorter window"
        )
    told = np.stack([standard(column, test) for column in columns], axis=-1)
    mean, spread = moments(change[:test])
    steps = np.arange(first, n)
    inputs = np.stack([told[steps - back] for back in reversed(range(recipe.window))], axis=1)
    targets = (change[steps] - mean) / spread
    return Windows(
        inputs.astype(np.float32), targets.astype(np.float32), steps, level[steps - 1], mean, spread,
        held_out, test, recipe.scale,
    )  # fmt: skip


def standard(values: np.ndarray, test: int) -> np.ndarray:
    """Values less the mean of the training part, over its standard deviation."""
    mean, spread = moments(values[:test])
    return (values - mean) / spread


def moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of what is not missing."""
    return float(np.nanmean(values)), float(np.nanstd(values))


def _seasons(recipe: Recipe, change: np.ndarray) -> list[np.ndarray]:
    """What is known beforehand of each step."""
    if recipe.season == "lag":
        year = round(recipe.year)
        return [np.concatenate([np.full(year, math.nan), change[:-year]])]
    if recipe.season == "calendar":
        angle = 2 * math.pi * np.arange(len(change)) / recipe.year
        return [np.sin(angle), np.cos(angle)]
    return []
