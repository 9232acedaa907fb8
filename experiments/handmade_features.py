"""Features by hand, or learned: rings and quadrants that no straight line can part.

Logistic regression on the coordinates fails on a disc inside a ring and on quadrants: its border is a line.
With one feature that a person thought of, the radius or the product x y, the same regression is right almost
always. A network of one hidden layer is given the coordinates only and finds features of its own.

Run:     python -m experiments handmade_features
Expect:  near 0.5 without the feature, above 0.99 with it and with the network
Time:    about 20 s on two cores
Course:  From calculus to convolutional networks - features
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
from jaxnn import losses, metrics, optim, train

COURSE = "From calculus to convolutional networks"


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Points that no line can part."""

    points: int = 1000
    """Training points; every step sees all of them."""
    test_points: int = 10_000
    """Test points."""
    steps: int = 2000
    """Steps of training."""
    seeds: int = 5
    """Data sets and classifiers, each from its own seed."""
    frames: int = 40
    """Pictures of an animation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("points", "test_points", "steps", "seeds", "frames"):
            check_whole(name, getattr(self, name), least=1)


@dataclass(frozen=True)
class Problem:
    """Data, and the feature that a person would think of."""

    draw: Callable[[Any, int], plane.Points]
    feature: Callable[[Any], Any]
    wording: str


PROBLEMS = {
    "ring": Problem(plane.ring, lambda x: jnp.sqrt(jnp.sum(x**2, -1, keepdims=True)), "r = sqrt(x^2 + y^2)"),
    "quadrants": Problem(plane.quadrants, lambda x: x[..., :1] * x[..., 1:], "x y"),
}


def models(problem: Problem) -> dict[str, tuple[nn.Layer, optax.GradientTransformation]]:
    """The three classifiers: ``[n, 2] -> [n, 1]`` logits, each with its update rule."""
    he = jax.nn.initializers.he_normal()
    return {
        "coordinates": (nn.dense(1), optim.adam(0.03)),
        "feature by hand": (nn.chain(problem.feature, nn.dense(1)), optim.adam(0.03)),
        "network": (nn.chain(nn.dense(16, kernel_init=he), jax.nn.relu, nn.dense(1)), optim.adam(0.03)),
    }


def make_train(
    config: Config, problem: Problem, name: str, grid: plots.Grid
) -> Callable[..., dict[str, Any]]:
    """Build ``train(key, hyper=None)``, pure.

    It returns the test accuracy; the training accuracy by frame ``[frames]``; the probability map by frame
    ``[frames, rows, columns]``; and the training points.
    """
    model, rule = models(problem)[name]
    task = train.supervised(model, losses.binary_cross_entropy, (metrics.binary_accuracy,))
    step = train.make_step(task, rule)

    def run(key: Any, hyper: None = None) -> dict[str, Any]:
        del hyper
        of_train, of_test, of_weights = jax.random.split(key, 3)
        data, test = problem.draw(of_train, config.points), problem.draw(of_test, config.test_points)
        batch = (data.x, data.y[:, None])
        state = train.TrainState.create(task, rule, of_weights, batch)

        def share(params: Any, points: plane.Points) -> Any:
            logits, _ = model.apply(params, {}, points.x)
            return jnp.mean((logits[:, 0] > 0) == (points.y == 1))

        def frame(state: Any, _: None) -> tuple[Any, tuple[Any, Any]]:
            mapped = grid.heights(lambda x: jax.nn.sigmoid(model.apply(state.params, {}, jnp.asarray(x))[0]))
            seen = mapped, share(state.params, data)
            state, _ = jax.lax.scan(lambda s, _: (step(s, batch)[0], None), state, length=each)
            return state, seen

        each = max(1, config.steps // config.frames)
        state, (maps, shares) = jax.lax.scan(frame, state, length=config.frames)
        return {"accuracy": share(state.params, test), "shares": shares, "maps": maps, "data": data}

    return run


def run(config: Config, page: Page) -> None:
    """Train all classifiers on both problems, and draw maps and how they came about."""
    if config.quick:
        config = replace(config, points=200, test_points=1000, steps=60, seeds=2, frames=6)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    grid = plots.Grid((-6.0, 6.0), (-6.0, 6.0), 50)
    expected = {"coordinates": "near 0.5", "feature by hand": "> 0.99", "network": "> 0.99"}
    maps = []
    for title, problem in PROBLEMS.items():
        for name in expected:
            many = train.fit_many(make_train(config, problem, name, grid), keys)
            shares = np.asarray(many.results["accuracy"])
            spread = shares.std(ddof=1) if config.seeds > 1 else None
            wanted = expected[name] if title == "ring" or name != "network" else "> 0.98"
            page.compare(
                f"test accuracy, {title}, {name}", shares.mean(), wanted, spread=spread, source="aim"
            )
            one = many.select(0)
            points, labels = one["data"]
            maps.append(plots.DecisionMap(f"{title}: {name}", grid, one["maps"][-1], points, labels))
            if name == "network":
                plots.animated_decision_map(
                    page.picture(f"{title}.gif"),
                    f"A network learns the {title}",
                    grid,
                    one["maps"],
                    points,
                    labels,
                    steps=np.arange(config.frames) * (config.steps // config.frames),
                    curve=one["shares"],
                )
    plots.decision_maps(page.picture("maps.png"), "A line, a feature by hand, a network", maps, columns=3)
    page.show(
        "What each of them sees",
        "With the coordinates alone the border must be a line, and half of the points are on the wrong "
        "side of any. With the radius, or with x times y, one threshold is enough. The network draws its "
        "border from sixteen folded planes: nobody told it what a radius or a product is.",
        "maps.png",
    )
    for title, problem in PROBLEMS.items():
        page.show(
            f"The network learns the {title}",
            f"A person would have chosen {problem.wording}.",
            f"{title}.gif",
        )
    page.show(
        "Features by hand or learned",
        "Where one knows the pattern, one feature saves a network, data and time. Where one does not, as "
        "with pictures and speech, the features have to be learned together with the decision.",
    )
    page.correct(
        f"{COURSE}, axes of the moving maps",
        "the labels of x and y exchanged, and 'loss' and 'iteration' set and then overwritten",
        "x across and y up, and the curve's own labels",
    )
    page.correct(
        f"{COURSE}, stored loss of the logistic units", "1e9 |f - y| by a broken function",
        "the cross entropy; see loss_functions. The accuracy that it prints for the line, 45.77 %, is a "
        "coin's: data without a line leave one no better",
    )  # fmt: skip


EXPERIMENT = Experiment("handmade_features", "Features by hand, or learned", Config, run)
