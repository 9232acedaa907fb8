"""A person's drawing as a picture of a data set: read any image file, find the ink, scale and centre it."""

from experiments.drawings.fit import as_digits, as_mnist
from experiments.drawings.read import find_ink, read_grey

__all__ = ["as_digits", "as_mnist", "find_ink", "read_grey"]
