"""Autoencoders: networks that are asked for their own input, and have to put it through a narrow layer.

First the smallest, 6-3-6: six patterns, one of six units on, through three units; they have to find codes of
three numbers. Then pictures of digits: one narrow layer of 8 or 32 units, deeper networks with 2, 8 and 32,
and a layer of 1,000 units, wider than the picture, that is kept from copying by the price of every unit that
is on. For comparison the best linear compression, principal component analysis.

Run:     python -m experiments autoencoder
Expect:  all six patterns right through three units; the deep networks beat linear compression
Time:    about 2 minutes on two cores
Course:  Recurrent, convolutional and embedding networks - autoencoders
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments.data import load_mnist
from experiments.plots.filters import filters
from experiments.plots.gallery import gallery
from experiments.plots.matrices import matrices
from experiments.runner.config import TrainingConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.runner.schedule import half_cosine
from jaxnn import losses, metrics, optim, train
from jaxnn.train import Terms

COURSE = "Recurrent, convolutional and embedding networks"
QUICK = ("784-32-784", "784-256-2-256-784")


@dataclass(frozen=True)
class Config(TrainingConfig):
    """Narrow layers of several widths."""

    epochs: int = 8
    """Passes over the pictures."""
    batch_size: int = 200
    """Pictures in a step."""
    learning_rate: float = 2e-3
    """Step size of Adam at the beginning; it falls to 0 along a half cosine."""
    pictures: int = 30_000
    """Training pictures."""


def small() -> nn.Layer:
    """6-3-6: six numbers through three units to six logits."""
    return nn.chain(nn.dense(3), jax.nn.sigmoid, nn.dense(6))


def make_train_small(steps: int = 1500) -> Callable[..., dict[str, Any]]:
    """Build ``train(key, hyper=None)``; it returns ``params``, ``right`` of six, and ``codes [6, 3]``."""
    patterns, labels = jnp.eye(6), jnp.arange(6)
    task = train.supervised(small(), losses.cross_entropy, metrics=(metrics.accuracy,))
    rule = optim.adam(0.03)
    step = train.make_step(task, rule)

    def run(key: Any, hyper: None = None) -> dict[str, Any]:
        del hyper
        state = train.TrainState.create(task, rule, key, (patterns, labels))
        state, _ = jax.lax.scan(lambda s, _: (step(s, (patterns, labels))[0], None), state, length=steps)
        logits = small().apply(state.params, {}, patterns)[0]
        first = state.params[min(state.params)]
        codes = jax.nn.sigmoid(patterns @ first["kernel"] + first["bias"][None])
        return {"params": state.params, "right": jnp.sum(logits.argmax(1) == labels), "codes": codes}

    return run


class Network(NamedTuple):
    """Encoder and decoder (to logits of ink), units in the middle, and the price of a unit that is on."""

    encoder: nn.Layer
    decoder: nn.Layer
    units: int
    price: float = 0.0


def networks() -> dict[str, Network]:
    """The networks by name."""

    def narrow(units: int) -> Network:
        # From few inputs the usual scale would be large, and pixels that are always white would stay noisy.
        last = nn.dense(784, kernel_init=jax.nn.initializers.normal(0.03))
        return Network(nn.chain(nn.dense(units)), nn.chain(last), units)

    def deep(units: int) -> Network:
        into = nn.chain(nn.dense(256), jax.nn.relu, nn.dense(units))
        return Network(into, nn.chain(nn.dense(256), jax.nn.relu, nn.dense(784)), units)

    wide = Network(nn.chain(nn.dense(1000), jax.nn.relu), nn.chain(nn.dense(784)), 1000, 0.5)
    return {
        "784-8-784": narrow(8),
        "784-32-784": narrow(32),
        **{f"784-256-{units}-256-784": deep(units) for units in (2, 8, 32)},
        "784-1000-784, sparse": wide,
    }


def objective(network: Network) -> train.Objective:
    """Cross entropy of the ink (nats) plus its price times the sum of the code, for ``[batch, 784]``."""
    encoder, decoder, _, price = network
    whole = nn.chain(encoder=encoder, decoder=decoder)

    def evaluate(params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> Any:
        code, _ = encoder.apply(params["encoder"], {}, x, key=key, train=train)
        logits, _ = decoder.apply(params["decoder"], {}, code, key=key, train=train)
        values = losses.binary_cross_entropy(logits, x, reduce="sum") + price * jnp.sum(
            jnp.abs(code), axis=-1
        )
        error = losses.squared_error(jax.nn.sigmoid(logits), x)
        on = jnp.mean((code > 0.01).astype(jnp.float32), axis=-1)
        return Terms(values, None, {"error": metrics.Mean.of(error), "on": metrics.Mean.of(on)}), state

    return train.Objective(lambda key, x: whole.init(key, x), evaluate)


def make_train(config: Config, task: train.Objective) -> Callable[..., train.Result]:
    """Build ``train(key, pictures [examples, 784], callbacks=()) -> Result``."""

    def run(key: Any, x: np.ndarray, callbacks: tuple[Callable[..., None], ...] = ()) -> train.Result:
        steps = config.epochs * -(-len(x) // config.batch_size)
        rule = optim.adam(half_cosine(config.learning_rate, steps))
        return train.fit(
            task, rule, x, epochs=config.epochs, batch_size=config.batch_size, key=key, callbacks=callbacks,
            progress=False,
        )  # fmt: skip

    return run


def principal_error(x: np.ndarray, x_test: np.ndarray, units: int) -> float:
    """Squared error of a test pixel after principal component analysis with so many components."""
    mean = x.mean(axis=0, dtype=np.float64)
    axes = np.linalg.eigh(np.cov(x.astype(np.float64), rowvar=False))[1][:, -units:]
    centred = x_test - mean
    return float(np.mean((centred - centred @ axes @ axes.T) ** 2))


def run(config: Config, page: Page) -> None:
    """The smallest one, then the pictures."""
    keys = jax.random.split(jax.random.key(config.seed), 9)
    _smallest(page, keys[:8])
    data = load_mnist().head(config.pictures, 10_000)
    if config.quick:
        data, config = data.head(600, 100), replace(config, epochs=1)
    x, x_test = (part.reshape(len(part), -1) for part in (data.x, data.x_test))
    rows = {"test picture": x_test[:12].reshape(-1, 28, 28)}
    table, drawn = [], None
    for name, network in networks().items():
        if config.quick and name not in QUICK:
            continue
        task = objective(network)
        trained = make_train(config, task)(keys[8], x, (page.folder.append_metrics,))
        found = train.evaluate(task, trained.params, {}, jnp.asarray(x_test))
        whole = nn.chain(encoder=network.encoder, decoder=network.decoder)
        logits = train.predict(whole, trained.params, {}, x_test[:12])
        rows[name] = np.asarray(jax.nn.sigmoid(logits)).reshape(-1, 28, 28)
        linear: Any = principal_error(x, x_test, network.units) if network.units < 784 else ""
        on = f"{found['on']:.0%}" if network.price else ""
        table.append((name, network.units, found["error"], linear, on))
        if "256" in name:
            page.compare(
                f"squared error of a test pixel, {name}", found["error"], f"< {linear:.4g}",
                source="principal component analysis with as many components",
            )  # fmt: skip
        if name == "784-32-784":
            drawn = np.asarray(trained.params["decoder"]["dense_0"]["kernel"])
    gallery(page.picture("again.png"), "Through the narrow layer and back", rows)
    page.show(
        "Digits through narrow layers",
        "An autoencoder needs no labels: the input is the target. The narrower the layer, the more of what "
        "is particular to a picture gets lost; with two numbers it keeps little more than a kind of digit. "
        "It compresses only what looks like its training pictures, and with loss: no rival of a "
        "general codec.",
        "again.png",
    )
    page.table(
        "Errors on test pictures",
        ("network", "units in the middle", "squared error of a pixel", "linear compression", "units on"),
        table,
        "Linear compression is principal component analysis with as many components. A single layer each way "
        "differs from that only by the sigmoid of the last layer, and minimises cross entropy and not this "
        "error. Depth pays. The last network has more "
        "units than the picture has pixels; only the price of units that are on keeps it from copying.",
    )
    if drawn is not None:
        filters(
            page.picture("strokes.png"),
            "What each of 32 units adds to a picture",
            drawn.T.reshape(28, 28, 1, 32),
        )
        page.show("What the units draw", "Blue adds ink, red takes it away.", "strokes.png")


def _smallest(page: Page, keys: Any) -> None:
    parameters = small().init(keys[0], jax.ShapeDtypeStruct((1, 6), jnp.float32))[0]
    count = sum(leaf.size for leaf in jax.tree.leaves(parameters))
    page.compare("parameters of 6-3-6", count, 45, source=f"{COURSE}; derived")
    many = train.fit_many(make_train_small(), keys)
    right = np.asarray(many.results["right"])
    page.compare(
        f"patterns right of 6, mean of {len(right)} seeds", right.mean(), 6, spread=right.std(ddof=1),
        source="derived: three units can tell six apart",
    )  # fmt: skip
    codes = np.asarray(many.results["codes"])
    best = {f"seed {seed}": codes[seed] for seed in np.argsort(-right, kind="stable")[:3]}
    units = {name: [f"unit {unit + 1}" for unit in range(3)] for name in best}
    matrices(
        page.picture("codes.png"), "The codes that 6-3-6 found", best,
        [f"pattern {pattern + 1}" for pattern in range(6)], units, digits=1,
    )  # fmt: skip
    page.show(
        "The smallest: 6-3-6",
        "Six patterns, in each of which another unit is on, have to pass through three units. Each seed "
        "finds codes of its own; most units end up on or off, as in a binary number, and some half way.",
        "codes.png",
    )


EXPERIMENT = Experiment("autoencoder", "Autoencoders", Config, run)
