"""A generator learns a density, until its discriminator can only toss a coin: the equilibrium of a GAN.

The data are numbers from a density of two hills. The generator turns normal noise into numbers; the
discriminator says how probably a number is real. Theory says where they come to rest: the generated density
is that of the data, the discriminator answers 1/2 everywhere, and the value of the game is -ln 4. Five
pairs play side by side (``train.fit_many``). That a discriminator says 1/2 might be its own weakness, so
that at the end a fresh one is trained against each resting generator: it finds nothing either.

Run:     python -m experiments density_gan
Expect:  a value within 0.02 of -ln 4 and a mean output within 0.02 of 1/2 for at least four of five seeds
Time:    about 40 CPU seconds (a minute on two cores)
Course:  From calculus to convolutional networks - adversaries
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnn as nn
from experiments.adversaries.players import (
    EQUILIBRIUM_VALUE,
    discriminator_objective,
    generator_objective,
    value,
)
from experiments.plots.density_game import density_game
from experiments.plots.spread import spread
from experiments.runner.config import ExperimentConfig, check_step_size, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import optim, train

CENTRES, WIDTH = (-1.5, 1.5), 0.6
GRID = np.linspace(-4, 4, 161, dtype=np.float32)
TOLERANCE = 0.02
FRESH_RATE = 3e-3


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """A game on a line."""

    seeds: int = 5
    """Pairs that play side by side, each from its own seed."""
    rounds: int = 8000
    """Steps of each player; they take turns."""
    batch_size: int = 256
    """Real and generated numbers in a step."""
    learning_rate: float = 1e-3
    """Step size of Adam for the generator; it falls to 0 along a line."""
    discriminator_rate: float = 1e-2
    """The same for the discriminator, which has to keep up with every change of the generator."""
    penalty: float = 0.3
    """Weight of the discriminator's squared slope."""
    ema: float = 0.995
    """Decay of the average of the weights that is tested."""
    stages: int = 40
    """Parts of the game, after each of which a picture is taken."""
    hidden: int = 32
    """Units in each of the two hidden layers of each player."""
    tested: int = 20_000
    """Numbers of each kind in the final test."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("seeds", "rounds", "batch_size", "hidden", "tested", "stages"):
            check_whole(name, getattr(self, name), least=1)
        check_step_size("discriminator_rate", self.discriminator_rate)
        if self.rounds % self.stages:
            raise ValueError(f"rounds: expected a multiple of stages = {self.stages}, got {self.rounds}")


def draw(key: Any, count: int) -> Any:
    """Numbers ``[count, 1]`` from the density of the data."""
    which, where = jax.random.split(key)
    centre = jax.random.choice(which, jnp.asarray(CENTRES), (count, 1))
    return centre + WIDTH * jax.random.normal(where, (count, 1))


def density(x: np.ndarray) -> np.ndarray:
    """The density of the data."""
    hills = [np.exp(-(((x - centre) / WIDTH) ** 2) / 2) for centre in CENTRES]
    return np.mean(hills, axis=0) / (WIDTH * np.sqrt(2 * np.pi))


def build(config: Config) -> nn.Layer:
    """``[batch, 1] -> [batch, 1]``, either player."""
    return nn.chain(nn.dense(config.hidden), jax.nn.silu, nn.dense(config.hidden), jax.nn.silu, nn.dense(1))


def make_train(config: Config) -> Callable[..., dict[str, Any]]:
    """Build ``train(key, hyper=None)``, a pure function that ``jit`` and ``vmap`` take.

    It returns, by stage, ``value`` and ``output`` (mean discriminator output), means over the stage's
    rounds, and snapshots of the averaged players: ``curve`` (the discriminator on ``GRID``) and ``made``
    (1,000 numbers); of the end, ``final_value``, ``final_output``, ``right`` (share told right) and
    ``distance`` (the largest difference of the distribution functions); and ``fresh_value``, of a new
    discriminator without penalty that was trained against the generator at rest.
    """
    generator, discriminator = build(config), build(config)
    judging = discriminator_objective(discriminator, config.penalty)
    forging = generator_objective(generator, discriminator)
    fresh = discriminator_objective(discriminator)
    # Without momentum, which would turn the players round the equilibrium.
    judge_rule = optim.adam(_falling(config.discriminator_rate, config.rounds), b1=0.0, b2=0.99)
    forge_rule = optim.adam(_falling(config.learning_rate, config.rounds), b1=0.0, b2=0.99)
    fresh_rule = optim.adam(_falling(FRESH_RATE, config.rounds // 2))
    judge = train.make_step(judging, judge_rule, ema=config.ema)
    forge = train.make_step(forging, forge_rule, ema=config.ema)
    inspect = train.make_step(fresh, fresh_rule, ema=config.ema)
    batch = jnp.zeros((config.batch_size, 1))

    def make(params: Any, noise: Any) -> Any:
        return generator.apply(params, {}, noise)[0]

    def noise(key: Any, count: int = config.batch_size) -> Any:
        return jax.random.normal(key, (count, 1))

    def logits(params: Any, x: Any) -> Any:
        return discriminator.apply(params, {}, x)[0]

    def turn(players: tuple[Any, Any], key: Any) -> tuple[tuple[Any, Any], dict[str, Any]]:
        judging, forging = players
        keys = jax.random.split(key, 3)
        fake = make(forging.params, noise(keys[0]))
        judging, record = judge(judging, {"real": draw(keys[1], config.batch_size), "fake": fake})
        forging, _ = forge(forging, {"noise": noise(keys[2]), "discriminator": judging.params})
        told = {name: record[name].compute() for name in ("value", "output")}
        return (judging, forging), told

    def stage(players: tuple[Any, Any], keys: Any) -> tuple[tuple[Any, Any], dict[str, Any]]:
        players, told = jax.lax.scan(turn, players, keys)
        curve = jax.nn.sigmoid(logits(players[0].ema, jnp.asarray(GRID)[:, None])[:, 0])
        made = make(players[1].ema, jax.scipy.stats.norm.ppf(jnp.linspace(0.0005, 0.9995, 1000))[:, None])
        return players, {**jax.tree.map(jnp.mean, told), "curve": curve, "made": made[:, 0]}

    def look_again(key: Any, generator_params: Any) -> Any:
        first, turns = jax.random.split(key)

        def one(state: Any, key: Any) -> tuple[Any, None]:
            a, b = jax.random.split(key)
            fake = make(generator_params, noise(a))
            return inspect(state, {"real": draw(b, config.batch_size), "fake": fake})[0], None

        state = train.TrainState.create(fresh, fresh_rule, first, {"real": batch}, ema=True)
        return jax.lax.scan(one, state, jax.random.split(turns, config.rounds // 2))[0].ema

    def run(key: Any, hyper: None = None) -> dict[str, Any]:
        del hyper
        first, second, turns, again, *tests = jax.random.split(key, 6)
        players = (
            train.TrainState.create(judging, judge_rule, first, {"real": batch}, ema=True),
            train.TrainState.create(forging, forge_rule, second, {"noise": batch}, ema=True),
        )
        stages = config.stages
        keys = jax.random.split(turns, (stages, config.rounds // stages))
        (judged, forged), history = jax.lax.scan(stage, players, keys)
        real, fake = draw(tests[0], config.tested), make(forged.ema, noise(tests[1], config.tested))
        told, other = logits(judged.ema, real), logits(judged.ema, fake)
        newcomer = look_again(again, forged.ema)
        return {
            **history,
            "final_value": jnp.mean(value(told, other)),
            "final_output": jnp.mean(jax.nn.sigmoid(jnp.concatenate([told, other]))),
            "right": (jnp.mean(told > 0, dtype=told.dtype) + jnp.mean(other < 0, dtype=told.dtype)) / 2,
            "distance": distance(fake[:, 0]),
            "fresh_value": jnp.mean(value(logits(newcomer, real), logits(newcomer, fake))),
        }

    return run


def distance(made: Any) -> Any:
    """The largest difference of the distribution functions of ``made`` ``[count]`` and of the data."""
    x = jnp.sort(made)
    parts = [jax.scipy.stats.norm.cdf(x, centre, WIDTH) for centre in CENTRES]
    steps = jnp.arange(x.size + 1, dtype=x.dtype) / x.size
    exact = sum(parts) / len(parts)
    return jnp.maximum(jnp.max(exact - steps[:-1]), jnp.max(steps[1:] - exact))


def _falling(rate: float, steps: int) -> Any:
    return optax.linear_schedule(rate, 0.0, steps)


def effective(config: Config) -> Config:
    """The configuration as it is carried out: a quick run has two short games."""
    return replace(config, seeds=2, rounds=40, stages=10, tested=1000) if config.quick else config


def run(config: Config, page: Page) -> None:
    """Let the pairs play side by side, compare where they rest with theory, and show one game."""
    config = effective(config)
    many = train.fit_many(make_train(config), jax.random.split(jax.random.key(config.seed), config.seeds))
    found: dict[str, Any] = {name: np.asarray(leaf) for name, leaf in many.results.items()}
    for stage in range(config.stages):
        record = {name: found[name][:, stage].mean() for name in ("value", "output")}
        page.folder.append_metrics({"epoch": stage + 1, **record})
    _compare(config, found, page)
    _show(config, found, page)


def _compare(config: Config, found: dict[str, Any], page: Page) -> None:
    theory = "theory (Goodfellow et al., 2014)"

    def told(what: str, name: str, expected: Any) -> None:
        page.compare(what, found[name].mean(), expected, spread=found[name].std(ddof=1), source=theory)

    told("value of the game at the end (nats)", "final_value", EQUILIBRIUM_VALUE)
    told("mean output of the discriminator at the end", "final_output", 0.5)
    told("share of numbers told right", "right", 0.5)
    told("value of a fresh discriminator without penalty (nats)", "fresh_value", EQUILIBRIUM_VALUE)
    told("largest difference of the distribution functions", "distance", 0)
    rests = np.abs(found["final_value"] - EQUILIBRIUM_VALUE) < TOLERANCE
    rests &= np.abs(found["final_output"] - 0.5) < TOLERANCE
    page.compare(
        f"seeds of {config.seeds} with value and output within {TOLERANCE} of theory", rests.sum(),
        f">= {config.seeds - 1}",
    )  # fmt: skip


def _show(config: Config, found: dict[str, Any], page: Page) -> None:
    rounds = np.arange(1, config.stages + 1) * (config.rounds // config.stages)
    panels = {
        "Value of the game (nats)": (rounds, found["value"]),
        "Mean output of the discriminator": (rounds, found["output"]),
    }
    levels = {
        "Value of the game (nats)": (EQUILIBRIUM_VALUE, "-ln 4"),
        "Mean output of the discriminator": (0.5, "1/2"),
    }
    spread(page.picture("game.png"), "The game", panels, x="round", levels=levels)
    page.show(
        "How the game goes",
        "At first the generated numbers lie in one heap, and the discriminator tells them: the value is "
        "above -ln 4 = -1.386. Each time that it finds a difference, its slope shows the generator which "
        "way to go. The value falls to -ln 4, which is what tossing a coin earns.",
        "game.png",
    )
    best = int(found["distance"].argmin())
    density_game(
        page.picture("game.gif"),
        GRID,
        density(GRID),
        found["made"][best],
        found["curve"][best],
        [f"round {number}" for number in rounds],
    )
    page.show(
        "One of the games",
        "Bars: 1,000 generated numbers; line: the density of the data; dashed: what the discriminator "
        "answers. Where too much is generated it answers less than 1/2, where too little, more; the "
        "generator's numbers climb that curve until it is flat.",
        "game.gif",
    )
    names = ("final_value", "final_output", "right", "fresh_value", "distance")
    columns = ("seed", "value", "mean output", "share told right", "value of a fresh one", "distance")
    rows = [(seed, *(found[name][seed] for name in names)) for seed in range(config.seeds)]
    page.table(
        "Each pair at rest",
        columns,
        rows,
        "Tested are weights averaged over about the last two hundred rounds. A slope penalty (R1) on the "
        "discriminator damps the game, which without it circles around the equilibrium; it does not move the "
        "equilibrium, where the discriminator is flat. As a damped discriminator might be too weak to see a "
        "difference, a fresh one without penalty is trained against the generator at rest: twice the "
        "Jensen-Shannon divergence of the densities is at least its value above -ln 4.",
    )


EXPERIMENT = Experiment("density_gan", "Two players come to rest: a GAN on a line", Config, run)
