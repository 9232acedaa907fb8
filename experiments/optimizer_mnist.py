"""Every update rule on MNIST, at many learning rates and several seeds: which trains best, how surely.

A network of one hidden layer of 32 units sees five thousand digits four times in batches of 50. For each
rule, all rates and seeds are one compiled program (``train.fit_many``). The best rate is found for each rule
by the training loss; the table tells how wide the range of good rates is, for a rule that has to be tuned to
a hair's breadth is not as good as its best number.

Run:     python -m experiments optimizer_mnist
Expect:  at their best rates all but Rprop end between 0.87 and 0.90; no rule is far ahead of plain descent
Time:    about 2 minutes on two cores
Course:  Multi-layer networks and optimisation - update rules
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import plots
from experiments.data import load_mnist
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.surfaces import RULES
from jaxnn import losses, metrics, train

# Rules that the courses describe; the curves of all twenty would not be told apart.
DRAWN = ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "nadam")
BATCH = 50


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """How much is seen, and how often it is repeated."""

    examples: int = 5000
    """Training digits; half as many are tested."""
    epochs: int = 4
    """Passes over them."""
    seeds: int = 3
    """Networks for each rule and rate."""
    rates: int = 9
    """Learning rates, evenly spaced in logarithm from 0.0001 to 10."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("examples", self.examples, least=2 * BATCH)
        for name in ("epochs", "seeds", "rates"):
            check_whole(name, getattr(self, name), least=1)


def make_train(config: Config, rule: str, data: Any, test: Any) -> Callable[[Any, Any], Any]:
    """Build ``train(key, rate)``; it returns the training ``loss`` and the test ``accuracy`` by epoch."""
    model = nn.chain(nn.flatten(), nn.dense(32), jax.nn.relu, nn.dense(10))
    objective = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))

    def run(key: Any, rate: Any) -> Any:
        optimizer = RULES[rule](rate)
        epoch = train.make_epoch(objective, optimizer, BATCH, donate=False)
        state = train.TrainState.create(objective, optimizer, key, data)

        def one(state: Any, _: Any) -> Any:
            state, record = epoch(state, data)
            logits, _ = model.apply(state.params, {}, test[0])
            accuracy = (logits.argmax(-1) == test[1]).astype(jnp.float32).mean()
            return state, {"loss": record["loss"].compute(), "accuracy": accuracy}

        return jax.lax.scan(one, state, length=config.epochs)[1]

    return run


def sweep(config: Config, rules: tuple[str, ...]) -> tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]:
    """The rates, and for each rule ``loss`` and ``accuracy`` as ``[rates, seeds, epochs]``."""
    pictures = load_mnist().head(config.examples, config.examples // 2)
    data = jnp.asarray(pictures.x), jnp.asarray(pictures.y)
    test = jnp.asarray(pictures.x_test), jnp.asarray(pictures.y_test)
    rates = np.logspace(-4, 1, config.rates).astype(np.float32)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    found = {}
    for rule in rules:
        many = train.fit_many(make_train(config, rule, data, test), keys, jnp.asarray(rates))
        found[rule] = jax.tree.map(np.asarray, many.results)
    return rates, found


def best_rate(loss: np.ndarray) -> int:
    """The number of the rate with the lowest mean last loss; ``loss [rates, seeds, epochs]``."""
    last = loss[:, :, -1].mean(1)
    return int(np.where(np.isfinite(last), last, np.inf).argmin())


def run(config: Config, page: Page) -> None:
    """Sweep, tabulate, draw."""
    if config.quick:
        config = replace(config, examples=400, epochs=1, seeds=2, rates=3)
    rates, found = sweep(config, ("sgd", "adam") if config.quick else tuple(RULES))
    rows, curves = [], {}
    for rule, results in found.items():
        which, accuracy = best_rate(results["loss"]), results["accuracy"][:, :, -1].mean(1)
        good = accuracy > accuracy.max() - 0.02
        score = results["accuracy"][which, :, -1]
        spread = score.std(ddof=1) if config.seeds > 1 else 0.0
        rows.append((rule, f"{rates[which]:.2g}", results["loss"][which, :, -1].mean(), score.mean(), spread,
                     f"{good.sum()} of {config.rates}"))  # fmt: skip
        curves[rule] = accuracy
    rows.sort(key=lambda row: -row[3])
    page.compare(f"test accuracy at the best rate, {rows[0][0]}, the highest", rows[0][3], spread=rows[0][4])
    for row in rows[1:]:
        if row[0] in ("sgd", "momentum", "adam"):
            page.compare(f"test accuracy at the best rate, {row[0]}", row[3], spread=row[4])
    page.table(
        "The rules at their best rates",
        ("rule", "best rate", "training loss (nats)", "test accuracy", "spread over seeds", "good rates"),
        rows,
        f"{config.examples:,} digits, {config.epochs} epochs, {config.seeds} seeds. The best rate is that "
        "of the lowest training loss; *good rates* are those within two hundredths of the rule's best test "
        "accuracy, of rates that are a factor of four apart.",
    )
    shown = [rule for rule in DRAWN if rule in found]
    others = [rule for rule in found if rule not in DRAWN]
    panels = [("rules of the courses", {rule: (rates, curves[rule]) for rule in shown})]
    for start in range(0, len(others), 6):
        panels.append(("others", {rule: (rates, curves[rule]) for rule in others[start : start + 6]}))
    plots.lines(
        page.picture("rates.png"), "Test accuracy by learning rate", panels,
        x="learning rate", y="test accuracy", log="x",
    )  # fmt: skip
    page.show(
        "Every rule has its own scale of rates",
        "The curves have one shape, a slow rise and a sudden fall, at different places: rules that divide "
        "by the size of the gradient want a hundredth of the rate of plain descent.",
        "rates.png",
    )


EXPERIMENT = Experiment("optimizer_mnist", "Update rules on MNIST", Config, run)
