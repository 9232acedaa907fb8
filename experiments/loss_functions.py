"""Losses and the gradients they send back: why a classifier is not trained by the squared error.

A probability that is badly wrong should be corrected strongly. Cross entropy does that: its gradient with
respect to the logit is the probability minus the target. The squared error multiplies that by the slope of
the sigmoid, which is almost nothing where the answer is most wrong. Also here: conventions with and without
epsilon, halves and means, nats and bits, and a printed loss in which a logarithm had become an exponential.

Run:     python -m experiments loss_functions
Expect:  from a logit of -6, cross entropy reaches 0.9 in 17 steps, half the squared error in 497
Time:    about 7 s on two cores
Course:  From calculus to convolutional networks - losses
Course:  Deep learning, day 1 - losses
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import plots
from experiments.descents import descend
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import losses, optim

DECK, DAY = "From calculus to convolutional networks", "Deep learning, day 1"
START, RATE = -6.0, 1.0


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Losses; nothing in it is random."""

    steps: int = 4000
    """Steps of descent from a badly wrong start."""


def entropy_loss(z: Any) -> Any:
    """Cross entropy (nats) of a logit whose target is 1."""
    return losses.binary_cross_entropy(z[None], jnp.ones_like(z[None]))


def square_loss(z: Any) -> Any:
    """Half the squared error of the probability of a logit whose target is 1."""
    return losses.half_squared_error(jax.nn.sigmoid(z)[None], jnp.ones_like(z[None]))


LOSSES: dict[str, Callable[[Any], Any]] = {"cross entropy": entropy_loss, "half squared error": square_loss}


