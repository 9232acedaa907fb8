"""MNIST with two hidden layers and dropout, the "hello world" of Keras: 98 % in five epochs.

784-512-512-10, rectified linear units, dropout after each hidden layer; RMSprop with the defaults that
Keras had when the courses were written; 669,706 parameters. ``--dropout 0`` shows what dropout is for: the
training accuracy rises, the test accuracy does not. Tested are the weights averaged over about the last
hundred steps, which takes out the noise of the last ones; ``--ema 0`` tests the last weights, as the
courses do.

Run:     python -m experiments mnist_mlp
Expect:  test accuracy of at least 0.979; docs/results.md has seeds, spread and time.
Time:    about 12 s on two cores
Course:  Back-propagation - training a network on MNIST
Course:  Multi-layer networks and optimisation - training a network on MNIST
"""

from dataclasses import dataclass

import jax
import optax

import jaxnn as nn
from experiments.data import load_mnist
from experiments.drawings import as_mnist
from experiments.runner.classifier import Classifier
from experiments.runner.config import TrainingConfig, check_rate
from jaxnn import optim


@dataclass(frozen=True)
class Config(TrainingConfig):
    """A two-hidden-layer network."""

    ema: float = 0.99
    """Decay of the average of the weights that is tested and saved; 0 takes the last weights."""
    hidden: int = 512
    """Units in each hidden layer."""
    dropout: float = 0.2
    """Probability that a hidden unit is dropped in training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate("dropout", self.dropout)


def build(config: Config) -> nn.Layer:
    """``[batch, 28, 28] -> [batch, 10]`` logits; kernels drawn as Keras draws them."""
    glorot = jax.nn.initializers.glorot_uniform()
    return nn.chain(
        nn.flatten(),
        nn.dense(config.hidden, kernel_init=glorot), jax.nn.relu, nn.dropout(config.dropout),
        nn.dense(config.hidden, kernel_init=glorot), jax.nn.relu, nn.dropout(config.dropout),
        nn.dense(10, kernel_init=glorot),
    )  # fmt: skip


def optimizer(config: Config) -> optax.GradientTransformation:
    """RMSprop with Keras's decay and epsilon."""
    return optim.rmsprop(config.learning_rate, form="keras")


CORRECTIONS = (
    (
        "Back-propagation",
        "the log of ten epochs begins at an accuracy of 0.9708, and the test after it prints 0.9810",
        "that log goes on with a network already trained, and that test is of an earlier one; from scratch "
        "the first epoch ends near 0.92, as in Multi-layer networks and optimisation",
    ),
)
EXPERIMENT = Classifier(
    "mnist_mlp", "MNIST, two hidden layers", Config, load_mnist, build, optimizer, as_mnist,
    corrections=CORRECTIONS,
)  # fmt: skip
