"""The classification work that several rows share: its sizes, its data, its shuffled batches."""

import gzip
import os
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Work:
    """Classify pictures of 28 by 28 in 10 classes.

    Attributes:
        examples: how many there are.
        hidden: units of both hidden layers of the perceptron.
        batch: examples in a batch; the smaller last one is trained on too.
        rate: probability of dropping.
        learning_rate: of RMSprop (decay 0.9, eps 1e-8) and of Adadelta.
        steps: steps in a lap, where a lap is not an epoch.
    """

    examples: int = 60_000
    hidden: int = 512
    batch: int = 128
    rate: float = 0.2
    learning_rate: float = 1e-3
    steps: int = 0


def mnist_folder() -> pathlib.Path | None:
    """Return the folder of MNIST's files under ``JAXNN_DATA``, if it is there."""
    folder = pathlib.Path(os.environ.get("JAXNN_DATA", "")) / "mnist"
    return folder if (folder / "train-images-idx3-ubyte.gz").exists() else None


def describe_data() -> str:
    """Say in a few words what is trained on."""
    return "MNIST" if mnist_folder() else "random pictures of MNIST's shape (JAXNN_DATA has no mnist folder)"


def pictures(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 ``[n, 784]`` in [0, 1] and int32 labels ``[n]``."""
    folder = mnist_folder()
    if folder is None:
        rng = np.random.default_rng(0)
        x = rng.random((work.examples, 784), dtype=np.float32)
        return x, rng.integers(0, 10, work.examples, dtype=np.int32)
    x = _bytes(folder / "train-images-idx3-ubyte.gz", 16).reshape(-1, 784)[: work.examples]
    y = _bytes(folder / "train-labels-idx1-ubyte.gz", 8)[: work.examples]
    return x.astype(np.float32) / np.float32(255), y.astype(np.int32)


def _bytes(path: pathlib.Path, header: int) -> np.ndarray:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def batches(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Shuffle the examples and yield them in batches, the smaller last one included."""
    order = rng.permutation(len(x))
    for start in range(0, len(x), size):
        chosen = order[start : start + size]
        yield x[chosen], y[chosen]
