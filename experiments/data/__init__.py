"""Data sets as arrays, from ``JAXNN_DATA``, else the cache, else a download with a checksum."""

from experiments.data.digits import load_digits
from experiments.data.fashion_mnist import load_fashion_mnist
from experiments.data.iris import load_iris
from experiments.data.mnist import load_mnist
from experiments.data.pictures import Pictures

__all__ = ["Pictures", "load_digits", "load_fashion_mnist", "load_iris", "load_mnist"]
