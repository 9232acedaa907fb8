"""MNIST with two convolutions of 128 features that keep the picture's size, without pooling; Adam.

1,152,394 parameters, of which 1,003,530 are the last dense layer's: without pooling, every feature at every
place has a weight to every class. A step costs ten times that of ``mnist_cnn``, which pools.

Run:     python -m experiments mnist_cnn_adam
Expect:  test accuracy of about 0.985 after one epoch; the course prints none
Time:    about 10 minutes an epoch on two cores
Course:  From calculus to convolutional networks - convolutional networks
"""

from dataclasses import dataclass

import jax
import optax

import jaxnn as nn
from experiments.data import load_mnist
from experiments.drawings import as_mnist
from experiments.runner.classifier import Classifier
from experiments.runner.config import TrainingConfig
from jaxnn import optim


@dataclass(frozen=True)
class Config(TrainingConfig):
    """Convolutions that keep the size."""

    epochs: int = 1
    """Passes over the training data."""


def build(config: TrainingConfig) -> nn.Layer:
    """``[batch, 28, 28] -> [batch, 10]`` logits; kernels drawn as Keras draws them."""
    del config  # nothing about the network is an option
    glorot = jax.nn.initializers.glorot_uniform()
    return nn.chain(
        nn.reshape(28, 28, 1),
        nn.conv(128, (3, 3), padding="SAME", kernel_init=glorot), jax.nn.relu,
        nn.conv(128, (3, 3), padding="SAME", kernel_init=glorot), jax.nn.relu,
        nn.flatten(), nn.dense(10, kernel_init=glorot),
    )  # fmt: skip


def optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """Adam."""
    return optim.adam(config.learning_rate)


# A step is dear here: one is enough to see that everything works.
QUICK = (128, 128)

CORRECTIONS = (
    (
        "From calculus to convolutional networks",
        "`Conv2D(units, kernal_size)`",
        "`Conv2D(filters, kernel_size)`",
    ),
)
EXPERIMENT = Classifier(
    "mnist_cnn_adam", "MNIST, convolutions without pooling", Config, load_mnist, build, optimizer, as_mnist,
    QUICK, CORRECTIONS,
)  # fmt: skip
