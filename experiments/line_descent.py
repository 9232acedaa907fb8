"""Gradient descent on a line: which learning rates converge, said before the first step.

The same line and start as in ``local_search``, now with the gradient: step by step, parameters minus learning
rate times gradient. Each step multiplies the error along a direction of curvature c by 1 - rate * c, so a
descent shrinks as long as the rate is below 2 / c for the largest curvature. ``inspect.stability_limit``
finds that limit from the loss alone, and a sweep of learning rates, all run at once by ``vmap``, confirms it.

Run:     python -m experiments line_descent
Expect:  the limit 1.65403, and divergence above it: 1.65 crawls and 1.66 grows
Time:    about 6 s on two cores
Course:  From calculus to convolutional networks - gradient descent
Course:  Multi-layer networks and optimisation - gradient descent
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import plots
from experiments.data import printed_data
from experiments.descents import descend
from experiments.local_search import START, line_loss, line_losses
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import inspect, optim

COURSE = "From calculus to convolutional networks"
DERIVED_FROM = f"derived from {COURSE}"
STEPS = 100
RATES = (0.01, 0.1, 1.0, 1.5, 1.6, 1.65, 1.66)
DERIVED = {
    0.01: 2.7371, 0.1: 0.65357, 1.0: 5.5711e-7, 1.5: 1.518e-10, 1.6: 3.516e-6,
}  # fmt: skip
SMALL = 1e-8


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Gradient descent on a line; nothing in it is random."""


def data(dtype: Any = np.float64) -> tuple[Any, Any]:
    """The points of the line."""
    x, y = printed_data.load_line()
    return jnp.asarray(x, dtype), jnp.asarray(y, dtype)


def half_loss(params: Any, batch: tuple[Any, Any]) -> Any:
    """Half the mean squared error, whose gradient is the one that the course codes."""
    return line_loss(params, *batch) / 2


def sweep(rates: Any, batch: tuple[Any, Any], steps: int = STEPS) -> tuple[Any, Any]:
    """Descents from ``START`` at every rate: parameters ``[rates, steps + 1, 2]``, losses (not halved)."""
    start = jnp.array(START, batch[0].dtype)

    def one(rate: Any) -> Any:
        return descend(lambda params: half_loss(params, batch), optim.sgd(rate), start, steps)

    params, halves = jax.jit(jax.vmap(one))(rates)
    return params, 2 * halves


def until_small(rate: Any, batch: tuple[Any, Any], most: int = 100_000) -> tuple[Any, Any]:
    """Descend until the squared length of the gradient is below ``SMALL``: number of steps, and where."""
    slope = jax.grad(half_loss)

    def goes_on(carry: tuple[Any, Any]) -> Any:
        steps, params = carry
        return (jnp.sum(slope(params, batch) ** 2) >= SMALL) & (steps < most)

    def step(carry: tuple[Any, Any]) -> tuple[Any, Any]:
        steps, params = carry
        return steps + 1, params - rate * slope(params, batch)

    return jax.lax.while_loop(goes_on, step, (jnp.int32(0), jnp.array(START, batch[0].dtype)))


