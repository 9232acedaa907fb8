"""Finding a learning rate in a hundred steps: let it grow at every step, and watch where the loss falls.

The range test of L. N. Smith ("Cyclical learning rates for training neural networks", 2017): the rate grows
by the same factor at every step of one short run. Where the loss falls most steeply, the rate is good; soon
after its lowest point it is too large. It is tried for three update rules with eight starts each, and judged:
networks trained at many rates show how good the suggested one is.

Run:     python -m experiments learning_rate_range
Expect:  suggestions that differ twentyfold between rules, each within a factor of three of the best rate
Time:    about 30 s on two cores
Course:  From calculus to convolutional networks - learning rates
Course:  Multi-layer networks and optimisation - learning rates
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import plots
from experiments.data import load_digits
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import inspect, losses, metrics, optim, train

RULES = {"sgd": optim.sgd, "momentum": optim.momentum, "adam": optim.adam}
LOW, HIGH = 1e-5, 10.0


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """How long the test is, and how its suggestion is judged."""

    steps: int = 100
    """Steps of the range test."""
    starts: int = 8
    """Initial weights that it is tried from."""
    rates: int = 13
    """Constant rates that networks are trained at, to judge it."""
    epochs: int = 5
    """Passes over the digits at each of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("steps", self.steps, least=20)
        for name in ("starts", "rates", "epochs"):
            check_whole(name, getattr(self, name), least=1)


def task() -> train.Objective:
    """Handwritten digits by a network of one hidden layer of 64 units."""
    model = nn.chain(nn.flatten(), nn.dense(64), jax.nn.relu, nn.dense(10))
    return train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))


def range_test(config: Config, rule: Callable[[Any], Any], data: Any) -> inspect.LrRange:
    """The range test from every start at once; arrays ``[starts, ...]``."""
    keys = jax.random.split(jax.random.key(config.seed), config.starts)

    def one(key: Any) -> Any:
        return inspect.lr_range(
            task(), rule, data, key=key, low=LOW, high=HIGH, steps=config.steps, batch_size=32
        )

    return jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(keys))


def make_train(config: Config, rule: Callable[[Any], Any], data: Any) -> Callable[[Any, Any], Any]:
    """Build ``train(key, rate)``, which returns the mean loss (nats) of the last epoch."""
    objective = task()

    def run(key: Any, rate: Any) -> Any:
        optimizer = rule(rate)
        epoch = train.make_epoch(objective, optimizer, 32, donate=False)
        state = train.TrainState.create(objective, optimizer, key, data)

        def one(state: Any, _: Any) -> Any:
            state, record = epoch(state, data)
            return state, record["loss"].compute()

        return jax.lax.scan(one, state, length=config.epochs)[1][-1]

    return run


def run(config: Config, page: Page) -> None:
    """Test, train, compare, draw."""
    if config.quick:
        config = replace(config, steps=40, starts=2, rates=3, epochs=1)
    rules = {"adam": RULES["adam"]} if config.quick else RULES
    digits = load_digits()
    data = jnp.asarray(digits.x), jnp.asarray(digits.y)
    rates = np.logspace(np.log10(LOW), np.log10(HIGH), config.rates).astype(np.float32)
    keys = jax.random.split(jax.random.key(config.seed), 2)
    panels, rows = [], []
    for name, rule in rules.items():
        found = range_test(config, rule, data)
        trained = np.asarray(train.fit_many(make_train(config, rule, data), keys, jnp.asarray(rates)).results)
        after = trained.mean(1)
        best = float(rates[np.where(np.isfinite(after), after, np.inf).argmin()])
        suggestion = float(np.median(found.suggestion))
        page.compare(f"{name}: suggested rate, median of {config.starts} starts", suggestion,
                     f"{best:.2g} is the best of {config.rates} in training")  # fmt: skip
        near = float(np.interp(np.log(suggestion), np.log(rates), after))
        rows.append((name, f"{suggestion:.2g}", f"{np.median(found.diverged):.2g}", f"{best:.2g}",
                     f"{np.nanmin(after):.3g}", f"{near:.3g}"))  # fmt: skip
        shown = np.clip(found.smoothed, 0, 4)
        ends = np.where(np.isfinite(after) & (after < 4), after, np.nan)
        panels.append((
            name,
            {"range test, smoothed loss of each batch": (found.rates[0], np.nan_to_num(shown, nan=4.0))},
            {f"trained {config.epochs} epochs at one rate": (rates, ends),
             f"suggested: {suggestion:.2g}": ([suggestion], [0.05])},
        ))  # fmt: skip
    plots.bands(page.picture("range.png"), "Loss (nats) by learning rate", panels, x="learning rate", log="x")
    page.show(
        "A hundred steps against whole trainings",
        "The line is the loss while the rate grows (median and middle 80 % of the starts), the circles are "
        "networks that were trained at one rate. At the left nothing is learnt yet, at the right everything "
        "is lost; the suggestion is where the line falls most steeply, two or three times the best rate of "
        "a whole training.",
        "range.png",
    )
    page.table(
        "The suggestions",
        (
            "rule",
            "suggested",
            "test diverges at",
            "best rate in training",
            "its loss",
            "loss at the suggestion",
        ),
        rows,
    )


EXPERIMENT = Experiment("learning_rate_range", "Finding a learning rate", Config, run)
