"""jaxnn: a JIT-compiled, purely functional neural-network library for JAX.

    >>> import jax, jax.numpy as jnp
    >>> import jaxnn as nn
    >>> model = nn.chain(nn.flatten(), nn.dense(512), jax.nn.relu, nn.dropout(0.2), nn.dense(10))
    >>> params, state = model.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 28, 28), jnp.float32))
    >>> logits, state = model.apply(params, state, jnp.zeros((32, 28, 28)))
    >>> logits.shape
    (32, 10)

Layers and composition stand at the top; ``losses``, ``metrics``, ``optim``, ``train``, ``inspect``,
``interop``, ``ops``, ``surgery`` and ``testing`` are subpackages, loaded when first used.
"""

from typing import TYPE_CHECKING

from jaxnn._lazy import lazy_exports as _lazy_exports
from jaxnn.core import Cell as Cell
from jaxnn.core import Layer as Layer
from jaxnn.core import Masked as Masked
from jaxnn.core import stateless as stateless

if TYPE_CHECKING:
    from jaxnn import inspect as inspect
    from jaxnn import interop as interop
    from jaxnn import losses as losses
    from jaxnn import metrics as metrics
    from jaxnn import ops as ops
    from jaxnn import optim as optim
    from jaxnn import surgery as surgery
    from jaxnn import testing as testing
    from jaxnn import train as train
    from jaxnn.compose._bidirectional import bidirectional as bidirectional
    from jaxnn.compose._chain import chain as chain
    from jaxnn.compose._decoding_cell import decoding_cell as decoding_cell
    from jaxnn.compose._generate import generate as generate
    from jaxnn.compose._model import model as model
    from jaxnn.compose._parallel import branch as branch
    from jaxnn.compose._parallel import parallel as parallel
    from jaxnn.compose._repeat import repeat as repeat
    from jaxnn.compose._residual import residual as residual
    from jaxnn.compose._spectral_norm import spectral_norm as spectral_norm
    from jaxnn.compose._transformer_block import transformer_block as transformer_block
    from jaxnn.compose._wrap import cast as cast
    from jaxnn.compose._wrap import mode as mode
    from jaxnn.compose._wrap import remat as remat
    from jaxnn.layers._attention import attention as attention
    from jaxnn.layers._augment import random_crop as random_crop
    from jaxnn.layers._augment import random_flip as random_flip
    from jaxnn.layers._augment import random_rotate as random_rotate
    from jaxnn.layers._augment import random_shift as random_shift
    from jaxnn.layers._batch_norm import batch_norm as batch_norm
    from jaxnn.layers._conv import conv as conv
    from jaxnn.layers._conv_transpose import conv_transpose as conv_transpose
    from jaxnn.layers._dense import dense as dense
    from jaxnn.layers._dropout import dropout as dropout
    from jaxnn.layers._embedding import embedding as embedding
    from jaxnn.layers._embedding import one_hot as one_hot
    from jaxnn.layers._gaussian_noise import gaussian_noise as gaussian_noise
    from jaxnn.layers._global_pool import global_avg_pool as global_avg_pool
    from jaxnn.layers._global_pool import global_max_pool as global_max_pool
    from jaxnn.layers._group_norm import group_norm as group_norm
    from jaxnn.layers._group_norm import instance_norm as instance_norm
    from jaxnn.layers._gru import gru as gru
    from jaxnn.layers._gru import gru_cell as gru_cell
    from jaxnn.layers._layer_norm import layer_norm as layer_norm
    from jaxnn.layers._lstm import lstm as lstm
    from jaxnn.layers._lstm import lstm_cell as lstm_cell
    from jaxnn.layers._maxout import maxout as maxout
    from jaxnn.layers._merge import add as add
    from jaxnn.layers._merge import concatenate as concatenate
    from jaxnn.layers._merge import multiply as multiply
    from jaxnn.layers._pool import avg_pool as avg_pool
    from jaxnn.layers._pool import max_pool as max_pool
    from jaxnn.layers._positional_embedding import positional_embedding as positional_embedding
    from jaxnn.layers._prelu import prelu as prelu
    from jaxnn.layers._resize import pad as pad
    from jaxnn.layers._resize import upsample as upsample
    from jaxnn.layers._rms_norm import rms_norm as rms_norm
    from jaxnn.layers._rnn import rnn as rnn
    from jaxnn.layers._rotary import rotary as rotary
    from jaxnn.layers._shape import flatten as flatten
    from jaxnn.layers._shape import reshape as reshape
    from jaxnn.layers._simple_rnn import simple_rnn as simple_rnn
    from jaxnn.layers._simple_rnn import simple_rnn_cell as simple_rnn_cell
    from jaxnn.layers._stacked_cell import stacked_cell as stacked_cell
    from jaxnn.layers._step import step as step

