"""Speed-critical functions on plain arrays, usable from any JAX code; each chooses its formulation by platform."""

from jaxnn.ops._conv import conv as conv
from jaxnn.ops._dropout import dropout as dropout
from jaxnn.ops._pool import avg_pool as avg_pool
from jaxnn.ops._pool import max_pool as max_pool

__all__ = ["avg_pool", "conv", "dropout", "max_pool"]
