"""The product of the last axis with a matrix, which every layer with a kernel computes."""

from math import prod

import jax
from jax import lax

from jaxnn.ops._dispatch import flattens_products


def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """``[..., in] @ [in, out]``; on a CPU as one product of two matrices over all leading axes.

    XLA's CPU backend contracts several axes at once, as the gradient of the kernel does where ``x`` has more
    than two, several times slower than the same numbers in one axis.
    """
    if x.ndim <= 2 or not flattens_products():
        return x @ kernel
    rows = x.reshape(prod(x.shape[:-1]), x.shape[-1])
    return lax.dot(rows, kernel).reshape(*x.shape[:-1], kernel.shape[-1])
