"""A linear autoencoder finds the subspace of principal component analysis, and only that.

Pictures of digits go through a narrow layer without activation and back. The least squared error that any
such network can reach is that of principal component analysis (PCA), and descent finds it: the plane that the
decoder's columns span turns into the plane of the first principal components. The columns themselves are no
principal axes, but a singular value decomposition of what comes out gives those back. A sigmoid in the
middle cannot do better: what comes out still lies in a plane of so many dimensions.

Run:     python -m experiments linear_autoencoder
Expect:  every angle between the two subspaces within 1 degree
Time:    about 1 minute on two cores
Course:  Recurrent, convolutional and embedding networks - autoencoders
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments.data import load_mnist
from experiments.plots.gallery import gallery
from experiments.plots.lines import lines
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.runner.schedule import half_cosine
from jaxnn import losses, optim, train

THEORY = "derived: the least error of any projection"


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """A narrow layer without activation."""

    units: int = 6
    """Units of the narrow layer, dimensions of the subspace."""
    epochs: int = 12
    """Passes over the pictures."""
    batch_size: int = 500
    """Pictures in a step."""
    learning_rate: float = 3e-3
    """Step size at the beginning; it falls to 0 along a half cosine."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("units", "epochs", "batch_size"):
            check_whole(name, getattr(self, name), least=1)


def principal_axes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal axes ``[features, features]`` in columns, and variances along them, the largest first."""
    values, axes = np.linalg.eigh(np.cov(x.astype(np.float64), rowvar=False, ddof=0))
    return axes[:, ::-1], values[::-1]


def angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Principal angles between the spaces that the columns of two matrices span, in degrees, largest last.

    Example:
        >>> angles(np.eye(3)[:, :2], np.eye(3)[:, 1:]).round(6).tolist()
        [0.0, 90.0]
    """
    first, second = (np.linalg.qr(np.asarray(matrix, np.float64))[0] for matrix in (a, b))
    # The sine is exact where the cosine of a small angle is 1 to the last digit.
    rest = np.linalg.svd(second - first @ (first.T @ second), compute_uv=False)
    return np.degrees(np.arcsin(np.minimum(rest, 1)))[::-1]


def recovered(outputs: np.ndarray, units: int) -> np.ndarray:
    """The principal axes ``[features, units]``, up to signs, from outputs ``[examples, features]``."""
    return principal_axes(outputs)[0][:, :units]


def build(units: int, features: int, sigmoid: bool) -> nn.Layer:
    """``[batch, features] -> [batch, features]`` through ``units``; both kernels have columns of length 1.

    The usual scale, by the inputs of a layer, would make the decoder's columns eleven times as long, and the
    first steps too far.
    """
    middle = (jax.nn.sigmoid,) if sigmoid else ()
    unit = jax.nn.initializers.normal(features**-0.5)
    return nn.chain(nn.dense(units, kernel_init=unit), *middle, nn.dense(features, kernel_init=unit))