__version__ = "0.1.0"

_SUBPACKAGES = ("inspect", "interop", "losses", "metrics", "ops", "optim", "surgery", "testing", "train")
_HOMES = {
    "add": "jaxnn.layers._merge",
    "attention": "jaxnn.layers._attention",
    "avg_pool": "jaxnn.layers._pool",
    "batch_norm": "jaxnn.layers._batch_norm",
    "bidirectional": "jaxnn.compose._bidirectional",
    "branch": "jaxnn.compose._parallel",
    "cast": "jaxnn.compose._wrap",
    "chain": "jaxnn.compose._chain",
    "concatenate": "jaxnn.layers._merge",
    "conv": "jaxnn.layers._conv",
    "conv_transpose": "jaxnn.layers._conv_transpose",
    "decoding_cell": "jaxnn.compose._decoding_cell",
    "dense": "jaxnn.layers._dense",
    "dropout": "jaxnn.layers._dropout",
    "embedding": "jaxnn.layers._embedding",
    "flatten": "jaxnn.layers._shape",
    "gaussian_noise": "jaxnn.layers._gaussian_noise",
    "generate": "jaxnn.compose._generate",
    "global_avg_pool": "jaxnn.layers._global_pool",
    "global_max_pool": "jaxnn.layers._global_pool",
    "group_norm": "jaxnn.layers._group_norm",
    "gru": "jaxnn.layers._gru",
    "gru_cell": "jaxnn.layers._gru",
    "instance_norm": "jaxnn.layers._group_norm",
    "layer_norm": "jaxnn.layers._layer_norm",
    "lstm": "jaxnn.layers._lstm",
    "lstm_cell": "jaxnn.layers._lstm",
    "max_pool": "jaxnn.layers._pool",
    "maxout": "jaxnn.layers._maxout",
    "mode": "jaxnn.compose._wrap",
    "model": "jaxnn.compose._model",
    "multiply": "jaxnn.layers._merge",
    "one_hot": "jaxnn.layers._embedding",
    "pad": "jaxnn.layers._resize",
    "parallel": "jaxnn.compose._parallel",
    "positional_embedding": "jaxnn.layers._positional_embedding",
    "prelu": "jaxnn.layers._prelu",
    "random_crop": "jaxnn.layers._augment",
    "random_flip": "jaxnn.layers._augment",
    "random_rotate": "jaxnn.layers._augment",
    "random_shift": "jaxnn.layers._augment",
    "remat": "jaxnn.compose._wrap",
    "repeat": "jaxnn.compose._repeat",
    "reshape": "jaxnn.layers._shape",
    "residual": "jaxnn.compose._residual",
    "rms_norm": "jaxnn.layers._rms_norm",
    "rnn": "jaxnn.layers._rnn",
    "rotary": "jaxnn.layers._rotary",
    "simple_rnn": "jaxnn.layers._simple_rnn",
    "simple_rnn_cell": "jaxnn.layers._simple_rnn",
    "spectral_norm": "jaxnn.compose._spectral_norm",
    "stacked_cell": "jaxnn.layers._stacked_cell",
    "step": "jaxnn.layers._step",
    "transformer_block": "jaxnn.compose._transformer_block",
    "upsample": "jaxnn.layers._resize",
}

__getattr__, __dir__ = _lazy_exports(__name__, _HOMES, _SUBPACKAGES)
