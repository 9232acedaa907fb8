"""Layers, one concept a file."""

from jaxnn.layers._batch_norm import batch_norm as batch_norm
from jaxnn.layers._conv import conv as conv
from jaxnn.layers._dense import dense as dense
from jaxnn.layers._dropout import dropout as dropout
from jaxnn.layers._merge import add as add
from jaxnn.layers._merge import concatenate as concatenate
from jaxnn.layers._merge import multiply as multiply
from jaxnn.layers._pool import avg_pool as avg_pool
from jaxnn.layers._pool import max_pool as max_pool
from jaxnn.layers._shape import flatten as flatten
from jaxnn.layers._shape import reshape as reshape
