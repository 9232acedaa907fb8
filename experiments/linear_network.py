"""A hundred linear units are one linear unit: the first Keras demo, and a test on another function.

4-100-1 without activations, 601 parameters, learns y = 0 x0 + 1 x1 + 2 x2 + 3 x3 from 8,000 points; its
kernels multiply out to those four weights. The course then tests it on targets made by another formula, the
sum of j x_j^j, and so a perfect model scores a mean squared error of 1.319 there.

Run:     python -m experiments linear_network
Expect:  weights 0, 1, 2, 3; an error near 0 on the same targets and near 1.319 on the course's
Time:    about 6 s on two cores
Course:  From calculus to convolutional networks - regression
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import plots
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import losses, optim, train

COURSE = "From calculus to convolutional networks"
FLOOR = 1.3190476  # (13 / 12)^2 for the shift of the mean, and 0.1454365 for the rest


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """A network without activations."""

    points: int = 10_000
    """Points, of which the last fifth is for validation; as many test points."""
    epochs: int = 10
    """Passes over the training points."""
    seeds: int = 3
    """Networks, each from its own seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("points", self.points, least=20)
        check_whole("epochs", self.epochs, least=1)
        check_whole("seeds", self.seeds, least=1)


def weighted(x: Any) -> Any:
    """``sum of j x_j``: ``[n, 4] -> [n, 1]``."""
    return x @ jnp.arange(4.0)[:, None]


def with_powers(x: Any) -> Any:
    """``sum of j x_j^j``, what the course tests on: ``[n, 4] -> [n, 1]``."""
    return jnp.stack([x[:, j] ** j for j in range(4)], axis=1) @ jnp.arange(4.0)[:, None]


def build() -> nn.Layer:
    """``[n, 4] -> [n, 1]``."""
    glorot = jax.nn.initializers.glorot_uniform()
    return nn.chain(nn.dense(100, kernel_init=glorot), nn.dense(1, kernel_init=glorot))


def make_train(config: Config) -> Callable[..., dict[str, Any]]:
    """Build ``train(key, hyper=None)``, pure: losses by epoch, the product of the kernels, test errors."""
    model, rule = build(), optim.adam(1e-3)
    task = train.supervised(model, losses.squared_error)
    epoch = train.make_epoch(task, rule, 10)
    kept = config.points * 4 // 5

    def run(key: Any, hyper: None = None) -> dict[str, Any]:
        del hyper
        of_train, of_test, of_weights = jax.random.split(key, 3)
        x = jax.random.uniform(of_train, (config.points, 4))
        test = jax.random.uniform(of_test, (config.points, 4))
        state = train.TrainState.create(task, rule, of_weights, (x[:1], weighted(x[:1])))

        def error(params: Any, x: Any, y: Any) -> Any:
            return jnp.mean(losses.squared_error(model.apply(params, {}, x)[0], y))

        def one(state: Any, _: None) -> tuple[Any, tuple[Any, Any]]:
            state, record = epoch(state, (x[:kept], weighted(x[:kept])))
            return state, (record["loss"].compute(), error(state.params, x[kept:], weighted(x[kept:])))

        state, (loss, validation) = jax.lax.scan(one, state, length=config.epochs)
        params = state.params
        return {
            "loss": loss,
            "validation": validation,
            "weights": (params["dense_0"]["kernel"] @ params["dense_1"]["kernel"])[:, 0],
            "same": error(params, test, weighted(test)),
            "other": error(params, test, with_powers(test)),
        }

    return run


def run(config: Config, page: Page) -> None:
    """Train, multiply the kernels out, and test on both targets."""
    if config.quick:
        config = replace(config, points=500, epochs=2, seeds=2)
    many = train.fit_many(make_train(config), jax.random.split(jax.random.key(config.seed), config.seeds))
    found = jax.device_get(many.results)
    for j in range(4):
        values = found["weights"][:, j]
        page.compare(
            f"weight of x{j}, multiplied out", values.mean(), j, spread=values.std(), source="the data"
        )
    page.compare("test error on the same targets", found["same"].mean(), "0", source="the data")
    page.compare(
        "test error on the course's targets", found["other"].mean(), FLOOR, source=f"derived from {COURSE}"
    )
    epochs = np.arange(1, config.epochs + 1)
    curves = {name: (epochs, np.maximum(found[name].mean(0), 1e-14)) for name in ("loss", "validation")}
    plots.lines(page.picture("loss.png"), "Mean squared error", [("", curves)], x="epoch", log="y", width=7)
    page.show(
        "Nothing but a line",
        "Linear layers after each other are one linear layer, however many units they have: the product of "
        "the two kernels is all that counts. What makes depth worth while are the activations between.",
        "loss.png",
    )
    page.correct(
        "first demo, test data",
        "training targets are the sum of j x_j, test targets the sum of j x_j^j",
        "the same formula for both; a perfect model has a test error of 1.3190476 on the course's",
    )


EXPERIMENT = Experiment("linear_network", "A network without activations", Config, run)
