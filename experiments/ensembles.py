"""Many networks instead of one: ensembles, and k-fold cross-validation, each a single compiled program.

An ensemble averages the probabilities of networks that differ in nothing but their seed: their mistakes are
partly independent, so the average makes fewer. Cross-validation measures without a test set: the digits are
cut into folds, and a network is trained for each fold on all the others and scored on it. Folds are data, so
all of them, for all candidates, are trained side by side (``vmap``).

Run:     python -m experiments ensembles
Expect:  sixteen networks together make about a fifth fewer mistakes than one; five folds choose the width
Time:    about 40 s on two cores
Course:  From calculus to convolutional networks - overfitting
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import plots
from experiments.data import Pictures, load_digits
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import losses, metrics, optim, train

WIDTHS = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """How many networks, and how many folds."""

    members: int = 16
    """Networks of the ensemble."""
    folds: int = 5
    """Parts that the training digits are cut into."""
    epochs: int = 15
    """Passes over the digits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("members", self.members, least=2)
        check_whole("folds", self.folds, least=2)
        check_whole("epochs", self.epochs, least=1)


def build(width: int) -> nn.Layer:
    """``[batch, 8, 8] -> [batch, 10]`` logits."""
    return nn.chain(nn.flatten(), nn.dense(width), jax.nn.relu, nn.dense(10))


def make_train(config: Config, width: int, data: Any, scored: Any) -> Callable[[Any, Any], Any]:
    """Build ``train(key, order)``: learn the examples ``order [m]``, return probabilities of ``scored``."""
    model = build(width)
    objective = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))
    rule = optim.adam(3e-3)
    epoch = train.make_epoch(objective, rule, 32, donate=False)

    def run(key: Any, order: Any) -> Any:
        state = train.TrainState.create(objective, rule, key, data)

        def one(state: Any, number: Any) -> Any:
            mixed = jax.random.permutation(jax.random.fold_in(key, number), order)
            return epoch(state, data, mixed)[0], None

        state, _ = jax.lax.scan(one, state, jnp.arange(config.epochs))
        return jax.nn.softmax(model.apply(state.params, {}, scored)[0])

    return run


def ensemble(config: Config, data: Pictures) -> np.ndarray:
    """Probabilities of the test digits by each member, ``[members, digits, 10]``."""
    run = make_train(config, 32, (jnp.asarray(data.x), jnp.asarray(data.y)), jnp.asarray(data.x_test))
    keys = jax.random.split(jax.random.key(config.seed), config.members)
    everything = jnp.arange(len(data.x), dtype=jnp.int32)
    many = train.fit_many(lambda key, _: run(key, everything), keys)
    return np.asarray(many.results)


def together(probabilities: np.ndarray, labels: np.ndarray, count: int) -> float:
    """Mean accuracy of ensembles of ``count`` members, over all runs of neighbours ``[members, ...]``."""
    members = len(probabilities)
    chosen = [[(start + k) % members for k in range(count)] for start in range(members)]
    guesses = [probabilities[which].mean(0).argmax(1) for which in chosen]
    return float(np.mean([(guess == labels).mean() for guess in guesses]))


def cross_validate(config: Config, data: Pictures, widths: Sequence[int] = WIDTHS) -> np.ndarray:
    """Accuracy of every width on every fold, ``[widths, folds]``; each fold is scored by who never saw it."""
    size = len(data.x) // config.folds
    mixed = np.random.default_rng(config.seed).permutation(len(data.x))[: size * config.folds]
    held = mixed.reshape(config.folds, size)
    rest = np.stack([np.delete(held, fold, axis=0).ravel() for fold in range(config.folds)])
    pair = jnp.asarray(data.x), jnp.asarray(data.y)
    keys = jax.random.split(jax.random.key(config.seed), config.folds)
    scores = []
    for width in widths:
        run = make_train(config, width, pair, pair[0])
        found = jax.jit(jax.vmap(run))(keys, jnp.asarray(rest, jnp.int32))
        right = np.asarray(found).argmax(-1) == data.y[None]
        scores.append([right[fold, held[fold]].mean() for fold in range(config.folds)])
    return np.array(scores)


def run(config: Config, page: Page) -> None:
    """Train ensembles, validate widths, draw both."""
    if config.quick:
        config = replace(config, members=3, folds=2, epochs=2)
    widths = WIDTHS[-1:] if config.quick else WIDTHS
    data = load_digits()
    probabilities = ensemble(config, data)
    counts = np.arange(1, config.members + 1)
    accuracy = np.array([together(probabilities, data.y_test, int(count)) for count in counts])
    page.compare("test accuracy of one network, mean", accuracy[0])
    page.compare(f"test accuracy of {config.members} networks together", accuracy[-1])
    page.compare("mistakes that remain, of those of one network", (1 - accuracy[-1]) / (1 - accuracy[0]))
    scores = cross_validate(config, data, widths)
    mean, spread = scores.mean(1), scores.std(1, ddof=1)
    best = int(mean.argmax())
    page.compare(
        f"{config.folds}-fold accuracy of the best width, {widths[best]} units",
        mean[best],
        spread=spread[best],
    )
    plots.lines(
        page.picture("ensemble.png"), "One network, many networks",
        [("Mistakes by networks in the ensemble", {"share of test digits wrong": (counts, 1 - accuracy)})],
        x="networks", y="wrong",
    )  # fmt: skip
    page.show(
        "An ensemble",
        "The probabilities of the networks are averaged; each point is the mean over all ensembles of "
        "neighbours. The first few networks bring most of it.",
        "ensemble.png",
    )
    groups = {"median, middle 80 % of folds": (np.array(widths), scores.T)}
    plots.bands(
        page.picture("folds.png"), f"{config.folds}-fold cross-validation",
        [("Accuracy on the fold that was left out", groups, {})],
        x="hidden units", log="x",
    )  # fmt: skip
    rows = [(width, m, s) for width, m, s in zip(widths, mean, spread, strict=True)]
    page.table("Widths", ("hidden units", "accuracy, mean over folds", "spread"), rows)
    page.show(
        "Choosing without the test digits",
        "Every digit is scored once, by a network that has not seen it. So the test digits need not be "
        "looked at to choose a width, and still mean something afterwards.",
        "folds.png",
    )


EXPERIMENT = Experiment("ensembles", "Ensembles and cross-validation", Config, run)
