"""A trained trunk carried to a new task: frozen, with a new head, from a handful of examples.

A convolutional network learns the digits 0 to 4. Its trunk is then taken to the digits 5 to 9, which it has
never seen, with a new head and few examples of each: with the trunk frozen (``train.partition``), with all
of it trained on, and from scratch. Five seeds of every number of examples, in one compiled program for each
way.

Run:     python -m experiments transfer
Expect:  0.94 from the frozen trunk with 645 numbers trained, 0.96 from scratch with 5,445; no lead with few
Time:    about 30 s on two cores
Course:  From calculus to convolutional networks - using trained networks
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import plots
from experiments.data import load_digits
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import losses, metrics, optim, surgery, train

BATCH = 25
WAYS = ("frozen trunk", "trunk trained on", "from scratch")


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """How much is seen of the new digits."""

    seeds: int = 5
    """Repetitions, each with other examples and another head."""
    steps: int = 100
    """Steps on the new task."""
    epochs: int = 15
    """Passes over the old task."""
    most: int = 50
    """Most examples of each new digit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("seeds", "steps", "epochs"):
            check_whole(name, getattr(self, name), least=1)
        check_whole("most", self.most, least=1)


def build() -> nn.Layer:
    """``[batch, 8, 8] -> [batch, 5]`` logits, of a ``trunk`` and a ``head``."""
    trunk = nn.chain(
        nn.reshape(8, 8, 1), nn.conv(16, (3, 3)), jax.nn.relu, nn.conv(32, (3, 3)), jax.nn.relu,
        nn.max_pool((2, 2)), nn.flatten(), nn.dropout(0.25),
    )  # fmt: skip
    return nn.chain(trunk=trunk, head=nn.dense(5))


def tasks() -> tuple[Any, Any, Any]:
    """The old task's training digits, and the new one's training and test digits, labels 0 to 4."""
    data = load_digits()
    low, high, test = data.y < 5, data.y >= 5, data.y_test >= 5
    old = jnp.asarray(data.x[low]), jnp.asarray(data.y[low])
    new = jnp.asarray(data.x[high]), jnp.asarray(data.y[high] - 5)
    return old, new, (jnp.asarray(data.x_test[test]), jnp.asarray(data.y_test[test] - 5))


def learn_old(config: Config, old: Any) -> Any:
    """Parameters after learning the digits 0 to 4."""
    objective = train.supervised(build(), losses.cross_entropy, metrics=(metrics.accuracy,))
    result = train.fit(
        objective, optim.adam(1e-3), old, epochs=config.epochs, batch_size=32,
        key=jax.random.key(config.seed), progress=False,
    )  # fmt: skip
    return result.params


def make_train(config: Config, way: str, trained: Any, new: Any, test: Any) -> Callable[[Any, Any], Any]:
    """Build ``train(key, shots)``; it returns the test accuracy on the new digits.

    ``shots`` is the number of examples of each new digit, an int32 that may be traced: a step draws its batch
    from the first so many of each digit, in an order of the key's own.
    """
    model = build()
    objective = train.supervised(model, losses.cross_entropy)
    members = jnp.stack([jnp.flatnonzero(new[1] == digit)[:80] for digit in range(5)])
    rule = optim.adam(1e-2 if way == "frozen trunk" else 3e-3)

    def run(key: Any, shots: Any) -> Any:
        made, drawn, ran = jax.random.split(key, 3)
        mixed = jax.vmap(jax.random.permutation)(jax.random.split(drawn, 5), members)

        def batch(number: Any) -> Any:
            places = jax.random.randint(jax.random.fold_in(ran, number), (5, BATCH // 5), 0, shots)
            chosen = jnp.take_along_axis(mixed, places, 1).ravel()
            return tuple(part[chosen] for part in new)

        fresh, state = objective.init(made, batch(0))
        start = fresh if way == "from scratch" else surgery.replace(fresh, "trunk", trained["trunk"])
        part = train.partition(start, "head.*" if way == "frozen trunk" else "*")
        task = part.objective(objective, state)
        step = train.make_step(task, rule)
        first = train.TrainState.create(task, rule, ran, batch(0))
        last = jax.lax.fori_loop(0, config.steps, lambda k, now: step(now, batch(k))[0], first)
        logits, _ = model.apply(part.merge(last.params), state, test[0])
        return (logits.argmax(-1) == test[1]).astype(jnp.float32).mean()

    return run


def learn(config: Config, ways: Sequence[str] = WAYS) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Numbers of examples of each digit, and by way, test accuracies ``[seeds, numbers]``."""
    old, new, test = tasks()
    trained = learn_old(config, old)
    shots = np.array([n for n in (1, 2, 5, 10, 20, 50) if n <= config.most], np.int32)
    keys = jax.random.split(jax.random.key(config.seed + 1), config.seeds)
    found = {}
    for way in ways:
        many = train.fit_many(make_train(config, way, trained, new, test), keys, jnp.asarray(shots))
        found[way] = np.asarray(many.results).T
    return shots, found


def run(config: Config, page: Page) -> None:
    """Train the trunk, carry it over, compare."""
    if config.quick:
        config = replace(config, seeds=2, steps=20, epochs=2, most=2)
    shots, found = learn(config, WAYS[:1] if config.quick else WAYS)
    for way, accuracy in found.items():
        for index in (0, len(shots) - 1):
            what = f"{way}: test accuracy with {shots[index]} of each new digit"
            page.compare(what, accuracy[:, index].mean(), spread=accuracy[:, index].std(ddof=1))
    rows = [
        (int(n), *(f"{found[way][:, k].mean():.3f} ± {found[way][:, k].std(ddof=1):.3f}" for way in found))
        for k, n in enumerate(shots)
    ]
    page.table(
        "Test accuracy on the new digits", ("examples of each", *found), rows, f"{config.seeds} seeds."
    )
    groups = {way: (shots, accuracy) for way, accuracy in found.items()}
    plots.bands(
        page.picture("transfer.png"), "From the digits 0-4 to the digits 5-9",
        [("Test accuracy by examples of each new digit", groups, {})], x="examples of each digit", log="x",
    )  # fmt: skip
    page.compare("numbers trained with the trunk frozen", 128 * 5 + 5)
    page.compare("numbers trained from scratch", 160 + 4640 + 128 * 5 + 5)
    page.show(
        "What the trunk brings along",
        "With the trunk frozen, its gradient is never computed, and an eighth of the numbers are trained: "
        "that gets within two hundredths of training everything. But it is not ahead, not even with one "
        "example of each digit. Filters of three by three for pictures of eight by eight are learnt as fast "
        "as they are borrowed, and five digits ask little of a trunk. Borrowing pays where the old data are "
        "many and varied and the new task is hard; measure it, as here, before you believe in it.",
        "transfer.png",
    )


EXPERIMENT = Experiment("transfer", "A trained trunk for a new task", Config, run)
