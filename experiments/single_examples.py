"""One example at a time: learning 3 x0 + 2 x1 with the right slope of the sigmoid, and a printed one.

2-10-1 with a sigmoid hidden layer, inputs drawn from [-5, 5), one step for each of a thousand examples, rate
0.07. The course's backward pass takes the derivative of the sigmoid at the sigmoid's own output, which takes
the sigmoid twice: too small near 0, thirty times too big at 5. Both are run from the same seeds.

Run:     python -m experiments single_examples
Expect:  a median loss of about 3 with the right slope and about 20 with the printed one
Time:    about 8 s on two cores
Course:  Deep learning, day 1 - gradient descent
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import plots
from experiments.descents import descend
from experiments.plots.style import TEST, TRAIN, figure
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import optim, train

COURSE = "Deep learning, day 1"
RATE = 0.07


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Regression by single examples."""

    steps: int = 1000
    """Examples, one a step."""
    seeds: int = 20
    """Networks, each from its own seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("steps", self.steps, least=1)
        check_whole("seeds", self.seeds, least=1)


@jax.custom_jvp
def printed_sigmoid(u: Any) -> Any:
    """The sigmoid with the slope that the course codes: that at ``sigmoid(u)`` instead of that at ``u``."""
    return jax.nn.sigmoid(u)


@printed_sigmoid.defjvp
def _printed_slope(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    z = jax.nn.sigmoid(primals[0])
    twice = jax.nn.sigmoid(z)
    return z, twice * (1 - twice) * tangents[0]


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "right slope": jax.nn.sigmoid,
    "printed slope": printed_sigmoid,
}


def make_train(config: Config, activation: Callable[[Any], Any]) -> Callable[..., Any]:
    """Build ``train(key, hyper=None)``, pure: the loss of each example just before its step ``[steps]``."""

    def loss(params: Any, x: Any, y: Any) -> Any:
        hidden = activation(x @ params["w1"] + params["b1"])
        return jnp.sum((hidden @ params["w2"] + params["b2"] - y) ** 2) / 2

    def run(key: Any, hyper: None = None) -> Any:
        del hyper
        first, second, of_data = jax.random.split(key, 3)
        start = {
            "w1": jax.random.normal(first, (2, 10)), "b1": jnp.zeros(10),
            "w2": jax.random.normal(second, (10, 1)), "b2": jnp.zeros(1),
        }  # fmt: skip

        def example(number: Any) -> tuple[Any, Any]:
            x = jax.random.uniform(jax.random.fold_in(of_data, number), (2,), minval=-5.0, maxval=5.0)
            return x, 3 * x[0] + 2 * x[1]

        return descend(loss, optim.sgd(RATE), start, config.steps - 1, example).losses

    return run


def run(config: Config, page: Page) -> None:
    """Train with both slopes, and draw every loss as a dot."""
    seeds, steps = (3, 100) if config.quick else (config.seeds, config.steps)
    keys = jax.random.split(jax.random.key(config.seed), seeds)
    small = Config(config.seed, config.quick, steps=steps, seeds=seeds)
    found = {
        name: np.asarray(train.fit_many(make_train(small, activation), keys).results)
        for name, activation in ACTIVATIONS.items()
    }
    tail = max(1, steps // 10)
    for name, losses in found.items():
        last = losses[:, -tail:].mean(1)
        page.compare(f"median loss of the last tenth, {name}", np.median(last), spread=last.std(ddof=1))
    with jax.enable_x64(True):
        for u, value, wrong in (
            (0.0, 0.25, 0.2350037),
            (1.0, 0.1966119, 0.2193619),
            (5.0, 0.0066481, 0.1972192),
        ):
            page.compare(
                f"slope of the sigmoid at {u:g}", jax.grad(jax.nn.sigmoid)(u), value, source="s (1 - s)"
            )
            page.compare(f"the printed slope at {u:g}", jax.grad(printed_sigmoid)(u), wrong, source=COURSE)

    with figure(page.picture("dots.png"), 8, 4.4) as picture:
        axes = picture.subplots()
        for (name, losses), colour in zip(found.items(), (TRAIN, TEST), strict=True):
            axes.plot(np.arange(1, steps + 1), losses[0], ".", color=colour, alpha=0.5, label=name)
        axes.set(
            xlabel="example",
            ylabel="half squared error",
            yscale="log",
            title="Loss of each example, one seed",
        )
        axes.legend()
    page.show(
        "A loss for every example",
        "Each dot is one example, just before the step that it causes. The cloud is wide because examples "
        "differ; what one follows is its drift. A network of ten sigmoids can follow a plane only as far "
        "as they bend.",
        "dots.png",
    )
    x = np.arange(1, steps + 1)
    medians = {name: (x, np.maximum(np.median(losses, axis=0), 1e-6)) for name, losses in found.items()}
    plots.lines(
        page.picture("medians.png"),
        f"Median over {seeds} seeds",
        [("", medians)],
        x="example",
        y="half squared error",
        log="y",
        width=8,
    )
    page.show(
        "Does a wrong slope matter?",
        "The wrong slope has the right sign, so the loss falls at first and the mistake stays unseen; but it "
        "keeps pushing saturated units with thirty times the force, and stays several times higher. A check "
        "against jax.grad, or against difference quotients, tells at once.",
        "medians.png",
    )
    page.correct(
        "backward pass",
        "d_sigmoid(z1), where z1 is the sigmoid already",
        "z1 (1 - z1), which is d_sigmoid(u1)",
    )
    page.correct(
        "text on the inputs", "a random number of 5 to 5", "of -5 to 5: the code, rand() * 10 - 5, is right"
    )


EXPERIMENT = Experiment("single_examples", "One example at a time", Config, run)
