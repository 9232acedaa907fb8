"""Convolution in any number of spatial dimensions from one to three, channels last.

``y[o, f] = sum over taps t and channels c of x[o * stride + t * dilation - low, c] * kernel[t, c, f]``: the
cross-correlation that the field calls convolution (LeCun et al., 1989; Dumoulin and Visin, arXiv:1603.07285).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxnn.ops._conv_groups import conv_groups
from jaxnn.ops._conv_lax import conv_lax
from jaxnn.ops._conv_rows import conv_rows
from jaxnn.ops._dispatch import conv_formulation
from jaxnn.ops._window import Padding, as_batch, pad_beyond, read_window


def conv(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    formulation: str | None = None,
) -> jax.Array:
    """Convolve ``x`` with ``kernel`` over one, two or three spatial axes.

    On a CPU the chosen formulation is several times faster than ``lax.conv_general_dilated`` and its gradient
    (docs/formulations.md has the table), and every transformation still applies: ``jit``, ``vmap``, ``scan``,
    ``jax.checkpoint``, derivatives of any order in both modes.

    Args:
      x: ``[..., *spatial, channels]``; any number of leading axes, none included.
      kernel: ``[*window, channels // groups, features]`` of the same dtype; its rank says how many spatial
        axes there are (``WIO``, ``HWIO`` or ``DHWIO``).
      strides: how far the window moves, for all axes or one per axis.
      padding: ``"VALID"`` (none), ``"SAME"`` (output of ``ceil(input / stride)`` cells), ``"CAUSAL"`` (one
        spatial axis: all of the padding before the first cell), or ``(low, high)`` pairs, one per axis.
      dilation: the distance between neighbouring taps of the kernel, for all axes or one per axis.
      groups: features are computed in this many blocks, each from its own block of channels.
      formulation: ``None`` chooses by platform and shape; ``"lax"`` is ``lax.conv_general_dilated`` with its
        own derivatives; ``"rows"`` is the formulation for CPUs. In forward mode (``jax.jvp``) inside a
        compiled loop on a CPU, ``"lax"`` is the faster one.

    Returns:
      ``[..., *output, features]`` in the dtype of ``x``.

    Raises:
      ValueError: when shapes, groups, strides, padding or dilation do not fit together, or the formulation is
        unknown or does not apply.
      TypeError: when ``x`` and ``kernel`` differ in dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> conv(jnp.ones((8, 28, 28, 3)), jnp.ones((3, 3, 3, 16)), padding="SAME").shape
      (8, 28, 28, 16)
      >>> conv(jnp.arange(4.0).reshape(4, 1), jnp.ones((2, 1, 1)), padding="CAUSAL").ravel().tolist()
      [0.0, 1.0, 3.0, 5.0]
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    rank = kernel.ndim - 2
    _check(x, kernel, rank, groups)
    window = read_window("conv", x.shape[-rank - 1 : -1], kernel.shape[:rank], strides, padding, dilation)
    batch, window = pad_beyond(as_batch(x, rank), window)
    chosen = conv_formulation(formulation, batch, kernel)
    if chosen == "lax":
        y = conv_lax(batch, kernel, window, groups)
    elif groups > 1:
        y = conv_groups(batch, kernel, window, groups)
    else:
        y = conv_rows(batch, kernel, window)
    return y.reshape(*x.shape[: -rank - 1], *y.shape[1:])


def _check(x: jax.Array, kernel: jax.Array, rank: int, groups: int) -> None:
    if not 1 <= rank <= 3:
        raise ValueError(
            f"conv: kernel must have 3, 4 or 5 axes [*window, channels, features], got shape {kernel.shape}"
        )
    if x.ndim < rank + 1:
        raise ValueError(
            f"conv: kernel of shape {kernel.shape} convolves {rank} spatial axes, so x needs at least "
            f"{rank + 1} axes [..., *spatial, channels], got shape {x.shape}"
        )
    if x.dtype != kernel.dtype:
        raise TypeError(f"conv: x is {x.dtype} and kernel is {kernel.dtype}; cast one to the other's dtype")
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
        raise ValueError(f"conv: groups must be an integer of at least 1, got {groups!r}")
    channels, (inputs, features) = x.shape[-1], kernel.shape[-2:]
    if channels % groups or features % groups:
        raise ValueError(
            f"conv: groups={groups} must divide the {channels} channels of x and the {features} features "
            "of kernel"
        )
    if inputs * groups != channels:
        raise ValueError(
            f"conv: kernel of shape {kernel.shape} with groups={groups} expects x with {inputs * groups} "
            f"channels in its last axis, got {channels} in shape {x.shape}"
        )
