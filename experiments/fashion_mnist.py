"""Fashion-MNIST: ten kinds of clothes in pictures like MNIST's, and a good deal harder.

The classes are 0 T-shirt, 1 trousers, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag,
9 ankle boot. The network is that of ``mnist_cnn_adam``, as in the course. The course reshapes these pictures
without dividing by 255, as it did for MNIST; the loader scales both.

Run:     python -m experiments fashion_mnist
Expect:  test accuracy of about 0.9 after one epoch; shirts are taken for T-shirts, pullovers and coats
Time:    about 10 minutes an epoch on two cores
Course:  From calculus to convolutional networks - convolutional networks
"""

from dataclasses import dataclass

from experiments.data import load_fashion_mnist
from experiments.drawings import as_mnist
from experiments.mnist_cnn_adam import QUICK, build, optimizer
from experiments.runner.classifier import Classifier
from experiments.runner.config import TrainingConfig


@dataclass(frozen=True)
class Config(TrainingConfig):
    """The network of mnist_cnn_adam."""

    epochs: int = 1
    """Passes over the training data."""


CORRECTIONS = (
    (
        "From calculus to convolutional networks",
        "the pictures of Fashion-MNIST are reshaped without being divided by 255",
        "scaled to [0, 1], as those of MNIST",
    ),
)
EXPERIMENT = Classifier(
    "fashion_mnist",
    "Fashion-MNIST",
    Config,
    load_fashion_mnist,
    build,
    optimizer,
    as_mnist,
    QUICK,
    CORRECTIONS,
)
