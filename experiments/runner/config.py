"""Configurations: frozen dataclasses, whose fields and defaults make the command line and ``--help``."""

import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExperimentConfig:
    """What every experiment can be told. All of it is recorded in the run's ``config.json``."""

    seed: int = 0
    """Seed of everything random."""
    quick: bool = False
    """A run on a small scale, to see that everything works."""

    def __post_init__(self) -> None:
        """Check every number; a ``learning_rate``, where the experiment has one, is checked here for all.

        Raises:
            ValueError: a number is out of its range.
        """
        check_whole("seed", self.seed, least=0)
        if (rate := getattr(self, "learning_rate", None)) is not None:
            check_step_size("learning_rate", rate)


@dataclass(frozen=True)
class TrainingConfig(ExperimentConfig):
    """What every training run can be told."""

    seed: int = 0
    """Seed of the initial weights, the shuffling and the dropout."""
    epochs: int = 5
    """Passes over the training data."""
    batch_size: int = 128
    """Examples a step; the last batch of an epoch may be smaller."""
    learning_rate: float = 1e-3
    """Step size of the update rule."""
    ema: float = 0.0
    """Decay of the average of the weights that is tested and saved; 0 takes the last weights."""
    quick: bool = False
    """One epoch on a small part of the data, to see that everything works."""

    def __post_init__(self) -> None:
        """Check every number.

        Raises:
            ValueError: a number is out of its range.
        """
        super().__post_init__()
        check_whole("epochs", self.epochs, least=1)
        check_whole("batch_size", self.batch_size, least=1)
        check_rate("ema", self.ema)


@dataclass(frozen=True)
class RunOptions:
    """Where a run goes and how it speaks; none of it changes the numbers."""

    runs: Path = Path("runs")
    """Folder that holds the run folders, one sub-folder for each experiment."""
    name: str | None = None
    """Name of the run folder; must be new. Default: the time of the start."""
    debug: bool = False
    """Show the traceback of an error."""


def check_whole(name: str, value: int, least: int) -> None:
    """Raise ``ValueError`` unless ``value`` is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")


def check_step_size(name: str, value: float) -> None:
    """Raise ``ValueError`` unless ``value`` is a positive finite number."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a positive finite number, got {value}")


def check_rate(name: str, value: float) -> None:
    """Raise ``ValueError`` unless ``value`` is a probability below one."""
    if not 0 <= value < 1:
        raise ValueError(f"{name}: expected a probability in [0, 1), got {value}")