def by_logit() -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Logits, and the loss and its gradient at each, for a target of 1."""
    z = jnp.linspace(-8.0, 8.0, 321)
    return (
        np.asarray(z),
        {name: np.asarray(jax.vmap(loss)(z)) for name, loss in LOSSES.items()},
        {name: np.asarray(jax.vmap(jax.grad(loss))(z)) for name, loss in LOSSES.items()},
    )


def learning(steps: int) -> dict[str, np.ndarray]:
    """The probability by step, descending each loss from a logit of ``START``."""
    start = jnp.asarray(START)
    return {
        name: np.asarray(jax.nn.sigmoid(descend(loss, optim.sgd(RATE), start, steps).params))
        for name, loss in LOSSES.items()
    }


def broken(p: Any, target: Any) -> Any:
    """The deck's coded loss in the order of its definition, with exponentials where logarithms belong.

    As coded, it is 0 or 1e9 where a factor is 0 or 1; that part is left as it is.
    """
    certain = jnp.where(p == target, 0.0, 1e9)
    mixed = -(target * jnp.exp(p) + (1 - target) * jnp.exp(1 - p))
    return jnp.where((p == 0) | (p == 1), certain, mixed)


def right(p: Any, target: Any) -> Any:
    """Cross entropy of a probability, nats."""
    return -(target * jnp.log(p) + (1 - target) * jnp.log(1 - p))


def run(config: Config, page: Page) -> None:
    """Compare losses, their gradients and what descent makes of them."""
    steps = 400 if config.quick else config.steps
    with jax.enable_x64(True):
        z, values, slopes = by_logit()
        learned = learning(steps)
        three = jnp.log(jnp.array([0.01, 0.23, 0.76]))
        page.compare(
            "cross entropy of (.01, .23, .76) with class 3, nats",
            losses.cross_entropy(three, jnp.array(2)),
            "0.2744368457",
            source=f"derived from {DAY}",
        )
        two = losses.cross_entropy(jnp.log(jnp.array([0.3, 0.7])), jnp.array(0))
        page.compare(
            "cross entropy of (.3, .7) with class 1, nats", two, "1.2039728043", source=f"derived from {DAY}"
        )
        mean = losses.squared_error(jnp.exp(three), jnp.array([0.0, 0, 1]))
        page.compare("mean squared error of the first", mean, "0.0368667", source=f"derived from {DAY}")
        coin = losses.binary_cross_entropy(jnp.zeros(1), jnp.ones(1))
        page.compare(
            "cross entropy of a network that says 1/2 to everything, nats", coin, "0.693147", source="ln 2"
        )
        page.compare("the same in bits", float(coin) / np.log(2), 1, source=DECK)
        wrong = {name: float(jax.grad(loss)(jnp.asarray(START))) for name, loss in LOSSES.items()}
    page.compare(
        "gradient of the cross entropy at a logit of -6", wrong["cross entropy"], "-0.997527", source="p - 1"
    )
    page.compare(
        "gradient of half the squared error there", wrong["half squared error"], "-0.00246041",
        source="(p - 1) p (1 - p)",
    )  # fmt: skip
    reached = {name: int(np.argmax(p > 0.9)) if p[-1] > 0.9 else None for name, p in learned.items()}
    for name, step in reached.items():
        if step is not None:
            page.compare(f"steps to a probability of 0.9, {name}", step, source="")
    _pictures(page, z, values, slopes, learned)
    _conventions(page)
    _corrections(page)


def _pictures(page: Page, z: np.ndarray, values: Any, slopes: Any, learned: Any) -> None:
    plots.lines(
        page.picture("losses.png"), "Two losses of a logit whose target is 1",
        [("loss", {name: (z, value) for name, value in values.items()}),
         ("gradient", {name: (z, slope) for name, slope in slopes.items()})],
        x="logit",
    )  # fmt: skip
    page.show(
        "Loss and gradient",
        "Far left the answer is wrong. The cross entropy pulls with full force there; the squared error is "
        "flat, and pulls hardest where the answer is half right already.",
        "losses.png",
    )
    steps = len(next(iter(learned.values())))
    plots.lines(
        page.picture("learning.png"), "Unlearning a wrong answer",
        [("", {name: (np.arange(1, steps), p[1:]) for name, p in learned.items()})],
        x="step", y="probability of the right class", log="x", width=7,
    )  # fmt: skip
    page.show(
        "Descent from a logit of -6",
        "The same unit, rate and start. One loss needs tens of steps, the other stays on its plateau for "
        "hundreds. That is the answer to the course's question why a logistic unit is not trained by the "
        "squared error.",
        "learning.png",
    )


def _conventions(page: Page) -> None:
    with jax.enable_x64(True):
        rows = []
        for p in (0.9, 0.5, 1e-4, 1e-8, 0.0):
            exact = float(-jnp.log(jnp.asarray(p)))
            shifted = float(-jnp.log(jnp.asarray(p) + 1e-7))
            logit = "inf" if p == 0 else f"{float(entropy_loss(jax.scipy.special.logit(jnp.asarray(p)))):.7g}"
            rows.append((f"{p:g}", f"{exact:.7g}", f"{shifted:.7g}", logit))
    page.table(
        "An epsilon in the logarithm",
        ("probability of the right class", "-log p", "-log(p + 1e-7)", "from the logit"),
        rows,
        "With epsilon the loss ends at 16.1, and its gradient fades where p falls below 1e-7: the worst "
        "mistakes teach nothing. From logits no epsilon is needed: the loss is about minus the logit there.",
    )
    page.table(
        "Halves and means",
        ("squared error of (4.59, 9.2, 4.79, 9.4) from (2, 3, 4, 5)", "value", "gradient"),
        [
            ("half the sum: losses.half_squared_error", 32.5661, "y - d"),
            ("mean: losses.squared_error", 16.28305, "2 (y - d) / 4"),
            ("half the mean: what the course prints", 8.141525, "(y - d) / 4"),
        ],
        "All have their minimum at the same place; a learning rate means something else with each.",
    )


def _corrections(page: Page) -> None:
    p = np.linspace(0.01, 0.99, 99)
    plots.lines(
        page.picture("broken.png"),
        "A loss with exp where log belongs",
        [
            (
                f"target {target:g}",
                {
                    "as printed": (p, np.asarray(broken(p, target))),
                    "cross entropy": (p, np.asarray(right(p, target))),
                },
            )
            for target in (1.0, 0.5)
        ],
        x="probability that is predicted",
        y="loss",
    )
    page.show(
        "A printed loss that is none",
        "With target 1 the printed loss is lowest just before certainty, at -2.72, jumps to 0 at 1 and to "
        "a billion at 0, and a middling 0.5 (-1.65) beats a perfect 1. With target 1/2 its highest value "
        "is where its lowest should be. The deck trains well all the same, because its coded gradient is "
        "that of the right loss; only the curve of the loss is wrong.",
        "broken.png",
    )
    page.correct(
        f"{DECK}, code of cross_entropy",
        "exp in place of log, and the arguments in the wrong order where "
        "it is called, so that it always returns 1e9 |f - y|",
        "-(a ln b + (1 - a) ln(1 - b)), the target first: 0.693147 for b = 1/2",
    )
    page.correct(f"{DECK}, formula of the binary cross entropy", "y log Y + (1 - y) log(1 - Y)",
                 "with a minus sign before it all")  # fmt: skip
    page.correct(f"{DECK}, name of the loss", "categorical_entropy", "categorical_crossentropy")
    page.correct(f"{DAY}, cross entropy of its last network", "log of a probability that can be 0",
                 "add an epsilon, or better take the logits: losses.cross_entropy")  # fmt: skip
    page.correct(
        f"{DECK}, gradients of linear and logistic regression side by side",
        "2/n in one and 1/n in the other",
        "both are right for their losses: the 2 is the square's, and "
        "gone where the loss is halved, as in the deck's own code",
    )


EXPERIMENT = Experiment("loss_functions", "Losses and what they teach", Config, run)
