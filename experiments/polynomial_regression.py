"""Fitting a polynomial of degree four by gradient descent: easy to draw, and very slow to get right.

A hundred printed points of x + 2 x^2 + 3 x^3 + 4 x^4. On an interval the powers of x look alike, so the loss
is steep in one direction and almost flat in another: 1.8 against 3.4e-6. No single learning rate suits both.
The curve fits the points after some hundred steps; the coefficients are still wrong after ten thousand. How
wrong, each direction's factor (1 - rate * curvature)^steps foretells.

Run:     python -m experiments polynomial_regression
Expect:  the printed recipe ends at (0.0007, 0.998, 1.976, 3.067, 3.957) instead of (0, 1, 2, 3, 4)
Time:    about 5 s on two cores
Course:  From calculus to convolutional networks - regression
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import plots
from experiments.data import printed_data
from experiments.linear_regression_10d import half_loss, together
from experiments.plots.style import INK, TEST, TRAIN
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import inspect

COURSE = "From calculus to convolutional networks"
DERIVED_FROM = f"derived from {COURSE}"
RATE, STEPS, TERMS = 1.0, 10_000, 5
TRUTH = np.arange(5.0)
AFTER_ONE = (3.3776038, 2.8136427, 2.4649208, 2.2228149, 2.0422803)
AFTER_ALL = (0.00074662, 0.99837140, 1.97568614, 3.06722414, 3.95718579)


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """A polynomial through printed points; nothing in it is random."""


def data(dtype: Any = np.float64) -> tuple[Any, Any]:
    """Powers 0 to 4 of the points ``[100, 5]``, and targets ``[100]``."""
    x, y = printed_data.load_polynomial()
    return jnp.asarray(x[:, None] ** np.arange(TERMS), dtype), jnp.asarray(y, dtype)


def predicted_errors(batch: tuple[Any, Any], rate: float, steps: Any) -> tuple[np.ndarray, np.ndarray]:
    """Curvatures ``[5]``, and the errors ``[steps, 5]`` along their directions, without descending."""
    x = np.asarray(batch[0])
    curvatures, directions = np.linalg.eigh(x.T @ x / len(x))
    return curvatures, (1 - rate * curvatures) ** np.asarray(steps)[:, None] * (directions.T @ -TRUTH)


def run(config: Config, page: Page) -> None:
    """Descend as the course does, foretell the errors, and draw the fit."""
    steps = 1000 if config.quick else STEPS
    with jax.enable_x64(True):
        batch = data()
        limit = float(inspect.stability_limit(half_loss, jnp.zeros(TERMS), batch))
        compiled = jax.jit(together, static_argnums=2).lower(batch, RATE, steps).compile()
        start = time.perf_counter()
        path, losses = jax.device_get(compiled(batch, RATE))
        seconds = time.perf_counter() - start
        solved = np.asarray(jnp.linalg.lstsq(*batch)[0])
    x, y = np.asarray(batch[0])[:, 1], np.asarray(batch[1])
    marks = np.unique(np.geomspace(1, steps, 60).round().astype(int))
    curvatures, foretold = predicted_errors(batch, RATE, marks)
    directions = np.linalg.eigh(np.asarray(batch[0]).T @ np.asarray(batch[0]) / len(x))[1]
    measured = (path[marks] - TRUTH) @ directions

    page.compare("loss before the first step", losses[0], 22.58105022075967, source=DERIVED_FROM)
    page.compare("largest stable rate, predicted", limit, 1.1063, source=DERIVED_FROM)
    for j, value in enumerate(AFTER_ONE):
        page.compare(f"coefficient of x^{j} after 1 step", path[1, j], value, source=DERIVED_FROM)
    if steps == STEPS:
        for j, value in enumerate(AFTER_ALL):
            page.compare(f"coefficient of x^{j} after 10,000 steps", path[-1, j], value, source=DERIVED_FROM)
        page.compare("loss after 10,000 steps", losses[-1], 2.165537e-7, source=DERIVED_FROM)
    printed = "222, with mini-batches 17 (its machine is not named)"
    page.compare(f"seconds for {steps} steps, once compiled", seconds, printed, source=COURSE)
    gap = np.abs(measured - foretold).max()
    page.compare("largest gap between foretold and measured errors", gap, "0", source="the eigenvectors")

    errors = {}
    for j in reversed(range(TERMS)):
        errors[f"curvature {curvatures[j]:.2g}"] = (marks, np.maximum(np.abs(measured[:, j]), 1e-12))
    coefficients = {f"a{j}": (np.arange(1, steps + 1), path[1:, j]) for j in range(TERMS)}
    plots.lines(
        page.picture("errors.png"), "Five coefficients, five speeds",
        [("coefficients", coefficients), ("error along each direction", errors)], x="step", log="x", width=11,
    )  # fmt: skip
    still = int(np.log(2) / (RATE * curvatures[0]))
    page.show(
        "Some directions have all the time in the world",
        "Left, the coefficients: they come near fast, and then creep. Right, the same errors along the "
        f"directions of curvature. The flattest one needs {still:,} steps to halve its error at this rate, "
        f"and the rate cannot be raised above {limit:.4f}. Descents with momentum or a rate for each "
        "parameter are made for such valleys.",
        "errors.png",
    )
    frames = marks[:: 8 if config.quick else 1]

    def prepare(picture: Any) -> Callable[[int], None]:
        axes = picture.subplots()
        places = np.linspace(0, 1.02, 100)
        axes.plot(x, y, "o", color=TRAIN, label="printed points")
        axes.plot(
            places, places[:, None] ** np.arange(TERMS) @ TRUTH, "--", color=INK, label="truth", linewidth=1
        )
        (line,) = axes.plot([], [], color=TEST, label="fit", animated=True)
        text = axes.text(0.03, 0.6, "", transform=axes.transAxes, animated=True)
        axes.set(xlabel="x", ylabel="y", ylim=(-1, 12), title="A polynomial learns its coefficients")
        axes.legend(loc="upper left")

        def draw(frame: int) -> None:
            step = frames[frame]
            line.set_data(places, places[:, None] ** np.arange(TERMS) @ path[step])
            written = ", ".join(f"{a:.2f}" for a in path[step])
            text.set_text(f"step {step:,}\na = {written}\nloss {losses[step]:.1e}")

        return draw

    plots.animate(page.picture("fit.gif"), len(frames), prepare, seconds=6)
    page.show("The fit, ever slower", "Frames are spaced evenly in the logarithm of the step.", "fit.gif")
    page.table(
        "Where it ends",
        ("coefficient", f"after {steps} steps", "least squares, solved", "truth"),
        [(f"a{j}", *row) for j, row in enumerate(zip(path[-1], solved, TRUTH, strict=True))],
        "A tiny loss is no proof of right coefficients: compare the first two columns.",
    )
    page.correct(
        "estimate of the work",
        "10,000 steps x 100 points x 10 parameters",
        "the code has 5 parameters and evaluates the polynomial anew for each of them: 10,000 x 100 x 25; "
        "with the residuals computed once a step, as here, it is 10,000 x 100 x 5",
    )


EXPERIMENT = Experiment("polynomial_regression", "A polynomial by gradient descent", Config, run)
