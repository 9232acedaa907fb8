"""Speed-critical functions on plain arrays for any JAX code; each chooses its formulation by platform."""

from typing import TYPE_CHECKING

from jaxnn._lazy import lazy_exports as _lazy_exports

if TYPE_CHECKING:
    from jaxnn.ops._attention import attention as attention
    from jaxnn.ops._conv import conv as conv
    from jaxnn.ops._conv_transpose import conv_transpose as conv_transpose
    from jaxnn.ops._dropout import dropout as dropout
    from jaxnn.ops._embed import embed as embed
    from jaxnn.ops._embed import sparse_update as sparse_update
    from jaxnn.ops._gelu import gelu as gelu
    from jaxnn.ops._gru import gru as gru
    from jaxnn.ops._lstm import lstm as lstm
    from jaxnn.ops._pool import avg_pool as avg_pool
    from jaxnn.ops._pool import max_pool as max_pool
    from jaxnn.ops._simple_rnn import simple_rnn as simple_rnn

_HOMES = {
    "attention": "jaxnn.ops._attention",
    "avg_pool": "jaxnn.ops._pool",
    "conv": "jaxnn.ops._conv",
    "conv_transpose": "jaxnn.ops._conv_transpose",
    "dropout": "jaxnn.ops._dropout",
    "embed": "jaxnn.ops._embed",
    "gelu": "jaxnn.ops._gelu",
    "gru": "jaxnn.ops._gru",
    "lstm": "jaxnn.ops._lstm",
    "max_pool": "jaxnn.ops._pool",
    "simple_rnn": "jaxnn.ops._simple_rnn",
    "sparse_update": "jaxnn.ops._embed",
}

__getattr__, __dir__ = _lazy_exports(__name__, _HOMES)
