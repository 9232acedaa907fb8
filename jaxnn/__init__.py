"""jaxnn: a JIT-compiled, purely functional neural-network library for JAX.

    >>> import jax, jax.numpy as jnp
    >>> import jaxnn as nn
    >>> model = nn.chain(nn.flatten(), nn.dense(512), jax.nn.relu, nn.dropout(0.2), nn.dense(10))
    >>> params, state = model.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 28, 28), jnp.float32))
    >>> logits, state = model.apply(params, state, jnp.zeros((32, 28, 28)))
    >>> logits.shape
    (32, 10)

Layers and composition stand at the top; ``losses``, ``metrics``, ``optim``, ``train``, ``inspect``,
``interop``, ``ops`` and ``testing`` are subpackages, loaded when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxnn.compose import bidirectional as bidirectional
from jaxnn.compose import branch as branch
from jaxnn.compose import cast as cast
from jaxnn.compose import chain as chain
from jaxnn.compose import decoding_cell as decoding_cell
from jaxnn.compose import generate as generate
from jaxnn.compose import mode as mode
from jaxnn.compose import model as model
from jaxnn.compose import parallel as parallel
from jaxnn.compose import remat as remat
from jaxnn.compose import repeat as repeat
from jaxnn.compose import residual as residual
from jaxnn.compose import transformer_block as transformer_block
from jaxnn.core import Cell as Cell
from jaxnn.core import Layer as Layer
from jaxnn.core import Masked as Masked
from jaxnn.core import stateless as stateless
from jaxnn.layers import add as add
from jaxnn.layers import attention as attention
from jaxnn.layers import avg_pool as avg_pool
from jaxnn.layers import batch_norm as batch_norm
from jaxnn.layers import concatenate as concatenate
from jaxnn.layers import conv as conv
from jaxnn.layers import conv_transpose as conv_transpose
from jaxnn.layers import dense as dense
from jaxnn.layers import dropout as dropout
from jaxnn.layers import embedding as embedding
from jaxnn.layers import flatten as flatten
from jaxnn.layers import gaussian_noise as gaussian_noise
from jaxnn.layers import global_avg_pool as global_avg_pool
from jaxnn.layers import global_max_pool as global_max_pool
from jaxnn.layers import group_norm as group_norm
from jaxnn.layers import gru as gru
from jaxnn.layers import gru_cell as gru_cell
from jaxnn.layers import instance_norm as instance_norm
from jaxnn.layers import layer_norm as layer_norm
from jaxnn.layers import lstm as lstm
from jaxnn.layers import lstm_cell as lstm_cell
from jaxnn.layers import max_pool as max_pool
from jaxnn.layers import maxout as maxout
from jaxnn.layers import multiply as multiply
from jaxnn.layers import one_hot as one_hot
from jaxnn.layers import pad as pad
from jaxnn.layers import positional_embedding as positional_embedding
from jaxnn.layers import prelu as prelu
from jaxnn.layers import random_crop as random_crop
from jaxnn.layers import random_flip as random_flip
from jaxnn.layers import random_rotate as random_rotate
from jaxnn.layers import random_shift as random_shift
from jaxnn.layers import reshape as reshape
from jaxnn.layers import rms_norm as rms_norm
from jaxnn.layers import rnn as rnn
from jaxnn.layers import rotary as rotary
from jaxnn.layers import simple_rnn as simple_rnn
from jaxnn.layers import simple_rnn_cell as simple_rnn_cell
from jaxnn.layers import stacked_cell as stacked_cell
from jaxnn.layers import step as step
from jaxnn.layers import upsample as upsample

if TYPE_CHECKING:
    from jaxnn import inspect as inspect
    from jaxnn import interop as interop
    from jaxnn import losses as losses
    from jaxnn import metrics as metrics
    from jaxnn import ops as ops
    from jaxnn import optim as optim
    from jaxnn import testing as testing
    from jaxnn import train as train

__version__ = "0.1.0"

_SUBPACKAGES = ("inspect", "interop", "losses", "metrics", "ops", "optim", "testing", "train")


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"jaxnn.{name}")
    raise AttributeError(f"module 'jaxnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBPACKAGES})