def make_train(config: Config, sigmoid: bool) -> Callable[..., train.Result]:
    """Build ``train(key, x [examples, features], callbacks=()) -> Result``."""

    def run(key: Any, x: np.ndarray, callbacks: tuple[Callable[..., None], ...] = ()) -> train.Result:
        task = train.supervised(build(config.units, x.shape[1], sigmoid), losses.half_squared_error)
        steps = config.epochs * -(-len(x) // config.batch_size)
        rule = optim.nesterov(half_cosine(config.learning_rate, steps), 0.9)
        return train.fit(
            task, rule, (x, x), epochs=config.epochs, batch_size=config.batch_size, key=key,
            callbacks=callbacks, progress=False,
        )  # fmt: skip

    return run


def kernels(params: Any) -> tuple[np.ndarray, np.ndarray]:
    """Encoder ``[features, units]`` and decoder ``[units, features]`` of the trained weights."""
    (_, first), (_, second) = sorted(params.items())
    return np.asarray(first["kernel"]), np.asarray(second["kernel"])


def run(config: Config, page: Page) -> None:
    """Train with and without sigmoid, and compare with PCA."""
    data = load_mnist()
    if config.quick:
        data, config = data.head(1000, 10), replace(config, epochs=2)
    x = data.x.reshape(len(data.x), -1)
    x = x - x.mean(axis=0)
    axes, variances = principal_axes(x)
    best, plane = variances[config.units :].sum(), axes[:, : config.units]
    key = jax.random.key(config.seed)

    followed: list[np.ndarray] = []

    def follow(record: dict[str, Any], state: Any) -> None:
        del record
        followed.append(angles(plane, kernels(state.params)[1].T))

    made: dict[str, np.ndarray] = {}
    own = plane
    for name, sigmoid in (("no activation", False), ("sigmoid in the middle", True)):
        trained = make_train(config, sigmoid)(key, x, () if sigmoid else (follow,))
        decoder = kernels(trained.params)[1].T
        model = build(config.units, x.shape[1], sigmoid)
        made[name] = np.asarray(train.predict(model, trained.params, {}, jnp.asarray(x)))
        page.compare(
            f"largest angle to the first {config.units} principal axes, {name} (degrees)",
            angles(plane, decoder)[-1], "" if sigmoid else "<= 1",
        )  # fmt: skip
        page.compare(
            f"squared error of a picture, {name}", ((made[name] - x) ** 2).sum(1, dtype=np.float64).mean(),
            f">= {best:.5g}", source=f"{THEORY} onto {config.units} dimensions",
        )  # fmt: skip
        if not sigmoid:
            own = decoder
            page.folder.save_weights(trained.params, {})
    back = recovered(made["no activation"], config.units)
    each = [angles(axes[:, [i]], back[:, [i]])[0] for i in range(config.units)]
    page.compare("largest angle of an axis that the decomposition gives back (degrees)", max(each))
    _show(page, config, np.array(followed), axes, own, back, variances)
    page.correct(
        "Recurrent, convolutional and embedding networks, autoencoders",
        "linear activations and a hidden layer with a sigmoid give the same projection as PCA",
        "the narrow layer must be linear, or a sigmoid that stays in its linear range; the weights then span "
        "the subspace of PCA without being its axes, which a singular value decomposition gives back",
    )


def _show(
    page: Page, config: Config, followed: np.ndarray, axes: np.ndarray, own: np.ndarray, back: np.ndarray,
    variances: np.ndarray,
) -> None:  # fmt: skip
    epochs = np.arange(1, len(followed) + 1)
    lines(
        page.picture("angles.png"), "The decoder's plane turns into that of PCA",
        [
            (
                "Angles between the two subspaces (degrees)",
                {
                    "largest": (epochs, followed[:, -1]),
                    "mean": (epochs, followed.mean(axis=1)),
                    "1 degree": (epochs, np.ones(len(epochs))),
                },
            ),
        ],
        x="epoch", log="y",
    )  # fmt: skip
    page.show(
        "Two subspaces become one",
        f"A subspace of {config.units} dimensions can differ from another by {config.units} angles; the "
        "largest one tells how far they are from being the same. How fast it shrinks depends on how clearly "
        f"the variance drops behind axis {config.units}, here from {variances[config.units - 1]:.2f} to "
        f"{variances[config.units]:.2f}: where two variances are nearly equal, the error hardly tells their "
        "axes apart, and descent takes long to choose.",
        "angles.png",
    )

    def signed(columns: np.ndarray, like: np.ndarray) -> np.ndarray:
        return columns * np.sign((columns * like).sum(axis=0))

    def drawn(columns: np.ndarray) -> np.ndarray:
        scaled = columns / np.abs(columns).max(axis=0)
        return (scaled.T.reshape(-1, 28, 28) + 1) / 2

    truth = axes[:, : config.units]
    gallery(
        page.picture("axes.png"), "What the columns look like",
        {
            "principal axes": drawn(truth),
            "given back": drawn(signed(back, truth)),
            "the decoder's own columns": drawn(own),
        },
        scale=1.0,
    )  # fmt: skip
    page.show(
        "The same plane, other axes",
        "Dark is positive, light negative. Any invertible mixture in the middle gives the same output, so "
        "nothing makes the decoder's columns (below) principal axes (above). The singular value "
        "decomposition of the outputs finds them (middle), up to their signs.",
        "axes.png",
    )


EXPERIMENT = Experiment("linear_autoencoder", "A linear autoencoder and principal components", Config, run)
