"""A small network on a disc inside a ring: the plateau at ln 2, and how a closed border forms.

2-25-25-1 with sigmoids, 751 parameters, batches of 100. With the rate 0.01 that ``SGD()`` has, ten epochs
end where they began, at the loss of a coin. ``SGD(0.9)`` is a rate of 0.9: after a while on the plateau the
border closes around the disc. With rectified units there is no plateau. Maps are drawn every 50 epochs.

Run:     python -m experiments ring_network
Expect:  a loss near ln 2 = 0.693 after ten epochs at rate 0.01; accuracy above 0.99 after 500 at rate 0.9
Time:    about 8 s on two cores
Course:  From calculus to convolutional networks - features
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import plots
from experiments.data import plane
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import losses, metrics, optim, train

COURSE = "From calculus to convolutional networks"
PLATEAU = "0.6922322082519531"


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """A network on a ring."""

    points: int = 1000
    """Training points."""
    epochs: int = 500
    """Passes over them."""
    every: int = 50
    """Epochs from one map to the next."""
    seeds: int = 3
    """Data sets and networks, each from its own seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("points", "epochs", "every", "seeds"):
            check_whole(name, getattr(self, name), least=1)
        if self.points < 100:
            raise ValueError(f"points: expected at least the 100 of a batch, got {self.points}")


def build(activation: Callable[[Any], Any]) -> nn.Layer:
    """``[n, 2] -> [n, 1]`` logits; the course's last sigmoid is in the loss."""
    init = (
        jax.nn.initializers.he_normal() if activation is jax.nn.relu else jax.nn.initializers.glorot_uniform()
    )
    return nn.chain(
        nn.dense(25, kernel_init=init),
        activation,
        nn.dense(25, kernel_init=init),
        activation,
        nn.dense(1, kernel_init=init),
    )


