"""Vanishing gradients, layer by layer: sigmoid, tanh and ReLU in a deep network, and the remedies.

A gradient that passes a sigmoid is multiplied by at most a quarter, and after eight of them little is left
for the first layer. The norms of all layers' gradients are measured by ``inspect.gradient_flow`` in the very
first step of training; then each network is trained with each remedy that the courses name, and a few that
came later, on points whose class is the sign of x times y. Seeds run side by side in one ``fit_many``.

Run:     python -m experiments vanishing_gradients
Expect:  sigmoids do not learn by plain descent; tanh, ReLU, Rprop or batch normalisation reach 0.97 and more
Time:    about 1 minute on two cores
Course:  Multi-layer networks and optimisation - vanishing gradients
Course:  From calculus to convolutional networks - vanishing gradients
Course:  Deep learning, day 1 - vanishing gradients
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnn as nn
from experiments import plots
from experiments.data import plane
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import inspect, losses, metrics, optim, train

NOTEBOOK, DECK = "Multi-layer networks and optimisation", "From calculus to convolutional networks"
GLOROT, HE = jax.nn.initializers.glorot_normal(), jax.nn.initializers.he_normal()


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Deep networks on points of the plane."""

    depth: int = 8
    """Hidden layers."""
    width: int = 32
    """Units in each of them."""
    points: int = 256
    """Training points; every step sees all of them."""
    steps: int = 1000
    """Steps of training."""
    seeds: int = 5
    """Networks of each kind, each from its own seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("depth", "width", "points", "steps", "seeds"):
            check_whole(name, getattr(self, name), least=1)


@dataclass(frozen=True)
class Remedy:
    """A way to build and train a deep network."""

    activation: Callable[[Any], Any]
    rule: Callable[[], optax.GradientTransformation]
    kernel_init: Any = GLOROT
    normalised: bool = False
    residual: bool = False


REMEDIES = {
    "sigmoid, descent": Remedy(jax.nn.sigmoid, lambda: optim.sgd(0.1)),
    "tanh, descent": Remedy(jnp.tanh, lambda: optim.sgd(0.1)),
    "ReLU, descent": Remedy(jax.nn.relu, lambda: optim.sgd(0.1), HE),
    "softplus, descent": Remedy(jax.nn.softplus, lambda: optim.sgd(0.1)),
    "sigmoid, Rprop": Remedy(jax.nn.sigmoid, lambda: optim.rprop(1e-3)),
    "sigmoid, RMSprop": Remedy(jax.nn.sigmoid, lambda: optim.rmsprop(3e-3)),
    "sigmoid, batch norm": Remedy(jax.nn.sigmoid, lambda: optim.sgd(0.1), normalised=True),
    "sigmoid, shortcuts": Remedy(jax.nn.sigmoid, lambda: optim.sgd(0.1), residual=True),
}


def build(config: Config, remedy: Remedy) -> nn.Layer:
    """``[n, 2] -> [n, 1]`` logits through ``config.depth`` hidden layers of one kind."""

    def hidden(first: bool) -> nn.Layer:
        dense = nn.dense(config.width, kernel_init=remedy.kernel_init)
        norm = [nn.batch_norm()] if remedy.normalised else []
        inner = nn.chain(dense, *norm, remedy.activation)
        return nn.residual(inner) if remedy.residual and not first else inner

    # Numbered names, so that alphabetical order is the order of the layers.
    layers = {f"layer_{number:03}": hidden(number == 0) for number in range(config.depth)}
    return nn.chain(**layers, output=nn.dense(1, kernel_init=remedy.kernel_init))


def make_train(config: Config, remedy: Remedy) -> Callable[..., dict[str, Any]]:
    """Build ``train(key, hyper=None)``, pure: ``accuracy`` ``[steps]`` and first ``norms`` ``[layers]``."""
    task = train.supervised(build(config, remedy), losses.binary_cross_entropy, (metrics.binary_accuracy,))
    watched = inspect.gradient_flow(task)
    step = train.make_step(task, remedy.rule())
    look = train.make_step(watched, remedy.rule())

    def run(key: Any, hyper: None = None) -> dict[str, Any]:
        del hyper
        of_points, of_weights = jax.random.split(key)
        x, y = plane.quadrants(of_points, config.points)
        batch = (x / 5, y[:, None])
        state = train.TrainState.create(task, remedy.rule(), of_weights, batch)
        _, seen = look(state, batch)
        # Of the layers with weights; a normalisation's scale has a gradient of its own.
        names = sorted(name for name in seen if name.startswith("gradient_norm") and "batch_norm" not in name)

        def one(state: Any, _: None) -> tuple[Any, Any]:
            state, record = step(state, batch)
            return state, record["binary_accuracy"].compute()

        _, accuracy = jax.lax.scan(one, state, length=config.steps)
        return {
            "accuracy": accuracy,
            "norms": jnp.stack([seen[name].compute() for name in names]),
        }

    return run


def run(config: Config, page: Page) -> None:
    """Measure the first gradients, train everything, and draw both."""
    if config.quick:
        config = replace(config, depth=5, width=8, points=64, steps=30, seeds=2)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    shown = dict(list(REMEDIES.items())[::3]) if config.quick else REMEDIES
    many = {name: train.fit_many(make_train(config, remedy), keys) for name, remedy in shown.items()}
    norms = {name: np.exp(np.log(np.asarray(one.results["norms"])).mean(0)) for name, one in many.items()}
    layers = np.arange(1, config.depth + 2)

    bound = 0.25**5
    page.compare("most that five sigmoids let through", float(jax.grad(jax.nn.sigmoid)(0.0)) ** 5, bound,
                 source="(1/4)^5")  # fmt: skip
    for name, values in norms.items():
        page.compare(f"first layer's gradient over the last's, {name}", values[0] / values[-1])
    for name, one in many.items():
        last = np.asarray(one.results["accuracy"])[:, -1]
        spread = last.std(ddof=1) if config.seeds > 1 else None
        page.compare(f"accuracy after {config.steps} steps, {name}", last.mean(), spread=spread)

    plots.lines(
        page.picture("gradients.png"), "Gradient of each layer's weights in the first step",
        [("", {name.removesuffix(", descent"): (layers, values) for name, values in norms.items()
               if "prop" not in name})],
        x="layer, from the input to the output", y="norm of the gradient", log="y", width=9,
    )  # fmt: skip
    page.show(
        "The gradient on its way back",
        "Read from right to left: the gradient starts at the output and falls by the slope of each "
        "activation it passes. Through sigmoids it loses a factor of about five a layer, and the first "
        "layers hear nothing of the error. Means over seeds, of logarithms.",
        "gradients.png",
    )
    steps = np.arange(1, config.steps + 1)
    plots.lines(
        page.picture("training.png"),
        "Training with each remedy",
        [("", {name: (steps, np.asarray(one.results["accuracy"]).mean(0)) for name, one in many.items()})],
        x="step",
        y="accuracy",
        log="x",
        width=9,
    )
    page.show(
        "The remedies",
        f"Means over {config.seeds} seeds. Rprop takes the sign of each gradient and RMSprop divides by its "
        "size, so a tiny gradient moves weights as far as a big one; ReLU and softplus shrink less; "
        "normalisation brings every layer's input back to where the sigmoid is steep; a shortcut lets the "
        "gradient pass beside it. Not every remedy that is named is enough: here softplus, RMSprop alone "
        "and shortcuts alone leave the network near a coin's accuracy in these steps.",
        "training.png",
    )
    page.correct(
        f"{NOTEBOOK}, remedies",
        "dropout against vanishing gradients",
        "dropout is a regulariser; it makes no gradient larger",
    )


EXPERIMENT = Experiment("vanishing_gradients", "Vanishing gradients and their remedies", Config, run)
