"""Two Gaussian clouds: densities, logistic regression and a deep sigmoid network below one ceiling.

The clouds overlap, so nobody can be right more often than 89.70 % of the time. Estimating a mean and a
covariance for each class and comparing densities (Gaussian discriminant analysis) comes near that from a
thousand points; with one covariance for both it is a line, the same that logistic regression finds by
descent without any assumption about the clouds. The course's network has five sigmoid layers, 40,902
parameters and no chance to do better. All are tested on 10,000 points, over several seeds side by side.

Run:     python -m experiments two_gaussians
Expect:  all of them within 0.01 of 0.897, except networks whose sigmoids stall at 0.5
Time:    about 8 s on two cores
Course:  From calculus to convolutional networks - classification
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import plots
from experiments.data import plane
from experiments.descents import descend
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import losses, metrics, optim, train

COURSE = "From calculus to convolutional networks"
CEILING = 0.8970483946


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Two clouds."""

    points: int = 1000
    """Training points."""
    test_points: int = 10_000
    """Test points."""
    seeds: int = 5
    """Data sets and classifiers, each from its own seed."""
    steps: int = 1000
    """Steps of logistic regression."""
    epochs: int = 50
    """Passes of the network over the training points."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("points", "test_points", "seeds", "steps", "epochs"):
            check_whole(name, getattr(self, name), least=1)


class Gaussians(NamedTuple):
    """Means ``[2, 2]``, covariances ``[2, 2, 2]`` and shares ``[2]`` of the classes 0 and 1."""

    means: Any
    covariances: Any
    shares: Any


def estimate(points: plane.Points, shared: bool) -> Gaussians:
    """Maximum likelihood: the mean and covariance of each class, or the covariance within both."""
    members = jnp.stack([1 - points.y, points.y])
    counts = jnp.sum(members, 1)
    means = members @ points.x / counts[:, None]
    apart = points.x[None] - means[:, None]
    covariances = jnp.einsum("cn,cni,cnj->cij", members, apart, apart) / counts[:, None, None]
    shares = counts / jnp.sum(counts)
    if shared:
        covariances = jnp.broadcast_to(jnp.tensordot(shares, covariances, 1)[None], covariances.shape)
    return Gaussians(means, covariances, shares)


def log_odds(fitted: Gaussians, x: Any) -> Any:
    """Logarithm of how much more probable class 1 is than class 0 at ``x`` ``[n, 2]``, by Bayes' rule."""

    def log_density(mean: Any, covariance: Any, share: Any) -> Any:
        apart = x - mean[None]
        distance = jnp.sum(apart * jnp.linalg.solve(covariance, apart.T).T, axis=1)
        return jnp.log(share) - (distance + jnp.linalg.slogdet(covariance)[1]) / 2

    zero, one = jax.vmap(log_density)(*fitted)
    return one - zero


def line(fitted: Gaussians) -> tuple[Any, Any]:
    """Weights ``[2]`` and bias of the sigmoid that Gaussians of one covariance are equal to."""
    weights = jnp.linalg.solve(fitted.covariances[0], fitted.means[1] - fitted.means[0])
    middle = jnp.sum(fitted.means, 0) / 2
    return weights, jnp.log(fitted.shares[1] / fitted.shares[0]) - weights @ middle


def population() -> Gaussians:
    """The Gaussians that made the data."""
    means = jnp.array([[2.0, -2.0], [-2.0, 2.0]])
    return Gaussians(means, jnp.broadcast_to(5 * jnp.eye(2)[None], (2, 2, 2)), jnp.array([0.5, 0.5]))


def network() -> nn.Layer:
    """The course's: five sigmoid layers of 100 units, with two logits; kernels drawn as Keras draws them."""
    glorot = jax.nn.initializers.glorot_uniform()
    hidden = [part for _ in range(5) for part in (nn.dense(100, kernel_init=glorot), jax.nn.sigmoid)]
    return nn.chain(*hidden, nn.dense(2, kernel_init=glorot))


