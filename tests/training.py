"""A small task that tests of training share, and equality of bits."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from jaxnn import losses, metrics, optim, train

KEY = jax.random.key(0)
N = 50
X = np.asarray(jax.random.normal(jax.random.key(1), (N, 4)))
Y = (X[:, 0] > 0).astype(np.int32)
MODEL = nn.chain(nn.dense(8), jax.nn.relu, nn.dropout(0.2), nn.dense(2))
TASK = train.supervised(MODEL, losses.cross_entropy, metrics=(metrics.accuracy,))
RULE = optim.adam(1e-2)


def same_bits(a, b) -> bool:
    return all(
        np.array_equal(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x, y_)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
        for y_ in [jax.random.key_data(y) if jnp.issubdtype(y.dtype, jax.dtypes.prng_key) else y]
    )
