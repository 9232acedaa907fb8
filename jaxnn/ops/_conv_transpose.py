"""Transposed convolution in one to three spatial dimensions, channels last.

``y[o, f] = sum over taps t and channels c of z[o + t * dilation - low, c] * kernel[t, c, f]`` where ``z`` is
``x`` with ``stride - 1`` zeros between its cells (Zeiler et al., 2010, "Deconvolutional networks"; Dumoulin
and Visin, arXiv:1603.07285).

On a CPU the ``"patches"`` formulation multiplies every cell by the whole kernel in one matrix product and
adds the results where they belong; both gradients are then matrix products too. XLA's own, a convolution of
the strided input, took 2 to 47 times as long for a gradient step inside a compiled loop (seven shapes of
decoders and U-Nets, two cores).
"""

from collections.abc import Sequence
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxnn.ops._conv_lax import layout
from jaxnn.ops._dispatch import conv_transpose_formulation
from jaxnn.ops._transposed_window import TransposedWindow, read_transposed_window
from jaxnn.ops._window import Padding, as_batch


def conv_transpose(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    formulation: str | None = None,
) -> jax.Array:
    """Upsample ``x`` by ``strides`` with a learned kernel, over one, two or three spatial axes.

    Numbers and conventions are those of ``lax.conv_transpose`` (the kernel is not flipped). PyTorch's
    ``ConvTranspose`` flips: give it the kernel reversed along its spatial axes, and its ``padding`` p and
    ``output_padding`` o as the pair ``(e - p, e - p + o)`` with ``e = dilation * (size - 1)``.

    Args:
      x: ``[..., *spatial, channels]``; any number of leading axes, none included.
      kernel: ``[*window, channels // groups, features]`` of the same dtype.
      strides: how many outputs there are for an input cell, for all axes or one per axis.
      padding: ``"VALID"`` (every product: ``(input - 1) * stride + max(extent, stride)`` cells), ``"SAME"``
        (``input * stride`` cells), ``"CAUSAL"`` (one spatial axis: as many, of which output ``o`` sees no
        input after ``o // stride``), or ``(low, high)`` pairs, one per axis, that pad the strided input and
        may be negative.
      dilation: the distance between neighbouring taps of the kernel, for all axes or one per axis.
      groups: features are computed in this many blocks, each from its own block of channels.
      formulation: ``None`` chooses by platform; ``"lax"`` is ``lax.conv_general_dilated`` with its own
        derivatives; ``"patches"`` is one matrix product and a sum of shifted results.

    Returns:
      ``[..., *output, features]`` in the dtype of ``x``.

    Raises:
      ValueError: when shapes, groups, strides, padding or dilation do not fit together, or the formulation is
          unknown.
      TypeError: when ``x`` and ``kernel`` differ in dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> conv_transpose(jnp.ones((8, 14, 14, 3)), jnp.ones((4, 4, 3, 16)), 2, "SAME").shape
      (8, 28, 28, 16)
      >>> conv_transpose(jnp.array([[1.0], [2.0]]), jnp.ones((2, 1, 1)), 2).ravel().tolist()
      [1.0, 1.0, 2.0, 2.0]
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    rank = kernel.ndim - 2
    _check(x, kernel, rank, groups)
    window = read_transposed_window(
        "conv_transpose", x.shape[-rank - 1 : -1], kernel.shape[:rank], strides, padding, dilation
    )
    batch = as_batch(x, rank)
    chosen = conv_transpose_formulation(formulation, batch)
    y = (_patches if chosen == "patches" else _lax)(batch, kernel, window, groups)
    return y.reshape(*x.shape[: -rank - 1], *y.shape[1:])


def _check(x: jax.Array, kernel: jax.Array, rank: int, groups: int) -> None:
    if not 1 <= rank <= 3:
        raise ValueError(
            "conv_transpose: kernel must have 3, 4 or 5 axes [*window, channels, features], "
            f"got shape {kernel.shape}"
        )
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
        raise ValueError(f"conv_transpose: groups must be an integer of at least 1, got {groups!r}")
    if kernel.shape[-1] % groups:
        raise ValueError(
            f"conv_transpose: groups={groups} must divide the {kernel.shape[-1]} features of kernel"
        )
    channels = kernel.shape[-2] * groups
    if x.ndim < rank + 1 or x.shape[-1] != channels:
        raise ValueError(
            f"conv_transpose: kernel of shape {kernel.shape} with groups={groups} expects x "
            f"[..., *spatial, {channels}] with at least {rank + 1} axes, got shape {x.shape}"
        )
    if x.dtype != kernel.dtype:
        raise TypeError(
            f"conv_transpose: x is {x.dtype} and kernel is {kernel.dtype}; cast one to the other's dtype"
        )


def _lax(x: jax.Array, kernel: jax.Array, window: TransposedWindow, groups: int) -> jax.Array:
    # jaxlib 0.10.2 computes negative padding wrongly on a CPU, and padding beyond the kernel has it in
    # its gradient. Outputs of nothing but padding are zeros, and negative padding leaves outputs away.
    inner, outer = [], []
    for (low, high), size, dilation in zip(window.padding, window.size, window.dilation, strict=True):
        reach = (size - 1) * dilation
        inner.append((min(max(low, 0), reach), min(max(high, 0), reach)))
        outer.append((low - inner[-1][0], high - inner[-1][1], 0))
    y = lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1,) * len(window.size),
        padding=inner,
        lhs_dilation=window.strides,
        rhs_dilation=window.dilation,
        dimension_numbers=layout(len(window.size)),
        feature_group_count=groups,
    )
    if any(low or high for low, high, _ in outer):
        y = lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), *outer, (0, 0, 0)])
    return y


def _patches(x: jax.Array, kernel: jax.Array, window: TransposedWindow, groups: int) -> jax.Array:
    *_, channels, features = kernel.shape
    taps = prod(window.size)
    blocks = kernel.reshape(taps, channels, groups, -1)
    if groups == 1:
        weights = jnp.moveaxis(blocks[:, :, 0], 0, 1).reshape(channels, taps * features)
        products = lax.dot(x.reshape(-1, channels), weights)
    else:
        weights = blocks.transpose(2, 1, 0, 3).reshape(groups, channels, -1)
        cells = x.reshape(-1, groups, channels)
        products = lax.dot_general(cells, weights, (((2,), (1,)), ((1,), (0,))))
        products = products.reshape(groups, -1, taps, features // groups).transpose(1, 2, 0, 3)
    products = products.reshape(*x.shape[:-1], taps * features)
    out = window.output(x.shape[1:-1])
    zero = jnp.zeros((), x.dtype)
    y = jnp.zeros((x.shape[0], *out, features), x.dtype)
    for tap, index in enumerate(np.ndindex(*window.size)):
        pads = [(0, 0, 0)]
        for axis, stride in enumerate(window.strides):
            first = window.padding[axis][0] - index[axis] * window.dilation[axis]
            last = first + (x.shape[axis + 1] - 1) * stride
            pads.append((first, out[axis] - 1 - last, stride - 1))
        part = lax.slice_in_dim(products, tap * features, (tap + 1) * features, axis=-1)
        y = y + lax.pad(part, zero, [*pads, (0, 0, 0)])
    return y