def make_train(config: Config) -> Callable[..., dict[str, Any]]:
    """Build ``train(key, hyper=None)``, pure: test accuracies of all classifiers, and what they learned."""
    task = train.supervised(network(), losses.cross_entropy, (metrics.accuracy,))
    epoch = train.make_epoch(task, optim.adam(1e-3), min(128, config.points * 4 // 5))
    logistic = train.supervised(nn.dense(1), losses.binary_cross_entropy)

    def run(key: Any, hyper: None = None) -> dict[str, Any]:
        del hyper
        of_train, of_test, of_weights = jax.random.split(key, 3)
        data, test = plane.gaussians(of_train, config.points), plane.gaussians(of_test, config.test_points)

        def right(odds: Any) -> Any:
            return jnp.mean((odds > 0) == (test.y == 1))

        def loss(params: Any) -> Any:
            terms, _ = logistic.evaluate(params, {}, (data.x, data.y[:, None]))
            return jnp.mean(terms.values)

        apart, shared = estimate(data, shared=False), estimate(data, shared=True)
        start = {"kernel": jnp.full((2, 1), 0.1), "bias": jnp.ones(1)}
        fitted = jax.tree.map(
            lambda leaf: leaf[-1], descend(loss, optim.sgd(0.1), start, config.steps).params
        )

        # The last fifth is for validation, as in the course.
        kept = config.points * 4 // 5
        labels = data.y.astype(jnp.int32)
        state = train.TrainState.create(task, optim.adam(1e-3), of_weights, (data.x[:1], labels[:1]))
        state, record = jax.lax.scan(
            lambda state, _: epoch(state, (data.x[:kept], labels[:kept])), state, length=config.epochs
        )
        logits, _ = network().apply(state.params, {}, test.x)
        return {
            "own covariances": right(log_odds(apart, test.x)),
            "shared covariance": right(log_odds(shared, test.x)),
            "logistic regression": right((test.x @ fitted["kernel"])[:, 0] + fitted["bias"]),
            "five sigmoid layers": right(logits[:, 1] - logits[:, 0]),
            "truth known": right(log_odds(population(), test.x)),
            "fits": {"own": apart, "shared": shared, "logistic": fitted, "network": state.params},
            "accuracy": jax.vmap(lambda one: one.compute())(record["accuracy"]),
            "data": data,
        }

    return run


NAMES = ("own covariances", "shared covariance", "logistic regression", "five sigmoid layers", "truth known")


def run(config: Config, page: Page) -> None:
    """Fit everything for every seed, compare with the ceiling, and draw the maps."""
    if config.quick:
        config = replace(config, points=200, test_points=1000, seeds=2, steps=100, epochs=3)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    many = train.fit_many(make_train(config), keys)
    weights, bias = line(population())
    page.compare("first weight of the best line", weights[0], "-0.8", source=f"derived from {COURSE}")
    page.compare("second weight of the best line", weights[1], "0.8", source=f"derived from {COURSE}")
    page.compare("its bias", bias, "0", source=f"derived from {COURSE}")
    for name in NAMES:
        shares = np.asarray(many.results[name])
        spread = shares.std(ddof=1) if config.seeds > 1 else None
        page.compare(
            f"test accuracy, {name}", shares.mean(), "0.8970 at most", spread=spread, source="Bayes' rule"
        )
    stalled = int(np.sum(np.asarray(many.results["five sigmoid layers"]) < 0.6))
    page.compare(f"networks of {config.seeds} that stalled at one half", stalled)

    one = many.select(0)
    fits, data = one["fits"], one["data"]
    grid = plots.Grid((-9.0, 9.0), (-9.0, 9.0), 60 if config.quick else 100)
    logistic = fits["logistic"]
    odds: dict[str, Callable[[Any], Any]] = {
        "own covariances": lambda x: log_odds(fits["own"], x),
        "shared covariance": lambda x: log_odds(fits["shared"], x),
        "logistic regression": lambda x: (x @ logistic["kernel"])[:, 0] + logistic["bias"],
        "five sigmoid layers": lambda x: jnp.diff(network().apply(fits["network"], {}, x)[0], axis=1)[:, 0],
    }
    maps = [
        plots.DecisionMap(name, grid, jax.nn.sigmoid(grid.heights(jax.jit(f))), data.x, data.y)
        for name, f in odds.items()
    ]
    plots.decision_maps(page.picture("maps.png"), "The same clouds, four classifiers", maps, columns=2)
    page.show(
        "Four maps of one overlap",
        "Black is where both classes are equally probable. With one covariance the border is a line; with "
        "two it may bend a little, because the estimates differ by chance. The network finds about the "
        "same line.",
        "maps.png",
    )
    epochs = np.arange(1, config.epochs + 1)
    curves = {f"seed {i}": (epochs, np.asarray(many.results["accuracy"])[i]) for i in range(config.seeds)}
    curves["ceiling"] = (epochs, np.full(config.epochs, CEILING))
    plots.lines(
        page.picture("network.png"), "Five sigmoid layers learn slowly, then at once", [("", curves)],
        x="epoch", y="training accuracy", width=8,
    )  # fmt: skip
    page.show(
        "A plateau first",
        "The first layers get a tiny gradient through five sigmoids, so that for some epochs nothing "
        "happens. Adam divides by its size and gets them moving. Training accuracy can pass the ceiling by "
        "learning the points by heart; test accuracy cannot.",
        "network.png",
    )
    page.show(
        "Why 0.8970",
        "The centres are sqrt(32) apart and each cloud has variance 5, so half the way between them is "
        "sqrt(32) / (2 sqrt 5) = 1.265 standard deviations; a normal number is below that 89.70 % of the "
        "time. A hundred test points, as in the course, have a standard error of 0.03: ten thousand tell "
        "classifiers apart, a hundred do not.",
    )


EXPERIMENT = Experiment("two_gaussians", "Two Gaussian clouds and the best that anybody can do", Config, run)
