"""The first steps of every update rule, on the simplest function, where they can be checked by hand.

One parameter, J = theta^2 / 2, so that the gradient is theta itself; start at 1. The pages of the courses
describe momentum, Nesterov's accelerated gradient, Adagrad, Adadelta, RMSprop, Adam, Nadam, AMSGrad and
Rprop; every rule of ``jaxnn.optim`` makes its steps here, side by side, in float64.

Run:     python -m experiments optimizer_steps
Expect:  momentum .9, .72, .486, .2268; Nesterov .9, .729, .51759, .2945889
Time:    about 8 s
Course:  Multi-layer networks and optimisation - update rules
Course:  From calculus to convolutional networks - update rules
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import plots
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.surfaces.rules import RULES
from jaxnn import optim

COURSE = "Multi-layer networks and optimisation"
DECK = "From calculus to convolutional networks"
CNN = "Recurrent, convolutional and embedding networks"
DERIVED = "derived from the rule"
STEPS = 60


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Which rate the rules have."""

    learning_rate: float = 0.1
    """Step size of every rule."""


def walk(rule: optax.GradientTransformation, steps: int, start: float = 1.0) -> np.ndarray:
    """Theta after each step of a rule on theta^2 / 2, ``[steps + 1]``, in float64."""
    with jax.enable_x64(True):
        theta = jnp.full((1, 1), start, jnp.float64)  # a matrix, which Muon needs

        def step(carry: Any, _: Any) -> Any:
            theta, state = carry
            updates, state = rule.update(theta, state, theta)
            new: Any = optax.apply_updates(theta, updates)
            return (new, state), new[0, 0]

        _, path = jax.jit(lambda: jax.lax.scan(step, (theta, rule.init(theta)), length=steps))()
        return np.concatenate([[start], np.asarray(path)])


def look_back(ahead: np.ndarray, momentum: float = 0.9) -> np.ndarray:
    """Nesterov's theta ``[steps + 1]`` from the points where the gradient is taken, ``[steps + 1]``.

    The rule holds ``ahead = theta - momentum v``, with ``v`` the last step; the courses print theta.
    """
    theta = [ahead[0]]
    for point in ahead[1:]:
        theta.append((point + momentum * theta[-1]) / (1 + momentum))
    return np.array(theta)


def first_step(rule: Callable[..., optax.GradientTransformation], rate: float = 1.0, **options: Any) -> float:
    """How far a rule goes at the first step when the gradient is 1, in units of its rate."""
    return float((1 - walk(rule(rate, **options), 1)[1]) / rate)


def run(config: Config, page: Page) -> None:
    """Step, compare with the rules worked out by hand, draw."""
    steps = 12 if config.quick else STEPS
    momentum = walk(optim.momentum(0.1), 4)
    nesterov = look_back(walk(optim.nesterov(0.1), 4))
    for name, path, expected in (
        ("momentum", momentum, (0.9, 0.72, 0.486, 0.2268)),
        ("Nesterov", nesterov, (0.9, 0.729, 0.51759, 0.2945889)),
    ):
        for number, value in enumerate(expected, 1):
            page.compare(f"{name}: theta after step {number}", path[number], value, source=DERIVED)
    keras = {"form": "keras", "eps": 1e-7}
    page.compare(
        "Adadelta: first step for a gradient of 1", first_step(optim.adadelta, **keras), 0.0014142,
        source=DERIVED,
    )  # fmt: skip
    page.compare(
        "RMSprop, decay 0.9: first step in rates",
        first_step(optim.rmsprop, decay=0.9),
        "3.16228, 1 / sqrt(0.1)",
        source=DERIVED,
    )
    page.compare("Adam: first step in rates", first_step(optim.adam), "about 1", source=DERIVED)
    paths = {name: walk(rule(config.learning_rate), steps) for name, rule in RULES.items()}
    numbers = np.arange(steps + 1)
    names = list(paths)
    panels = [
        ("", {name: (numbers, paths[name]) for name in names[start : start + 7]})
        for start in range(0, len(names), 7)
    ]
    plots.lines(
        page.picture("paths.png"), f"theta, step by step, at rate {config.learning_rate:g}", panels,
        x="step", y="theta",
    )  # fmt: skip
    page.show(
        "Every rule on a parabola",
        "Momentum and Nesterov swing past the minimum, Nesterov less: it takes the slope where it is about "
        "to arrive. Rules that divide by the size of the gradient (Adam and its kin, RMSprop, Rprop, Lion, "
        "Muon) begin with a step of about their rate, however steep the slope is. Adadelta, whose first "
        "steps are of the order of the root of its epsilon, hardly moves.",
        "paths.png",
    )
    rows = [(name, *(f"{path[k]:.6f}" for k in (1, 2, 3, 4))) for name, path in paths.items()]
    page.table("The first four steps", ("rule", "1", "2", "3", "4"), rows, "From theta = 1.")
    page.correct(
        DECK,
        "`SGD(0.9)` is read as momentum 0.9",
        f"its first argument is the learning rate; theta after one step is {walk(optim.sgd(0.9), 1)[1]:.1f} "
        f"with rate 0.9, {walk(optim.momentum(0.1, 0.9), 1)[1]:.1f} with rate 0.1 and momentum 0.9",
    )
    page.correct(
        CNN,
        "`Adadelta()`, without a rate",
        "it learns with the rate 1 that Keras 2.0 had; with the 0.001 of later versions a step is a "
        "thousandth of that",
    )


EXPERIMENT = Experiment("optimizer_steps", "The first steps of every update rule", Config, run)
