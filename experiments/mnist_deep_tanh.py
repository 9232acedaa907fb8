"""MNIST with five tanh layers of 2,500 to 500 units: depth without rectified units, or any of today's help.

784-2500-2000-1500-1000-500-10; RMSprop with the defaults of Keras; 11,972,510 parameters.
Tested are the weights averaged over about the last hundred steps; ``--ema 0`` tests the last, as the
courses do.

Run:     python -m experiments mnist_deep_tanh
Expect:  test accuracy of at least 0.968 after ten epochs; docs/results.md has seeds, spread and time.
Time:    about 5 minutes on two cores
Course:  Back-propagation - training a network on MNIST
Course:  Multi-layer networks and optimisation - training a network on MNIST
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

import jaxnn as nn
from experiments.data import load_mnist
from experiments.drawings import as_mnist
from experiments.runner.classifier import Classifier
from experiments.runner.config import TrainingConfig
from jaxnn import optim

HIDDEN = (2500, 2000, 1500, 1000, 500)


@dataclass(frozen=True)
class Config(TrainingConfig):
    """Five hidden layers of tanh units."""

    epochs: int = 10
    """Passes over the training data."""
    ema: float = 0.99
    """Decay of the average of the weights that is tested and saved; 0 takes the last weights."""


def build(config: Config) -> nn.Layer:
    """``[batch, 28, 28] -> [batch, 10]`` logits; kernels drawn as Keras draws them."""
    del config  # nothing about the network is an option
    glorot = jax.nn.initializers.glorot_uniform()
    hidden = [layer for width in HIDDEN for layer in (nn.dense(width, kernel_init=glorot), jnp.tanh)]
    return nn.chain(nn.flatten(), *hidden, nn.dense(10, kernel_init=glorot))


def optimizer(config: Config) -> optax.GradientTransformation:
    """RMSprop with Keras's decay and epsilon."""
    return optim.rmsprop(config.learning_rate, form="keras")


EXPERIMENT = Classifier(
    "mnist_deep_tanh", "MNIST, five tanh layers", Config, load_mnist, build, optimizer, as_mnist
)
