"""Layers, one concept a file."""

from typing import TYPE_CHECKING

from jaxnn._lazy import lazy_exports as _lazy_exports

if TYPE_CHECKING:
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

_HOMES = {
    "add": "jaxnn.layers._merge",
    "attention": "jaxnn.layers._attention",
    "avg_pool": "jaxnn.layers._pool",
    "batch_norm": "jaxnn.layers._batch_norm",
    "concatenate": "jaxnn.layers._merge",
    "conv": "jaxnn.layers._conv",
    "conv_transpose": "jaxnn.layers._conv_transpose",
    "dense": "jaxnn.layers._dense",
    "dropout": "jaxnn.layers._dropout",
    "embedding": "jaxnn.layers._embedding",
    "flatten": "jaxnn.layers._shape",
    "gaussian_noise": "jaxnn.layers._gaussian_noise",
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
    "multiply": "jaxnn.layers._merge",
    "one_hot": "jaxnn.layers._embedding",
    "pad": "jaxnn.layers._resize",
    "positional_embedding": "jaxnn.layers._positional_embedding",
    "prelu": "jaxnn.layers._prelu",
    "random_crop": "jaxnn.layers._augment",
    "random_flip": "jaxnn.layers._augment",
    "random_rotate": "jaxnn.layers._augment",
    "random_shift": "jaxnn.layers._augment",
    "reshape": "jaxnn.layers._shape",
    "rms_norm": "jaxnn.layers._rms_norm",
    "rnn": "jaxnn.layers._rnn",
    "rotary": "jaxnn.layers._rotary",
    "simple_rnn": "jaxnn.layers._simple_rnn",
    "simple_rnn_cell": "jaxnn.layers._simple_rnn",
    "stacked_cell": "jaxnn.layers._stacked_cell",
    "step": "jaxnn.layers._step",
    "upsample": "jaxnn.layers._resize",
}

__getattr__, __dir__ = _lazy_exports(__name__, _HOMES)
