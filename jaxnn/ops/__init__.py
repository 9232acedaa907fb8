"""Speed-critical functions on plain arrays for any JAX code; each chooses its formulation by platform."""

from jaxnn.ops._attention import attention as attention
from jaxnn.ops._conv import conv as conv
from jaxnn.ops._conv_transpose import conv_transpose as conv_transpose
from jaxnn.ops._dropout import dropout as dropout
from jaxnn.ops._gru import gru as gru
from jaxnn.ops._lstm import lstm as lstm
from jaxnn.ops._pool import avg_pool as avg_pool
from jaxnn.ops._pool import max_pool as max_pool
from jaxnn.ops._simple_rnn import simple_rnn as simple_rnn

__all__ = [
    "attention",
    "avg_pool",
    "conv",
    "conv_transpose",
    "dropout",
    "gru",
    "lstm",
    "max_pool",
    "simple_rnn",
]