def make_train(
    config: Config, activation: Callable[[Any], Any], grid: plots.Grid
) -> Callable[..., dict[str, Any]]:
    """Build ``train(key, rate)``, pure: losses and accuracies by epoch, maps, test accuracy, the points."""
    model = build(activation)
    task = train.supervised(model, losses.binary_cross_entropy, (metrics.binary_accuracy,))

    def run(key: Any, rate: Any) -> dict[str, Any]:
        of_train, of_test, of_weights = jax.random.split(key, 3)
        data, test = plane.ring(of_train, config.points), plane.ring(of_test, 10 * config.points)
        batch = (data.x, data.y[:, None])
        rule = optim.sgd(rate)
        epoch = train.make_epoch(task, rule, 100)
        state = train.TrainState.create(task, rule, of_weights, batch)

        def one(state: Any, _: None) -> tuple[Any, dict[str, Any]]:
            state, record = epoch(state, batch)
            return state, {name: record[name].compute() for name in ("loss", "binary_accuracy")}

        def some(state: Any, _: None) -> tuple[Any, Any]:
            mapped = grid.heights(lambda x: jax.nn.sigmoid(model.apply(state.params, {}, jnp.asarray(x))[0]))
            state, told = jax.lax.scan(one, state, length=config.every)
            return state, (mapped, told)

        state, (maps, told) = jax.lax.scan(some, state, length=config.epochs // config.every)
        last = grid.heights(lambda x: jax.nn.sigmoid(model.apply(state.params, {}, jnp.asarray(x))[0]))
        right = (model.apply(state.params, {}, test.x)[0][:, 0] > 0) == (test.y == 1)
        told = jax.tree.map(lambda leaf: leaf.reshape(-1), told)
        return {**told, "maps": jnp.concatenate([maps, last[None]]), "test": jnp.mean(right), "data": data}

    return run


def run(config: Config, page: Page) -> None:
    """Train with both rates and both activations, and draw losses and maps."""
    if config.quick:
        config = replace(config, points=200, epochs=20, every=5, seeds=2)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    grid = plots.Grid((-6.0, 6.0), (-6.0, 6.0), 60)
    sigmoid = train.fit_many(make_train(config, jax.nn.sigmoid, grid), keys, jnp.array([0.01, 0.9]))
    relu = train.fit_many(make_train(config, jax.nn.relu, grid), keys, jnp.array([0.1]))
    runs = {
        "sigmoid, rate 0.01": jax.tree.map(lambda leaf: leaf[0], sigmoid.results),
        "sigmoid, rate 0.9": jax.tree.map(lambda leaf: leaf[1], sigmoid.results),
        "ReLU, rate 0.1": jax.tree.map(lambda leaf: leaf[0], relu.results),
    }
    after = min(10, config.epochs)
    plateau = np.asarray(runs["sigmoid, rate 0.01"]["loss"])[:, after - 1]
    page.compare("loss after ten epochs, sigmoid, rate 0.01, nats", plateau.mean(), PLATEAU, source=COURSE)
    wanted = {"sigmoid, rate 0.9": "> 0.99", "ReLU, rate 0.1": "> 0.99"}
    for name, one in runs.items():
        shares = np.asarray(one["test"])
        spread = shares.std(ddof=1) if config.seeds > 1 else None
        page.compare(
            f"test accuracy, {name}", shares.mean(), wanted.get(name, ""), spread=spread, source="aim"
        )
    epochs = np.arange(1, len(np.asarray(runs["ReLU, rate 0.1"]["loss"])[0]) + 1)
    curves = {name: (epochs, np.asarray(one["loss"]).mean(0)) for name, one in runs.items()}
    curves["ln 2, a coin"] = (epochs, np.full(len(epochs), np.log(2)))
    plots.lines(
        page.picture("losses.png"),
        "On and off the plateau",
        [("", curves)],
        x="epoch",
        y="loss (nats)",
        log="xy",
        width=8,
    )
    page.show(
        "The plateau",
        "At first every point gets about the same probability, and the network learns only how many there "
        "are of each class. To do better it has to bend a line into a ring, for which there is hardly any "
        "slope. A bigger rate, or units with a slope of one, leave the plateau sooner. Means over seeds.",
        "losses.png",
    )
    best = jax.tree.map(lambda leaf: leaf[0], runs["sigmoid, rate 0.9"])
    points, labels = best["data"]
    frames = np.arange(len(best["maps"])) * config.every
    accuracy = np.concatenate([[0.5], np.asarray(best["binary_accuracy"])])[frames]
    plots.animated_decision_map(
        page.picture("maps.gif"),
        "Sigmoids, rate 0.9",
        grid,
        best["maps"],
        points,
        labels,
        steps=frames,
        curve=accuracy,
        x="epoch",
        y="training accuracy",
        seconds=6,
    )
    page.show(f"The map, every {config.every} epochs", picture="maps.gif")
    final = [
        plots.DecisionMap(name, grid, one["maps"][0, -1], *jax.tree.map(lambda leaf: leaf[0], one["data"]))
        for name, one in runs.items()
    ]
    plots.decision_maps(page.picture("maps.png"), f"After {config.epochs} epochs", final, columns=3)
    page.show(
        "Where they end", "Sigmoids draw a round border, rectified units one of straight pieces.", "maps.png"
    )
    page.correct("SGD(0.9)", "read as a momentum of 0.9", "the first argument is the learning rate")
    page.correct(
        "epochs",
        "epochs called iterations",
        "an epoch is one pass over the data; iterations = epochs x ceil(points / batch)",
    )
    page.correct(
        "PyTorch and Keras slides",
        "a comma missing after nn.ReLU(), Input(sgape=), a layer applied to itself, "
        "print(history), two outputs in one and one in the other",
        "a comma; shape; layer2 = Dense(...)(layer1); history.history; the same number of outputs",
    )


EXPERIMENT = Experiment("ring_network", "A network that closes a ring", Config, run)