def run(config: Config, page: Page) -> None:
    """Predict the limit, sweep the rates, and draw paths on the surface."""
    with jax.enable_x64(True):
        batch = data()
        limit = float(inspect.stability_limit(half_loss, jnp.array(START), batch))
        paths, losses = map(np.asarray, sweep(jnp.array(RATES), batch))
        fine = np.linspace(0.01, 1.75, 30 if config.quick else 175)
        last = np.asarray(sweep(jnp.asarray(fine), batch)[1])[:, -1]
        curvatures = np.linalg.eigvalsh(np.asarray(jax.hessian(half_loss)(jnp.array(START), batch)))
        stopped = [(rate, *until_small(rate, batch)) for rate in RATES[1:5]]
    ends = dict(zip(RATES, zip(paths[:, -1], losses[:, -1], strict=True), strict=True))

    page.compare("largest stable rate, predicted", limit, 1.65403, source="2 / largest curvature")
    page.compare("w after 100 steps at rate 1", ends[1.0][0][0], "1.017529130", source=DERIVED_FROM)
    page.compare("b after 100 steps at rate 1", ends[1.0][0][1], "-0.007825389", source=DERIVED_FROM)
    for rate, value in DERIVED.items():
        page.compare(f"loss after 100 steps at rate {rate:g}", ends[rate][1], value, source=DERIVED_FROM)
    for rate in (1.65, 1.66):
        growth = losses[RATES.index(rate), -1] / losses[RATES.index(rate), -2]
        page.compare(
            f"factor of the loss in the last step at rate {rate:g}", growth, "< 1" if rate < limit else "> 1"
        )

    plots.lines(
        page.picture("sweep.png"),
        "Loss after 100 steps, by learning rate",
        [
            ("", {
                "gradient descent": (fine, last),
                f"predicted limit {limit:.5f}": ([limit, limit], [last.min(), last.max()]),
                f"loss of the start {losses[0, 0]:.2f}": ([0, fine[-1]], [losses[0, 0]] * 2),
            })
        ],
        x="learning rate", y="mean squared error", log="y", width=8,
    )  # fmt: skip
    low, high = curvatures
    page.show(
        "Too small, right, too big",
        f"The curvatures of this loss are {low:.4f} and {high:.4f}. A step multiplies the errors along them "
        "by 1 - rate x curvature. For small rates the flat direction hardly moves; at the limit "
        f"{limit:.5f} = 2 / {high:.4f} the steep one jumps from side to side without end, and beyond it the "
        f"loss grows. The best rate, {2 / (low + high):.3f}, makes both equally slow.",
        "sweep.png",
    )
    shown = (0.1, 1.0, 1.6, 1.66)
    names = {rate: f"rate {rate:g}" for rate in shown}
    grid = plots.Grid((-6.0, 6.0), (-7.0, 7.0))
    heights = grid.heights(line_losses)
    moving = {names[rate]: paths[RATES.index(rate)] for rate in shown}
    values = {names[rate]: losses[RATES.index(rate)] for rate in shown}
    kinds: dict[str, Any] = {"x": "slope w", "y": "intercept b", "height": "mean squared error"}
    plots.surface(
        page.picture("paths.png"),
        "Gradient descent from (-4, 4)",
        grid,
        heights,
        moving,
        losses=values,
        **kinds,
    )
    page.show("Paths on the loss", "The bigger rates cross the valley at every step.", "paths.png")
    plots.animated_surface(
        page.picture("paths.gif"), "Gradient descent from (-4, 4)", grid, heights, moving, losses=values,
        frames=8 if config.quick else 50, **kinds,
    )  # fmt: skip
    page.show("The same, step by step", picture="paths.gif")
    page.table(
        "Stopping when nothing changes any more",
        ("rate", "steps until the squared gradient is below 1e-8", "w", "b"),
        [(rate, int(steps), *map(float, end)) for rate, steps, end in stopped],
        "Instead of a fixed number of steps one can stop at a small gradient: a while-loop inside the "
        "compiled program. A small gradient is not a small error where the loss is flat, as the row of "
        "rate 0.1 shows.",
    )
    page.correct(
        "every printed gradient of the mean squared error",
        "1/n sum (f - y) x",
        "2/n sum (f - y) x; the printed code descends on half the loss that it reports, so its learning "
        f"rates are twice what they seem: of the mean squared error itself the limit is {limit / 2:.6f}",
    )
    page.correct(
        "steepest descent by the first-order Taylor formula",
        "x' = x - gradient is always lower",
        f"only for a small enough step: at rate {RATES[-1]} each step here is higher than the one before",
    )


EXPERIMENT = Experiment("line_descent", "Gradient descent and its learning rate", Config, run)
