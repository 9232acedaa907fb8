"""MNIST with hidden layers of 128 units and plain gradient descent: no tricks, and 97.8 % all the same.

Two hidden layers of rectified units, batches of 32, and stochastic gradient descent with the rate 0.01 that
Keras's ``SGD()`` has. The course prints a training accuracy of 0.9956 and a test accuracy of 0.9775, but not
for how many epochs; after the 45 here the training accuracy is the same. Its slide of the hidden layer is
shown twice: with three (``--layers 3``) the training digits are learnt sooner and the test is no better.
Tested are the weights averaged over about the last thousand steps, half an epoch; ``--ema 0`` tests the last.

Run:     python -m experiments mnist_sgd
Expect:  test accuracy of at least 0.9775, training accuracy 0.995 and more
Time:    about 70 s on two cores
Course:  From calculus to convolutional networks - training a network on MNIST
"""

from dataclasses import dataclass

import jax
import optax

import jaxnn as nn
from experiments.data import load_mnist
from experiments.drawings import as_mnist
from experiments.runner.classifier import Classifier
from experiments.runner.config import TrainingConfig, check_whole
from jaxnn import optim


@dataclass(frozen=True)
class Config(TrainingConfig):
    """Hidden layers of one width."""

    epochs: int = 45
    """Passes over the training data."""
    batch_size: int = 32
    """Examples a step; the last batch of an epoch may be smaller."""
    learning_rate: float = 0.01
    """Step size of the update rule."""
    ema: float = 0.999
    """Decay of the average of the weights that is tested and saved; 0 takes the last weights."""
    layers: int = 2
    """Number of hidden layers."""
    hidden: int = 128
    """Units in each hidden layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("layers", self.layers, least=0)
        check_whole("hidden", self.hidden, least=1)


def build(config: Config) -> nn.Layer:
    """``[batch, 28, 28] -> [batch, 10]`` logits; kernels drawn as Keras draws them."""
    glorot = jax.nn.initializers.glorot_uniform()
    hidden = [(nn.dense(config.hidden, kernel_init=glorot), jax.nn.relu) for _ in range(config.layers)]
    return nn.chain(
        nn.flatten(), *(layer for pair in hidden for layer in pair), nn.dense(10, kernel_init=glorot)
    )


def optimizer(config: Config) -> optax.GradientTransformation:
    """Plain stochastic gradient descent."""
    return optim.sgd(config.learning_rate)


EXPERIMENT = Classifier("mnist_sgd", "MNIST, plain descent", Config, load_mnist, build, optimizer, as_mnist)
