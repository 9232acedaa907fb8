"""Linear regression with nine features, on the printed data: all at once, one after the other, in one solve.

Forty rows, made as y = 0 x0 + 1 x1 + ... + 8 x8 + 9, so gradient descent can find the weights to the last
digit. Two ways of taking the step are compared: all parameters from one gradient, and one after the other,
each from the residuals that the ones before left. The second is another method with limits of its own.

Run:     python -m experiments linear_regression_10d
Expect:  w = 0, 1, ..., 8 and b = 9 to nine digits
Time:    about 4 s on two cores
Course:  From calculus to convolutional networks - regression
"""

import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import plots
from experiments.data import printed_data
from experiments.descents import descend
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import inspect, optim

COURSE = "From calculus to convolutional networks"
DERIVED_FROM = f"derived from {COURSE}"
RATE, STEPS = 0.5, 5000
TRUTH = np.arange(10.0)


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Linear regression on the printed data; nothing in it is random."""


def data(dtype: Any = np.float64) -> tuple[Any, Any]:
    """Features with a last column of ones for the bias ``[40, 10]``, and targets ``[40]``."""
    x, y = printed_data.load_linear_10d()
    return jnp.asarray(np.c_[x, np.ones(len(x))], dtype), jnp.asarray(y, dtype)


def half_loss(weights: Any, batch: tuple[Any, Any]) -> Any:
    """Half the mean squared error."""
    x, y = batch
    return jnp.mean((x @ weights - y) ** 2) / 2


def together(batch: tuple[Any, Any], rate: Any, steps: int) -> tuple[Any, Any]:
    """Gradient descent from 0: weights ``[steps + 1, 10]`` and mean squared errors."""
    start = jnp.zeros_like(batch[0][0])
    path = descend(lambda w: half_loss(w, batch), optim.sgd(rate), start, steps)
    return path.params, 2 * path.losses


def one_by_one(batch: tuple[Any, Any], rate: Any, sweeps: int) -> tuple[Any, Any]:
    """The same from 0, each weight changed in turn with the others as they now are (Gauss-Seidel).

    The residuals are kept and corrected, so that a sweep costs as much as a gradient; computing them anew for
    every weight, as the course does, costs as many times that as there are weights.
    """
    x, y = batch
    columns, n = x.T, y.size

    def change(carry: tuple[Any, Any], number: Any) -> tuple[tuple[Any, Any], None]:
        weights, residuals = carry
        step = -rate * (columns[number] @ residuals) / n
        return (weights.at[number].add(step), residuals + step * columns[number]), None

    def sweep(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        carry, _ = jax.lax.scan(change, carry, jnp.arange(columns.shape[0]))
        return carry, (carry[0], jnp.mean(carry[1] ** 2))

    start = jnp.zeros_like(x[0])
    _, (weights, losses) = jax.lax.scan(sweep, (start, -y), length=sweeps)
    return jnp.concatenate([start[None], weights]), jnp.concatenate([jnp.mean(y**2)[None], losses])


def run(config: Config, page: Page) -> None:
    """Descend both ways, solve exactly, and draw how the weights and the losses go."""
    steps = 1000 if config.quick else STEPS
    with jax.enable_x64(True):
        batch = data()
        limit = float(inspect.stability_limit(half_loss, jnp.zeros(10), batch))
        compiled = jax.jit(together, static_argnums=2).lower(batch, RATE, steps).compile()
        start = time.perf_counter()
        weights, losses = jax.device_get(compiled(batch, RATE))
        seconds = time.perf_counter() - start
        _, turn_losses = jax.device_get(jax.jit(one_by_one, static_argnums=2)(batch, RATE, 1000))
        exact = np.asarray(jnp.linalg.lstsq(*batch)[0])
    page.compare("loss before the first step", losses[0], 758.188875, source=DERIVED_FROM)
    page.compare("largest stable rate, predicted", limit, 0.62302, source=DERIVED_FROM)
    error = np.abs(weights[-1] - TRUTH).max()
    page.compare(f"largest error of a weight after {steps} steps", error, "0", source=DERIVED_FROM)
    for sweeps, value in ((1, 22.44018412974949), (100, 0.42179546592958), (1000, 3.855967e-6)):
        page.compare(f"loss after {sweeps} sweeps in turn", turn_losses[sweeps], value, source=DERIVED_FROM)
    printed = "48, with mini-batches 10 (its steps and machine are not named)"
    page.compare(f"seconds for {steps} steps, once compiled", seconds, printed, source=COURSE)

    shown = {f"w{j}": (np.arange(steps + 1), weights[:, j]) for j in range(9)}
    shown["b"] = (np.arange(steps + 1), weights[:, 9])
    shown = {name: (x[1:], y[1:]) for name, (x, y) in shown.items()}
    plots.lines(
        page.picture("weights.png"), "Ten weights on their way to 0, 1, ..., 9", [("", shown)],
        x="step", y="weight", log="x", width=8,
    )  # fmt: skip
    page.show(
        "The weights find their numbers",
        "Every weight ends at its own number, some after a detour: features that rise and fall together "
        "share what they explain, until the small differences between them decide.",
        "weights.png",
    )
    sweeps = np.arange(1001)
    plots.lines(
        page.picture("losses.png"), "Steps of all weights at once, and of one after the other",
        [("", {"all at once": (sweeps, losses[:1001]), "one after the other": (sweeps, turn_losses)})],
        x="step, or sweep over the weights", y="mean squared error", log="y", width=8,
    )  # fmt: skip
    page.show(
        "At once, or in turn",
        "Changed in turn, each weight already answers to what the others did in this sweep. Early that is "
        f"faster here. All at once needs a rate below {limit:.5f}; in turn any rate below 2 is stable, "
        "because each weight minds its own curvature only, of which the largest is that of the bias, 1.",
        "losses.png",
    )
    names = [*(f"w{j}" for j in range(9)), "b"]
    page.table(
        "Where they end",
        ("weight", f"after {steps} steps", "least squares, solved", "truth"),
        [(name, *row) for name, *row in zip(names, weights[-1], exact, TRUTH, strict=True)],
        "A linear problem needs no descent: one solve gives the same, which is how one checks the descent.",
    )
    page.correct(
        "code of the descent",
        "the weights are changed inside the loop over the weights, so each gradient mixes old and new ones; "
        "the list that is appended to the history is the same object each time, so the curve shows the last "
        "weights at every step",
        "take the gradient of all weights first, and keep a copy of them; what the code does is "
        "Gauss-Seidel, which converges too, to the same weights",
    )


EXPERIMENT = Experiment("linear_regression_10d", "Linear regression with nine features", Config, run)
