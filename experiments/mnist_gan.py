"""A generator learns to draw digits from a discriminator that learns to tell its drawings from real ones.

Two small convolutional networks. The generator turns 64 normal numbers into a picture; nobody shows it a real
digit. It sees only, through the discriminator, in which direction each of its pictures would look more real.
Drawings after every quarter of an epoch make an animation. What they are worth is judged by a third network
that was trained to read digits: how sure it is of what it reads, and whether all ten digits occur.

Run:     python -m experiments mnist_gan
         python -m experiments mnist_gan --classifier runs/mnist_cnn/RUN
Expect:  all ten digits among 1,000 drawings, read with a mean confidence of 0.9 by a trained mnist_cnn
Time:    an epoch takes about 90 CPU seconds
Course:  From calculus to convolutional networks - adversaries
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments.adversaries.players import discriminator_objective, generator_objective
from experiments.data import Pictures, load_mnist
from experiments.plots.lines import lines
from experiments.plots.samples import animated_samples, samples
from experiments.runner.config import ExperimentConfig, check_rate, check_step_size, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.runner.predict import read_run
from experiments.runner.run_folder import RunFolder
from experiments.runner.schedule import half_cosine
from jaxnn import losses, optim, train

DRAWINGS = 1000
PARTS = 4  # of an epoch, after each of which drawings are kept
READER_EPOCHS = 12  # as mnist_cnn trains


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Two players with pictures."""

    epochs: int = 12
    """Passes over the training pictures."""
    batch_size: int = 64
    """Real and drawn pictures in a step."""
    learning_rate: float = 1e-3
    """Step size of Adam for the generator."""
    discriminator_rate: float = 5e-4
    """The same for the discriminator."""
    dropout: float = 0.25
    """Probability that a feature of the discriminator is dropped: else it is soon too sure to be of use."""
    ema: float = 0.999
    """Decay of the average of the generator's weights, which draws what is kept."""
    noise: int = 64
    """Numbers that a picture is made of."""
    features: int = 32
    """Features of the larger pictures inside the players; the smaller ones have twice as many."""
    classifier: Path | None = None
    """Folder of a trained run (such as runs/mnist_cnn/first) that reads the drawings; else a network for
    this is trained here."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "batch_size", "noise", "features"):
            check_whole(name, getattr(self, name), least=1)
        check_rate("dropout", self.dropout)
        check_step_size("discriminator_rate", self.discriminator_rate)


def build_generator(config: Config) -> nn.Layer:
    """``[batch, noise] -> [batch, 28, 28, 1]`` in [0, 1]: from 7 by 7 to 14 by 14 to 28 by 28."""
    wide = 2 * config.features
    return nn.chain(
        nn.dense(7 * 7 * wide), nn.reshape(7, 7, wide), nn.batch_norm(), jax.nn.relu,
        nn.conv_transpose(config.features, (4, 4), strides=2, padding="SAME"), nn.batch_norm(), jax.nn.relu,
        nn.conv_transpose(1, (4, 4), strides=2, padding="SAME"), jax.nn.sigmoid,
    )  # fmt: skip


def build_discriminator(config: Config, outputs: int = 1) -> nn.Layer:
    """``[batch, 28, 28, 1] -> [batch, outputs]``; with ten outputs it reads digits."""
    leaky = jax.nn.leaky_relu
    return nn.chain(
        nn.conv(config.features, (4, 4), strides=2, padding="SAME"), leaky, nn.dropout(config.dropout),
        nn.conv(2 * config.features, (4, 4), strides=2, padding="SAME"), leaky, nn.dropout(config.dropout),
        nn.flatten(), nn.dense(outputs),
    )  # fmt: skip


def make_draw(config: Config) -> Callable[[train.TrainState, Any], Any]:
    """Build ``draw(forger, noise)``: ``[batch, noise] -> [batch, 28, 28]``, by the averaged weights.

    Normalised by the drawings' own statistics, as in training: the running ones belong to other weights.
    """
    generator = build_generator(config)
    return jax.jit(
        lambda forged, noise: generator.apply(forged.ema, forged.state, noise, train=True)[0][..., 0]
    )


def make_part(config: Config) -> tuple[Any, Any]:
    """Build ``start(key)`` and ``part(players, x, order)``.

    ``part`` is a piece of an epoch in one compiled call: for each row of ``order`` ``[steps, batch_size]``, a
    step of the discriminator on those pictures of ``x``, then one of the generator. It returns the players
    and, for each step, ``value``, ``output``, ``right``, ``discriminator_loss`` and ``generator_loss``.
    """
    generator, discriminator = build_generator(config), build_discriminator(config)
    judging = discriminator_objective(discriminator)
    forging = generator_objective(generator, discriminator)
    judge_rule, forge_rule = (
        optim.adam(rate, b1=0.5) for rate in (config.discriminator_rate, config.learning_rate)
    )
    judge, forge = train.make_step(judging, judge_rule), train.make_step(forging, forge_rule, ema=config.ema)

    def start(key: Any) -> tuple[train.TrainState, train.TrainState]:
        first, second = jax.random.split(key)
        pictures = jax.ShapeDtypeStruct((config.batch_size, 28, 28, 1), jnp.float32)
        noise = jax.ShapeDtypeStruct((config.batch_size, config.noise), jnp.float32)
        return (
            train.TrainState.create(judging, judge_rule, first, {"real": pictures}),
            train.TrainState.create(forging, forge_rule, second, {"noise": noise}, ema=True),
        )

    def step(players: Any, chosen: Any, x: Any) -> tuple[Any, dict[str, Any]]:
        judged, forged = players
        key = jax.random.fold_in(forged.key, forged.step)
        noise = jax.random.normal(key, (2, config.batch_size, config.noise))
        fake, _ = generator.apply(forged.params, forged.state, noise[0], train=True)
        real = x[chosen][..., None]
        judged, seen = judge(judged, {"real": real, "fake": fake})
        forged, told = forge(forged, {"noise": noise[1], "discriminator": judged.params})
        record = {name: seen[name].compute() for name in ("value", "output", "right")}
        record |= {"discriminator_loss": seen["loss"].compute(), "generator_loss": told["loss"].compute()}
        return (judged, forged), record

    @jax.jit(donate_argnums=0)
    def part(players: Any, x: Any, order: Any) -> tuple[Any, dict[str, Any]]:
        return jax.lax.scan(lambda p, chosen: step(p, chosen, x), players, order)

    return start, part


def make_train(config: Config) -> Callable[..., tuple[Any, dict[str, np.ndarray], np.ndarray]]:
    """Build ``train(key, x, tell) -> (generator's state, history, drawings)``.

    ``history`` holds what ``make_part`` records, a mean for each part ``[parts]``; ``drawings`` are
    ``[parts + 1, 100, 28, 28]``, all from the same noise. ``tell(epoch, record)`` is called after each epoch.
    """
    (start, part), draw = make_part(config), make_draw(config)

    def run(key: Any, x: np.ndarray, tell: Callable[[int, dict[str, float]], None]) -> Any:
        first, fixed, orders = jax.random.split(key, 3)
        steps = len(x) // config.batch_size // PARTS
        if not steps:
            raise ValueError(
                f"mnist_gan: batch_size must be at most a quarter of the {len(x)} pictures, got "
                f"{config.batch_size}; take a smaller one"
            )
        players = start(first)
        same = jax.random.normal(fixed, (100, config.noise))
        drawings, parts = [np.asarray(draw(players[1], same))], []
        for epoch in range(config.epochs):
            order = jax.random.permutation(jax.random.fold_in(orders, epoch), len(x))
            order = order[: PARTS * steps * config.batch_size].reshape(PARTS, steps, config.batch_size)
            for chosen in order:
                players, record = part(players, x, chosen)
                parts.append({name: float(values.mean()) for name, values in record.items()})
                drawings.append(np.asarray(draw(players[1], same)))
            tell(epoch + 1, {name: float(np.mean([p[name] for p in parts[-PARTS:]])) for name in parts[0]})
        history = {name: np.array([record[name] for record in parts]) for name in parts[0]}
        return players[1], history, np.stack(drawings)

    return run


def reader(config: Config, data: Pictures, key: Any) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """A network that reads digits, ``[n, 28, 28]`` to probabilities ``[n, 10]``, and its test accuracy.

    Raises:
        UsageError, ValueError: ``config.classifier`` is not the folder of a trained run on such pictures.
    """
    if config.classifier is not None:
        folder = RunFolder(config.classifier)
        experiment, chosen = read_run(folder)
        model, (params, state) = experiment.build(chosen), folder.load_weights()
    else:
        model = nn.chain(nn.reshape(28, 28, 1), build_discriminator(config, outputs=10))
        objective = train.supervised(model, losses.cross_entropy)
        epochs = 1 if config.quick else READER_EPOCHS
        found = train.fit(
            objective,
            optim.adam(half_cosine(2e-3, epochs * -(-len(data.x) // 128))),
            (data.x, data.y),
            epochs=epochs,
            batch_size=128,
            key=key,
            progress=False,
        )
        params, state = found.params, found.state

    def read(pictures: np.ndarray) -> np.ndarray:
        return np.asarray(jax.nn.softmax(train.predict(model, params, state, pictures)))

    return read, float((read(data.x_test).argmax(axis=1) == data.y_test).mean())


def effective(config: Config) -> Config:
    """The configuration as it is carried out: a quick run has one short epoch."""
    return replace(config, epochs=1, batch_size=16, features=4) if config.quick else config


def run(config: Config, page: Page) -> None:
    """Train both players, judge the drawings, and show how they came about."""
    config = effective(config)
    data = load_mnist().head(512, 256) if config.quick else load_mnist()
    playing, reading, drawing = jax.random.split(jax.random.key(config.seed), 3)
    forged, history, drawings = make_train(config)(
        playing,
        data.x,
        lambda epoch, record: page.folder.append_metrics({"epoch": epoch, **record}),
    )
    page.folder.save_weights(jax.tree.map(np.asarray, forged.ema), jax.tree.map(np.asarray, forged.state))
    read, accuracy = reader(config, data, reading)
    noise = jax.random.normal(drawing, (DRAWINGS, config.noise))
    made = np.asarray(make_draw(config)(forged, noise))
    probabilities, real = read(made), read(data.x_test[:DRAWINGS])
    counts = np.bincount(probabilities.argmax(axis=1), minlength=10)
    page.compare(f"mean confidence in {DRAWINGS} drawings", probabilities.max(axis=1).mean(), ">= 0.9")
    page.compare(f"different digits among {DRAWINGS} drawings", (counts > 0).sum(), "10")
    page.compare(f"mean confidence in {len(real)} real test pictures", real.max(axis=1).mean())
    page.compare("test accuracy of the network that reads them", accuracy)
    _show(config, history, drawings, page)
    page.table(
        "Which digits it draws",
        ("digit", *map(str, range(10))),
        [("drawings", *map(int, counts)), ("mean confidence", *_confidence(probabilities))],
    )


def _confidence(probabilities: np.ndarray) -> list[float]:
    """Mean confidence by digit read; 0 where there is none."""
    read, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    return [float(sure[read == digit].mean()) if (read == digit).any() else 0.0 for digit in range(10)]


def _show(config: Config, history: dict[str, np.ndarray], drawings: np.ndarray, page: Page) -> None:
    epochs = np.arange(1, len(drawings)) / PARTS
    titles = ["before", *(f"after {epoch:.2f} epochs" for epoch in epochs)]
    animated_samples(page.picture("drawings.gif"), drawings, titles)
    page.show(
        "Drawings while it learns",
        "Every place keeps its 64 numbers, so that one sees each drawing change its mind.",
        "drawings.gif",
    )
    samples(page.picture("last.png"), f"Drawings after {config.epochs} epochs", drawings[-1])
    page.show("The last drawings", picture="last.png")
    both = {
        "discriminator": (epochs, history["discriminator_loss"]),
        "generator": (epochs, history["generator_loss"]),
    }
    lines(
        page.picture("losses.png"),
        "The game",
        [
            ("Loss (nats)", both),
            ("Share that the discriminator tells right", {"": (epochs, history["right"])}),
        ],
        x="epoch",
    )
    page.show(
        "The game",
        "Neither loss says how good the drawings are, for each is measured against the other player. At "
        "the equilibrium the discriminator would toss coins: loss ln 4 = 1.386, right half of the time, "
        "and the generator's loss would be ln 2 = 0.693. On pictures the discriminator stays ahead: it "
        "goes on finding differences that we hardly see.",
        "losses.png",
    )


EXPERIMENT = Experiment("mnist_gan", "A network draws digits: a GAN on MNIST", Config, run)
