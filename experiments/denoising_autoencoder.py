"""A denoising autoencoder: noisy pictures in, clean pictures out.

Normal noise of standard deviation 0.5, half of the distance from paper to ink, is added to pictures of
digits, anew in every step; the network is asked for the clean picture (P. Vincent et al., 2008). It cannot
copy its input, so that it has to learn what digits look like. For comparison: the best that any linear map
of all pixels can do (Wiener's filter), which knows the variances and nothing of shapes.

Run:     python -m experiments denoising_autoencoder
Expect:  a squared error at most a fifth of the noisy pictures', also where these are first cut to [0, 1]
Time:    about 1 minute on two cores
Course:  Recurrent, convolutional and embedding networks - autoencoders
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments.data import load_mnist
from experiments.plots.gallery import gallery
from experiments.plots.lines import lines
from experiments.runner.config import TrainingConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.runner.schedule import half_cosine
from jaxnn import losses, optim, train

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)


@dataclass(frozen=True)
class Config(TrainingConfig):
    """Two hidden layers between noisy and clean."""

    epochs: int = 10
    """Passes over the pictures."""
    batch_size: int = 200
    """Pictures in a step."""
    hidden: int = 500
    """Units in each of the two hidden layers."""
    noise: float = 0.5
    """Standard deviation of the noise; ink is 1, paper is 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("hidden", self.hidden, least=1)
        if not self.noise > 0:
            raise ValueError(f"noise: expected a positive standard deviation, got {self.noise}")


def build(config: Config) -> nn.Layer:
    """``[batch, 784] -> [batch, 784]`` in [0, 1]; it adds the noise itself, and only in training."""
    return nn.chain(
        nn.gaussian_noise(config.noise),
        nn.dense(config.hidden), jax.nn.relu,
        nn.dense(config.hidden), jax.nn.relu,
        nn.dense(784), jax.nn.sigmoid,
    )  # fmt: skip


def make_train(config: Config) -> Callable[..., train.Result]:
    """Build ``train(key, clean pictures [examples, 784], callbacks=()) -> Result``."""

    def run(key: Any, x: np.ndarray, callbacks: tuple[Callable[..., None], ...] = ()) -> train.Result:
        steps = config.epochs * -(-len(x) // config.batch_size)
        rule = optim.adam(half_cosine(config.learning_rate, steps))
        return train.fit(
            train.supervised(build(config), losses.squared_error), rule, (x, x),
            epochs=config.epochs, batch_size=config.batch_size, key=key, callbacks=callbacks, progress=False,
        )  # fmt: skip

    return run


def noisy(x: np.ndarray, level: float, seed: int = 0) -> np.ndarray:
    """``x`` with normal noise of standard deviation ``level``, the same on every call; not cut to [0, 1]."""
    noise = np.random.default_rng(seed).standard_normal(x.shape, dtype=np.float32)
    return x + np.float32(level) * noise


def error(made: np.ndarray, clean: np.ndarray) -> float:
    """Mean squared difference of the pixels."""
    return float(np.mean((made.astype(np.float64) - clean) ** 2))


def wiener(x: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The linear map ``[features, features]`` and the mean that take noisy to clean with the least error."""
    mean = x.mean(axis=0, dtype=np.float64)
    covariance = np.cov(x.astype(np.float64), rowvar=False, ddof=0)
    return np.linalg.solve(covariance + level**2 * np.eye(len(covariance)), covariance), mean


def run(config: Config, page: Page) -> None:
    """Train, clean the test pictures, and compare."""
    data = load_mnist()
    if config.quick:
        data, config = data.head(1000, 200), replace(config, epochs=1)
    x, clean = (part.reshape(len(part), -1) for part in (data.x, data.x_test))
    trained = make_train(config)(jax.random.key(config.seed), x, (page.folder.append_metrics,))
    page.folder.save_weights(trained.params, {})

    def network(pictures: np.ndarray) -> np.ndarray:
        return np.asarray(train.predict(build(config), trained.params, {}, jnp.asarray(pictures)))

    dirty = noisy(clean, config.noise)
    linear, mean = wiener(x, config.noise)
    methods = {
        "noisy": dirty,
        "noisy, cut to [0, 1]": dirty.clip(0, 1),
        "best linear map": (dirty - mean) @ linear + mean,
        "denoised": network(dirty),
    }
    found = {name: error(made, clean) for name, made in methods.items()}
    for name, value in found.items():
        told = config.noise**2 if name == "noisy" else ""
        page.compare(
            f"squared error of a pixel, {name}",
            value,
            told,
            source="derived: the variance of the noise" if told else "",
        )
    page.compare("error of the noisy pictures over the denoised", found["noisy"] / found["denoised"], ">= 5")
    ratio = found["noisy, cut to [0, 1]"] / found["denoised"]
    page.compare("error of the cut noisy pictures over the denoised", ratio, ">= 5")
    rows = {name: made[:12].reshape(-1, 28, 28) for name, made in {"clean": clean, **methods}.items()}
    del rows["noisy, cut to [0, 1]"]
    gallery(page.picture("denoised.png"), "Twelve test pictures", rows)
    page.show(
        "From noise to digits",
        "The noisy row is what the network sees. Wiener's filter blurs the noise away and the strokes with "
        "it; the network puts strokes where digits have strokes. Where noise has hidden the difference, it "
        "guesses.",
        "denoised.png",
    )
    levels = np.array(LEVELS)
    curves = {
        "noisy": (levels, [error(noisy(clean, level), clean) for level in LEVELS]),
        "best linear map for that noise": (levels, [_linear(x, clean, level) for level in LEVELS]),
        f"network trained at {config.noise}": (
            levels,
            [error(network(noisy(clean, v)), clean) for v in LEVELS],
        ),
    }
    lines(
        page.picture("levels.png"), "Other noise than in training", [("Squared error of a pixel", curves)],
        x="standard deviation of the noise", log="y",
    )  # fmt: skip
    page.show(
        "Other noise",
        f"The network has only seen noise of {config.noise}. With less of it, the error does not fall to 0: "
        "the network redraws what needs no redrawing, gains nothing at 0.1, and the linear map made for so "
        "little noise is better.",
        "levels.png",
    )


def _linear(x: np.ndarray, clean: np.ndarray, level: float) -> float:
    linear, mean = wiener(x, level)
    return error((noisy(clean, level) - mean) @ linear + mean, clean)


EXPERIMENT = Experiment("denoising_autoencoder", "A denoising autoencoder", Config, run)
