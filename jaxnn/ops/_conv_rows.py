"""The convolution as XLA's CPU backend computes it fastest, forward and backward.

A convolution is linear in the input and linear in the kernel: its derivative rule has two parts, and reverse
mode runs the transpose of each. The rule is given as a tangent (``custom_jvp``) whose transposes are the fast
gradients; a rule for reverse mode alone (``custom_vjp``) would take forward mode and second derivatives away.

* The output: XLA takes its fast kernel when the output is taller than the input, so pad, and slice the rows
  off.
* The kernel's gradient: patches of several taps side by side, times the cotangent; in chunks of the batch, so
  that patches stay in the cache and cost no fresh pages.
* The input's gradient: the transposed convolution, arranged so that its kernel arrives in the standard
  ``[*window, in, out]`` layout. XLA brings other layouts into standard form only outside of compiled loops;
  inside, they take ten times as long, and weight gradients a hundred times.
"""

from functools import partial
from math import prod

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jaxnn.ops._conv_lax import conv_lax
from jaxnn.ops._dispatch import chunk_images, extra_rows, kernel_gradient, patch_taps
from jaxnn.ops._window import Window, zero_pad


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def conv_rows(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """Convolve ``[batch, *spatial, channels]`` with ``[*window, channels, features]``."""
    if prod(window.size) == 1 and not any(low or high for low, high in window.padding):
        return _product(window.taps(x)[0], kernel.reshape(kernel.shape[-2:]))
    extra = extra_rows(x, kernel, window)
    if not extra:
        return conv_lax(x, kernel, window)
    (low, high), *rest = window.padding
    y = conv_lax(x, kernel, window, padding=((low, high + extra), *rest))
    return lax.slice_in_dim(y, 0, window.output(x.shape[1:-1])[0], axis=1)


def _tangent(
    window: Window, primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    x, kernel = primals
    dx, dkernel = tangents
    y = conv_rows(x, kernel, window)
    parts = []
    if not isinstance(dx, SymbolicZero):
        parts.append(_along_input(dx, kernel, window))
    if not isinstance(dkernel, SymbolicZero):
        along = _along_kernel if kernel_gradient(x, kernel, window) == "patches" else _along_kernel_lax
        parts.append(along(x, dkernel, window))
    return y, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(y)


conv_rows.defjvp(_tangent, symbolic_zeros=True)


def _along_input(dx: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """The same convolution of ``dx``; the transpose of this one has its kernel in standard layout."""
    axes = tuple(range(window.rank))
    mirrored = lax.rev(jnp.swapaxes(kernel, -1, -2), axes)
    return conv_lax(dx, lax.rev(mirrored, axes), window, swapped=True)


def _along_kernel(x: jax.Array, dkernel: jax.Array, window: Window) -> jax.Array:
    """The convolution of ``x`` with ``dkernel`` as products of patches; linear in ``dkernel``.

    The checkpoints keep ``x`` for the backward pass, not its patches, which are several times as large.
    """
    padded = zero_pad(x, window)
    width = patch_taps(x, window)

    def products(rows: jax.Array) -> jax.Array:
        return _patch_products(rows, dkernel, window, width)

    products = jax.checkpoint(products, prevent_cse=False)
    size = chunk_images(x, window, width)
    if size == x.shape[0]:
        return products(padded)
    y = lax.map(products, padded.reshape(-1, size, *padded.shape[1:]))
    return y.reshape(-1, *y.shape[2:])


def _patch_products(x: jax.Array, dkernel: jax.Array, window: Window, width: int) -> jax.Array:
    *_, channels, features = dkernel.shape
    taps = window.taps(x)
    rows = dkernel.reshape(len(taps) * channels, features)
    y = jnp.zeros((), x.dtype)
    for first in range(0, len(taps), width):
        group = taps[first : first + width]
        patches = group[0] if len(group) == 1 else jnp.concatenate(group, axis=-1)
        product = _product(patches, rows[first * channels : (first + len(group)) * channels])
        y = product if first == 0 else y + product
    return y


def _along_kernel_lax(x: jax.Array, dkernel: jax.Array, window: Window) -> jax.Array:
    """The same convolution of ``x``; the transpose of this one has all of its arrays in standard layout."""
    rank = window.rank
    spatial, leading = tuple(range(1, rank + 1)), tuple(range(rank))
    numbers = lax.ConvDimensionNumbers(
        (rank + 1, 0, *spatial), (rank + 1, 0, *spatial), (rank, rank + 1, *leading)
    )
    y = lax.conv_general_dilated(
        jnp.swapaxes(x, 0, -1),
        jnp.moveaxis(dkernel, -2, 0),
        window.strides,
        window.padding,
        rhs_dilation=window.dilation,
        dimension_numbers=numbers,
    )
    return jnp.moveaxis(y, -2, 0)


def _product(patches: jax.Array, weights: jax.Array) -> jax.Array:
    flat = patches.reshape(-1, patches.shape[-1])
    return lax.dot(flat, weights).reshape(*patches.shape[:-1], weights.shape[-1])
