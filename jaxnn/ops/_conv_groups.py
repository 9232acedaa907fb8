"""Grouped convolution as a few dense ones.

XLA's CPU backend runs grouped convolutions, and above all their gradients, far below its speed for dense
ones. Here neighbouring groups are merged into blocks whose kernel is block-diagonal: the zeros cost products,
but those run at full speed.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.ops._conv_rows import conv_rows
from jaxnn.ops._dispatch import groups_per_block
from jaxnn.ops._window import Window


def conv_groups(x: jax.Array, kernel: jax.Array, window: Window, groups: int) -> jax.Array:
    """``[batch, *spatial, channels]`` and ``[*window, channels // groups, features]``, grouped."""
    merged = groups_per_block(x.shape[-1], kernel.shape[-1], groups)
    blocks = groups // merged
    outputs = [
        conv_rows(inputs, _block_diagonal(weights, merged), window)
        for inputs, weights in zip(
            jnp.split(x, blocks, axis=-1), jnp.split(kernel, blocks, axis=-1), strict=True
        )
    ]
    return jnp.concatenate(outputs, axis=-1)


def _block_diagonal(kernel: jax.Array, groups: int) -> jax.Array:
    """``[*window, inputs, groups * outputs]`` to ``[*window, groups * inputs, groups * outputs]``."""
    *window, inputs, features = kernel.shape
    own = np.eye(groups, dtype=bool)[:, None, :, None]
    spread = kernel.reshape(*window, 1, inputs, groups, features // groups)
    blocks = jnp.where(own.reshape((1,) * len(window) + own.shape), spread, jnp.zeros((), kernel.dtype))
    return blocks.reshape(*window, groups * inputs, features)
