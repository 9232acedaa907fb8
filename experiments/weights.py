"""Weights are data: saved, loaded, looked at, set by hand, cut out, and put together again.

A network learns handwritten digits; its weights go to a file and back, bit for bit. Then the surgeon comes:
one class is silenced by one number, the hidden units are put in another order without any change of the
answers, the weakest weights are set to zero, more and more of them, and two trained networks are mixed.

Run:     python -m experiments weights
Expect:  loaded weights give equal answers; half of them set to zero cost two hundredths of accuracy
Time:    about 15 s on two cores
Course:  From calculus to convolutional networks - building models
Course:  Back-propagation - a camera of four pixels
"""

from dataclasses import dataclass
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
from jaxnn import interop, losses, metrics, optim, surgery, train

SHARES = np.array([0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """How long the networks learn."""

    epochs: int = 20
    """Passes over the digits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("epochs", self.epochs, least=1)


def build() -> nn.Layer:
    """``[batch, 8, 8] -> [batch, 10]`` logits."""
    return nn.chain(nn.flatten(), hidden=nn.chain(nn.dense(64), jax.nn.relu), output=nn.dense(10))


def learn(config: Config, data: Pictures, seeds: int = 2) -> Any:
    """Parameters of ``seeds`` networks, each leaf with a first axis ``[seeds]``."""
    objective = train.supervised(build(), losses.cross_entropy, metrics=(metrics.accuracy,))
    pair = jnp.asarray(data.x), jnp.asarray(data.y)
    rule = optim.adam(2e-3)
    epoch = train.make_epoch(objective, rule, 32, donate=False)

    def run(key: Any, hyper: Any = None) -> Any:
        del hyper
        state = train.TrainState.create(objective, rule, key, pair)
        return jax.lax.scan(lambda now, _: (epoch(now, pair)[0], None), state, length=config.epochs)[0].params

    return train.fit_many(run, jax.random.split(jax.random.key(config.seed), seeds)).results


def silence(params: Any, digit: int) -> Any:
    """The same network, which never answers ``digit``: one bias is lowered by a hundred."""
    bias = surgery.get(params, "output.bias")
    return surgery.replace(params, "output.bias", bias.at[digit].add(-100.0))


def reorder(params: Any, order: Any) -> Any:
    """The same function with the hidden units in another order."""
    hidden, output = surgery.get(params, "hidden.dense_0"), surgery.get(params, "output")
    hidden = {"kernel": hidden["kernel"][:, order], "bias": hidden["bias"][order]}
    moved = surgery.replace(params, "hidden.dense_0", hidden)
    return surgery.replace(moved, "output.kernel", output["kernel"][order])


def prune(params: Any, share: float) -> Any:
    """The same network with that share of each kernel's weights, the smallest, set to zero."""

    def cut(path: Any, leaf: Any) -> Any:
        if path[-1].key != "kernel":
            return leaf
        return jnp.where(jnp.abs(leaf) < jnp.quantile(jnp.abs(leaf), share), 0.0, leaf)

    return jax.tree_util.tree_map_with_path(cut, params)


def mix(one: Any, other: Any, share: float) -> Any:
    """The weights of two networks, averaged with that share of the other."""
    return jax.tree.map(lambda a, b: (1 - share) * a + share * b, one, other)


def accuracy(params: Any, data: Pictures) -> float:
    """Share of the test digits that are right."""
    logits = train.predict(build(), params, {}, data.x_test)
    return float((np.asarray(logits).argmax(1) == data.y_test).mean())


def run(config: Config, page: Page) -> None:
    """Train, save, load, operate."""
    epochs = 2 if config.quick else config.epochs
    data = load_digits()
    both = learn(Config(seed=config.seed, epochs=epochs), data)
    params, other = (jax.tree.map(lambda leaf, k=k: leaf[k], both) for k in (0, 1))
    before = accuracy(params, data)
    page.compare("test accuracy of the network", before)

    page.folder.save_weights(params, {})
    file = page.folder.path / "params.safetensors"
    loaded = interop.load_safetensors(file)
    logits = [np.asarray(train.predict(build(), p, {}, data.x_test)) for p in (params, loaded)]
    page.compare("largest difference after saving and loading", np.abs(logits[0] - logits[1]).max(), 0)
    page.table(
        "The file",
        ("path", "shape", "type"),
        [(path, str(list(leaf.shape)), str(leaf.dtype)) for path, leaf in _paths(loaded)],
        f"`params.safetensors`, {file.stat().st_size:,} bytes: names, shapes and numbers, and nothing that "
        "could run when it is read.",
    )

    order = jax.random.permutation(jax.random.key(config.seed), 64)
    moved = np.asarray(train.predict(build(), reorder(params, order), {}, data.x_test))
    page.compare(
        "largest change of a logit when hidden units change places",
        np.abs(moved - logits[0]).max(),
        "0, to rounding",
    )
    mute = np.asarray(train.predict(build(), silence(params, 3), {}, data.x_test)).argmax(1)
    page.compare("answers 3 after its bias is lowered by 100", (mute == 3).sum(), 0)

    pruned = [accuracy(prune(params, share), data) for share in SHARES]
    shares = np.linspace(0, 1, 11)
    mixed = [accuracy(mix(params, other, share), data) for share in shares]
    page.compare("test accuracy with half of the weights zero", pruned[list(SHARES).index(0.5)])
    page.compare("test accuracy of the average of two networks' weights", mixed[5])
    plots.lines(
        page.picture("surgery.png"), "Surgery on trained weights",
        [("the smallest weights set to zero (share of all)", {"test accuracy": (SHARES, pruned)}),
         ("two networks' weights mixed (share of the second)", {"test accuracy": (shares, mixed)})],
        y="test accuracy",
    )  # fmt: skip
    page.show(
        "Cutting and mixing",
        "Many weights hardly matter: the smaller half of them can be set to zero for a small loss, without "
        "any further training. The average of two networks is worse than either: unit 7 of one has nothing "
        "to do with unit 7 of the other, as units may stand in any order.",
        "surgery.png",
    )
    apart = surgery.difference(params, other)
    rows = [(leaf.path, leaf.kind, f"{leaf.max_abs:.3g}", f"{leaf.cosine:.2f}") for leaf in apart.leaves]
    page.table("Two networks of one recipe", ("path", "they are", "largest difference", "cosine"), rows)


def _paths(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in leaves]


EXPERIMENT = Experiment("weights", "Weights saved, loaded and operated on", Config, run)
