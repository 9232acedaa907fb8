"""Batch, mini-batch and single-example descent on a line: the same gradient on average, with other noise.

A thousand noisy points of y = 1.02 x - 0.009. A full step looks at all of them, a mini-batch step at 50, a
stochastic step at one. The gradient of a random batch is right on average, and its variance falls as one over
the size of the batch; that is measured, and seen in the paths, which wander the more the smaller the batch.
A step costs as many times less, which is why one takes them nevertheless.

Run:     python -m experiments stochastic_descent
Expect:  variance 50 times smaller with batches of 50; the mean of all gradients equal to the full one
Time:    about 12 s on two cores
Course:  From calculus to convolutional networks - gradient descent
Course:  Multi-layer networks and optimisation - gradient descent
Course:  Back-propagation - gradient descent
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import plots
from experiments.descents import descend
from experiments.local_search import START, line_loss
from experiments.runner.config import ExperimentConfig, check_step_size, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import inspect, optim

COURSE = "From calculus to convolutional networks"
SIZES = (1, 50, 1000)
NOISE = 0.1


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Descent with batches of several sizes."""

    points: int = 1000
    """Points of the line; at least 1,000."""
    steps: int = 400
    """Steps of each descent."""
    rate: float = 0.3
    """Learning rate."""
    draws: int = 10_000
    """Random batches whose gradients are measured."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("points", self.points, least=1000)
        check_whole("steps", self.steps, least=1)
        check_whole("draws", self.draws, least=2)
        check_step_size("rate", self.rate)


def line_points(key: Any, n: int) -> tuple[Any, Any]:
    """Points ``[n]`` from 0 to 1 and noisy values ``[n]`` of the course's line."""
    of_x, of_noise = jax.random.split(key)
    x = jax.random.uniform(of_x, (n,))
    return x, 1.02 * x - 0.009 + NOISE * jax.random.normal(of_noise, (n,))


def loss(params: Any, x: Any, y: Any) -> Any:
    """Half the mean squared error."""
    return line_loss(params, x, y) / 2


def pick(key: Any, data: tuple[Any, Any], size: int) -> tuple[Any, Any]:
    """A random batch, drawn with replacement unless it is everything."""
    if size == data[0].size:
        return data
    index = jax.random.randint(key, (size,), 0, data[0].size)
    return data[0][index], data[1][index]


def gradient_noise(key: Any, data: tuple[Any, Any], size: int, draws: int) -> tuple[Any, Any]:
    """Mean ``[2]`` and total variance of the gradients of ``draws`` random batches, at ``START``."""
    start = jnp.array(START)
    slopes = jax.vmap(lambda one: jax.grad(loss)(start, *pick(one, data, size)))(jax.random.split(key, draws))
    return jnp.mean(slopes, 0), jnp.sum(jnp.var(slopes, axis=0))


def covariance_of_halves(key: Any, data: tuple[Any, Any], draws: int, together: bool) -> Any:
    """Correlation between the slopes of w and of b, from one example for both, or from one for each."""
    start = jnp.array(START)

    def one(key: Any) -> Any:
        first, second = jax.random.split(key)
        of_w = jax.grad(loss)(start, *pick(first, data, 1))[0]
        of_b = jax.grad(loss)(start, *pick(first if together else second, data, 1))[1]
        return jnp.stack([of_w, of_b])

    return jnp.corrcoef(jax.vmap(one)(jax.random.split(key, draws)).T)[0, 1]


def descents(key: Any, data: tuple[Any, Any], rate: float, steps: int) -> dict[int, Any]:
    """Paths from ``START`` with batches of each size; the loss is always that of all points."""
    start = jnp.array(START)
    paths = {}
    for size in SIZES:
        batch = jax.jit(
            lambda key=key, size=size: (
                descend(
                    loss,
                    optim.sgd(rate),
                    start,
                    steps,
                    lambda i: pick(jax.random.fold_in(key, i), data, size),
                ).params
            )
        )()
        paths[size] = batch
    return paths


def run(config: Config, page: Page) -> None:
    """Measure the noise, descend with each size of batch, and draw the paths."""
    draws, steps = (200, 40) if config.quick else (config.draws, config.steps)
    of_data, of_noise, of_paths = jax.random.split(jax.random.key(config.seed), 3)
    data = line_points(of_data, config.points)
    full = jax.grad(loss)(jnp.array(START), *data)
    measure = jax.jit(gradient_noise, static_argnums=(2, 3))
    noise = {size: measure(of_noise, data, size, draws) for size in (1, 5, 50)}
    each = inspect.per_example_gradients(lambda p, batch: loss(p, *batch), jnp.array(START), data)
    bias = float(jnp.max(jnp.abs(jnp.mean(each, 0) - full)))
    page.compare("mean of all examples' gradients minus the full gradient", bias, "0", source="linearity")
    for size in (5, 50):
        page.compare(
            f"variance of one example's gradient over that of {size}",
            noise[1][1] / noise[size][1],
            size,
            source="1 / batch size",
        )
    limit = float(inspect.stability_limit(lambda p, batch: loss(p, *batch), jnp.array(START), data))
    page.compare("largest stable rate of full steps", limit, source="")
    for together, wanted in ((True, ""), (False, "0")):
        what = "one example for both" if together else "an example for each"
        found = covariance_of_halves(of_noise, data, draws, together)
        page.compare(f"correlation of the slopes of w and b, {what}", found, wanted)
    paths = descents(of_paths, data, config.rate, steps)
    names = {1: "one example", 50: "mini-batch of 50", 1000: "all points"}
    losses = {
        names[size]: np.asarray(jax.vmap(lambda p: 2 * loss(p, *data))(path)) for size, path in paths.items()
    }
    grid = plots.Grid((-6.0, 6.0), (-7.0, 7.0))
    heights = grid.heights(jax.vmap(lambda p: 2 * loss(p, *data)))
    drawn = {names[size]: path for size, path in paths.items()}
    kinds: dict[str, Any] = {"x": "slope w", "y": "intercept b", "height": "mean squared error"}
    title = f"Three sizes of batch, rate {config.rate:g}"
    plots.surface(page.picture("paths.png"), title, grid, heights, drawn, losses=losses, **kinds)
    page.show(
        "Paths on the loss of all points",
        "The full gradient goes straight; one example at a time staggers, because each example pulls "
        "toward its own line. At the end what remains is the noise of the data, a loss of about "
        f"{NOISE**2:g}; single examples at this fixed rate keep circling above it.",
        "paths.png",
    )
    plots.animated_surface(
        page.picture("paths.gif"),
        title,
        grid,
        heights,
        drawn,
        losses=losses,
        frames=6 if config.quick else 40,
        **kinds,
    )
    page.show("The same, step by step", picture="paths.gif")
    rows = [(names[size], size, steps * size, losses[names[size]][-1]) for size in SIZES]
    page.table(
        "What a step costs",
        ("batch", "examples a step", f"examples in {steps} steps", "loss at the end"),
        rows,
        "For the price of one full step one may take twenty with batches of 50.",
    )
    page.correct(
        f"{COURSE}, code of the stochastic steps",
        "the slope of w and that of b are taken from different random examples",
        "one example, or one batch, for both: the mean is the same, but a direction from two examples is the "
        "gradient of neither, and the two slopes lose their correlation, as measured above",
    )


EXPERIMENT = Experiment("stochastic_descent", "Batch, mini-batch and single examples", Config, run)
