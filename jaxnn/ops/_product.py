"""The product of the last axis with a matrix, which every layer with a kernel computes."""

from functools import partial
from math import prod

import jax
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jaxnn.ops._dispatch import flattens_products, is_narrow


def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """``[..., in] @ [in, out]``; on a CPU as one product of two matrices over all leading axes.

    XLA's CPU backend contracts several axes at once, as the gradient of the kernel does where ``x`` has more
    than two, several times slower than the same numbers in one axis. A kernel of a few numbers is multiplied
    in without a call of the matrix library, which costs more than the work.
    """
    return _at_once(x, kernel) if is_narrow(x, kernel) else _merged(x, kernel)


def _merged(x: jax.Array, kernel: jax.Array) -> jax.Array:
    if x.ndim <= 2 or not flattens_products(x):
        return x @ kernel
    rows = x.reshape(prod(x.shape[:-1]), x.shape[-1])
    return lax.dot(rows, kernel).reshape(*x.shape[:-1], kernel.shape[-1])


@jax.custom_jvp
def small_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """One column of ``x`` times one row of the kernel at a time, added up; graphs show it by this name."""
    rows = kernel.reshape(-1, *(1,) * (x.ndim - 1), kernel.shape[1])
    total = x[..., :1] * rows[0]
    for row in range(1, kernel.shape[0]):
        total = total + x[..., row : row + 1] * rows[row]
    return total


def _small_product_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """The tangents by products, whose transposes, the gradients, are the fastest that were found."""
    (x, kernel), (dx, dkernel) = primals, tangents
    terms = [] if isinstance(dx, SymbolicZero) else [_merged(dx, kernel)]
    terms += [] if isinstance(dkernel, SymbolicZero) else [_merged(x, dkernel)]
    return small_product(x, kernel), sum(terms[1:], start=terms[0])


small_product.defjvp(_small_product_jvp, symbolic_zeros=True)


# Without this every multiplication is a call of its own where nothing else is compiled around it.
@partial(jax.jit, inline=True)
def _at_once(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return small_product(x, kernel)
