"""MNIST with two convolutions: 99 %, and filters that can be looked at.

Two 3 by 3 convolutions of 32 and 64 features, max pooling, dropout, a hidden layer of 128; Adadelta with
rate 1, as Keras had it (its rate of today, 0.001, would hardly learn); 1,199,882 parameters. Tested are the
weights averaged over about the last hundred steps; ``--ema 0`` tests the last, as the courses do.

Run:     python -m experiments mnist_cnn
Expect:  test accuracy of at least 0.991 after twelve epochs; docs/results.md has seeds, spread and time.
Time:    about 11 minutes on two cores
Course:  Recurrent, convolutional and embedding networks - convolutional networks
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
    """A convolutional network."""

    epochs: int = 12
    """Passes over the training data."""
    learning_rate: float = 1.0
    """Step size of the update rule."""
    ema: float = 0.99
    """Decay of the average of the weights that is tested and saved; 0 takes the last weights."""
    conv_dropout: float = 0.25
    """Probability dropped after the pooling, in training."""
    dense_dropout: float = 0.5
    """Probability dropped after the hidden dense layer, in training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate("conv_dropout", self.conv_dropout)
        check_rate("dense_dropout", self.dense_dropout)


def build(config: Config) -> nn.Layer:
    """``[batch, 28, 28] -> [batch, 10]`` logits; kernels drawn as Keras draws them."""
    glorot = jax.nn.initializers.glorot_uniform()
    return nn.chain(
        nn.reshape(28, 28, 1),
        nn.conv(32, (3, 3), kernel_init=glorot), jax.nn.relu,
        nn.conv(64, (3, 3), kernel_init=glorot), jax.nn.relu,
        nn.max_pool((2, 2)), nn.dropout(config.conv_dropout), nn.flatten(),
        nn.dense(128, kernel_init=glorot), jax.nn.relu, nn.dropout(config.dense_dropout),
        nn.dense(10, kernel_init=glorot),
    )  # fmt: skip


def optimizer(config: Config) -> optax.GradientTransformation:
    """Adadelta with Keras's decay and epsilon."""
    return optim.adadelta(config.learning_rate, form="keras")


CORRECTIONS = (
    (
        "Recurrent, convolutional and embedding networks",
        "`Adadelta()`, without a rate",
        "the printed 0.991 needs the rate 1 that Keras 2.0 had; with the 0.001 of later versions it hardly "
        "learns",
    ),
)
EXPERIMENT = Classifier(
    "mnist_cnn", "MNIST, two convolutions", Config, load_mnist, build, optimizer, as_mnist,
    corrections=CORRECTIONS,
)  # fmt: skip
