"""Activation functions and their slopes: what they let through, and where they go deaf.

Step, logistic sigmoid, tanh, ReLU, softplus, leaky ReLU and maxout on one pair of axes, with the derivatives
that ``jax.grad`` gives; identities between them; softmax; and why each is written the way it is written:
the formula of the book overflows where the one in the library does not.

Run:     python -m experiments activations
Expect:  every identity to rounding, and finite values and slopes at -1000 and 1000
Time:    about 5 s on two cores
Course:  Multi-layer networks and optimisation - activations
Course:  Back-propagation - activations
Course:  Deep learning, day 1 - activations
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import plots
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page

NOTEBOOK, DAY = "Multi-layer networks and optimisation", "Deep learning, day 1"


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Activation functions; nothing in it is random."""


def corner(x: Any) -> Any:
    """A maxout unit: the larger of two lines, which it learns."""
    return jnp.maximum(0.5 * x + 0.4, -0.8 * x - 0.6)


def step(x: Any) -> Any:
    """1 where ``x >= 0`` and 0 elsewhere, with its true slope, 0."""
    return nn.step("zero").apply({}, {}, x)[0]


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "step": step,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "ReLU": jax.nn.relu,
    "softplus": jax.nn.softplus,
    "leaky ReLU": lambda x: jax.nn.leaky_relu(x, 0.1),
    "maxout of 2 lines": corner,
    "identity": lambda x: x,
}


def curves() -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Points from -3 to 3 in steps of 0.01, and the values and slopes of every function there."""
    x = np.arange(-300, 301) / 100
    points = jnp.asarray(x)
    values = {name: np.asarray(function(points)) for name, function in FUNCTIONS.items()}
    slopes = {name: np.asarray(jax.vmap(jax.grad(function))(points)) for name, function in FUNCTIONS.items()}
    return x, values, slopes


def identities() -> list[tuple[str, float]]:
    """Name of each identity, and the largest difference of its sides on [-3, 3]."""
    x = jnp.linspace(-3, 3, 601)
    s = jax.nn.sigmoid

    def slope(function: Callable[[Any], Any]) -> Any:
        return jax.vmap(jax.grad(function))(x)

    sides = {
        "tanh x = 2 s(2x) - 1": (jnp.tanh(x), 2 * s(2 * x) - 1),
        "s'(x) = s(x) (1 - s(x))": (slope(s), s(x) * (1 - s(x))),
        "tanh'(x) = 1 - tanh^2 x": (slope(jnp.tanh), 1 - jnp.tanh(x) ** 2),
        "softplus' = s": (slope(jax.nn.softplus), s(x)),
        "ReLU x = maxout of 0 and x": (jax.nn.relu(x), jnp.maximum(0, x)),
        "softmax(x + c) = softmax(x)": (jax.nn.softmax(x), jax.nn.softmax(x + 100)),
        "softmax of (x, 0) = s(x)": (jax.nn.softmax(jnp.stack([x, 0 * x]), axis=0)[0], s(x)),
    }
    return [(name, float(jnp.max(jnp.abs(a - b)))) for name, (a, b) in sides.items()]


def extremes() -> list[tuple[str, str, str, str]]:
    """The formula of the book and the one of the library far from 0, in float32: name, where, both."""
    cases: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any], float]] = [
        ("sigmoid", lambda x: jnp.exp(x) / (1 + jnp.exp(x)), jax.nn.sigmoid, 1000.0),
        ("sigmoid's slope", jax.grad(lambda x: 1 / (1 + jnp.exp(-x))), jax.grad(jax.nn.sigmoid), -1000.0),
        ("softplus", lambda x: jnp.log(1 + jnp.exp(x)), jax.nn.softplus, 1000.0),
        ("tanh", lambda x: jnp.sinh(x) / jnp.cosh(x), jnp.tanh, 1000.0),
        ("softmax of (x, 0)", lambda x: jnp.exp(x) / (jnp.exp(x) + 1),
         lambda x: jax.nn.softmax(jnp.stack([x, 0 * x]))[0], 1000.0),
    ]  # fmt: skip
    return [
        (name, f"{x:g}", f"{float(book(jnp.float32(x))):g}", f"{float(library(jnp.float32(x))):g}")
        for name, book, library, x in cases
    ]


def run(config: Config, page: Page) -> None:
    """Draw the functions and their slopes, and check what is said about them."""
    del config
    with jax.enable_x64(True):
        x, values, slopes = curves()
        checked = identities()
        s = jax.nn.sigmoid
        page.compare("sigmoid at 1", s(1.0), "0.7310585786300049", source="derived")
        page.compare("slope of the sigmoid at 0", jax.grad(s)(0.0), 0.25, source="derived")
        page.compare("softplus at 0", jax.nn.softplus(0.0), "0.6931471805599453", source="ln 2")
        page.compare("slope of the ReLU at 0", jax.grad(jax.nn.relu)(0.0), 0, source="both courses' code")
        page.compare("step at 0", step(jnp.array(0.0)), 1, source=f"{DAY}, its formula")
        probabilities = jax.nn.softmax(jnp.array([4.59, 9.2, 4.79, 9.4]))
        page.compare("sum of a softmax", jnp.sum(probabilities), 1, source=DAY)
    plots.lines(
        page.picture("functions.png"),
        "Activations, and their slopes",
        [
            (
                "g(x)",
                {name: (x, np.where(np.abs(value) <= 1.5, value, np.nan)) for name, value in values.items()},
            ),
            ("g'(x)", {name: (x, value) for name, value in slopes.items()}),
        ],
        x="x",
        width=13,
    )
    page.show(
        "Values and slopes",
        "Left between -1.5 and 1.5, as the course draws them. The slope says how much of an error passes "
        "back: never more than a quarter through a sigmoid, all of it or nothing through a ReLU, something "
        "always through its leaky form, and nothing through a step, which is why a step cannot be trained "
        "this way. A ReLU whose input is negative for every example gets no gradient any more: it is dead.",
        "functions.png",
    )
    page.table("Identities", ("identity", "largest difference on [-3, 3]"), checked)
    page.table(
        "Far from zero", ("function", "x", "as the book writes it", "as the library computes it"), extremes(),
        "e^1000 is no number that a computer has. The library's forms never take the exponential of "
        "something large: softmax subtracts the largest entry first, which changes nothing, as the "
        "identity above says.",
    )  # fmt: skip
    page.correct(f"{DAY}, code of the step function", "0 at x = 0, and for single numbers only",
                 "1 at x = 0, as its formula says: (x >= 0) works for arrays too")  # fmt: skip
    page.correct(
        f"{DAY}, code of softmax",
        "x = x.Tx, --np.max, Sum(), 0,1 and lost indentation: damage of a translation",
        "x = x.T; x - np.max(x, axis=0); np.exp(x).sum(axis=0); 0.1; one return for each branch",
    )
    page.correct(
        f"{NOTEBOOK}, drawback of the ReLU", "its gradient explodes for big values",
        "its slope is never more than 1; it is the activations that are unbounded",
    )  # fmt: skip


EXPERIMENT = Experiment("activations", "Activation functions and their slopes", Config, run)
