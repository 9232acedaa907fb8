"""The convolution as XLA's CPU backend computes it fastest, forward and backward.

A convolution is linear in the input and linear in the kernel, so its derivative rule has two parts, and reverse
mode runs the transpose of each. The rule is given as a tangent (``custom_jvp``) whose transpose is the fast
gradient. A rule for reverse mode alone (``custom_vjp``) would take forward mode and second derivatives away.

* The output: XLA takes its fast kernel when the output is taller than the input; so pad, and slice the rows off.
* The kernel's gradient: patches of a few taps side by side, multiplied by the cotangent, a product per group of taps.
* The input's gradient: the transposed convolution, arranged so that its kernel arrives in the standard
  ``[*window, in, out]`` layout. Inside a compiled loop XLA does not bring other layouts into standard form, and
  takes ten times as long.
"""

from functools import partial
from math import prod
from typing import cast

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jaxnn.ops._conv_lax import conv_lax
from jaxnn.ops._dispatch import extra_rows, patch_taps
from jaxnn.ops._window import Window, zero_pad


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def conv_rows(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """``[batch, *spatial, channels]`` and ``[*window, channels, features]`` to ``[batch, *output, features]``."""
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
        # The checkpoint keeps x for the backward pass, not its patches, which are several times as large.
        along_kernel = jax.checkpoint(partial(_along_kernel, window=window), prevent_cse=False)
        parts.append(along_kernel(x, dkernel))
    return y, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(y)


conv_rows.defjvp(_tangent, symbolic_zeros=True)


def _along_input(dx: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """The same convolution of ``dx``; the transpose of this one has its kernel in standard layout."""
    axes = tuple(range(window.rank))
    mirrored = lax.rev(jnp.swapaxes(kernel, -1, -2), axes)
    return conv_lax(dx, lax.rev(mirrored, axes), window, swapped=True)


def _along_kernel(x: jax.Array, dkernel: jax.Array, window: Window) -> jax.Array:
    """The convolution of ``x`` with ``dkernel`` as products of patches; linear in ``dkernel``."""
    *_, channels, features = dkernel.shape
    taps = window.taps(zero_pad(x, window))
    rows = dkernel.reshape(len(taps) * channels, features)
    width = patch_taps(x, window)
    products = []
    for first in range(0, len(taps), width):
        group = taps[first : first + width]
        patches = group[0] if len(group) == 1 else jnp.concatenate(group, axis=-1)
        weights = lax.slice_in_dim(rows, first * channels, (first + len(group)) * channels)
        products.append(_product(patches, weights))
    return cast(jax.Array, sum(products[1:], products[0]))


def _product(patches: jax.Array, weights: jax.Array) -> jax.Array:
    flat = patches.reshape(-1, patches.shape[-1])
    return lax.dot(flat, weights).reshape(*patches.shape[:-1], weights.shape[-1])
