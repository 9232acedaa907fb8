"""Handwritten digits from scikit-learn with a small convolutional network: offline, seconds, 98 %.

Two 3 by 3 convolutions of 16 and 32 features, max pooling, dropout, a hidden layer of 64; Adam.

Run:     python -m experiments digits
Expect:  test accuracy of at least 0.97 in a few seconds on two cores; docs/results.md has seeds and spread.
Time:    about 4 s on two cores, 10 s with an empty cache of compiled programs
"""

from dataclasses import dataclass

import jax
import optax

import jaxnn as nn
from experiments.data import load_digits
from experiments.drawings import as_digits
from experiments.runner.classifier import Classifier
from experiments.runner.config import TrainingConfig, check_rate
from jaxnn import optim


@dataclass(frozen=True)
class Config(TrainingConfig):
    """A small convolutional network."""

    epochs: int = 30
    """Passes over the training data."""
    batch_size: int = 32
    """Examples a step; the last batch of an epoch may be smaller."""
    dropout: float = 0.25
    """Probability dropped before each dense layer, in training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate("dropout", self.dropout)


def build(config: Config) -> nn.Layer:
    """``[batch, 8, 8] -> [batch, 10]`` logits."""
    return nn.chain(
        nn.reshape(8, 8, 1),
        nn.conv(16, (3, 3)), jax.nn.relu,
        nn.conv(32, (3, 3)), jax.nn.relu,
        nn.max_pool((2, 2)), nn.flatten(), nn.dropout(config.dropout),
        nn.dense(64), jax.nn.relu, nn.dropout(config.dropout),
        nn.dense(10),
    )  # fmt: skip


def optimizer(config: Config) -> optax.GradientTransformation:
    """Adam."""
    return optim.adam(config.learning_rate)


EXPERIMENT = Classifier("digits", "Handwritten digits", Config, load_digits, build, optimizer, as_digits)
