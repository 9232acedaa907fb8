"""MNIST with hidden layers of 128 units and plain gradient descent: no tricks, and 97.8 % all the same.

Three hidden layers of rectified units (``--layers 2`` for two), batches of 32, and stochastic gradient
descent with the rate 0.01 that Keras's ``SGD()`` has. The course prints training and test accuracy but
not for how many epochs; as many are run here as it takes to fit the training pictures as well as it did.

Run:     python -m experiments mnist_sgd
Expect:  test accuracy of at least 0.9775, training accuracy 0.995 and more
Time:    about 2 minutes on two cores
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

    epochs: int = 50
    """Passes over the training data."""
    batch_size: int = 32
    """Examples a step; the last batch of an epoch may be smaller."""
    learning_rate: float = 0.01
    """Step size of the update rule."""
    ema: float = 0.99
    """Decay of the average of the weights that is tested and saved; 0 takes the last weights."""
    layers: int = 3
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
