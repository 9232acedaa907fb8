"""Softmax regression on MNIST: ten linear units, 7,850 parameters, and 91 to 92 %.

Each class has one weight for each pixel, a template. It is the network of ``mnist_sgd`` without hidden
layers, and the bar that they have to pass.

Run:     python -m experiments softmax_regression
Expect:  test accuracy of 0.91 and more after ten epochs
Time:    about 10 s on two cores
Course:  From calculus to convolutional networks - training a network on MNIST
"""

from dataclasses import dataclass

from experiments import mnist_sgd
from experiments.data import load_mnist
from experiments.drawings import as_mnist
from experiments.runner.classifier import Classifier


@dataclass(frozen=True)
class Config(mnist_sgd.Config):
    """One linear layer."""

    epochs: int = 10
    """Passes over the training data."""
    ema: float = 0.0
    """Decay of the average of the weights that is tested and saved; 0 takes the last weights."""
    layers: int = 0
    """Number of hidden layers."""


EXPERIMENT = Classifier(
    "softmax_regression",
    "MNIST, softmax regression",
    Config,
    load_mnist,
    mnist_sgd.build,
    mnist_sgd.optimizer,
    as_mnist,
)
