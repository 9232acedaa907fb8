"""The convolution as XLA's own primitive: every platform, plain autodiff."""

from collections.abc import Sequence

import jax
from jax import lax

from jaxnn.ops._window import Window


def layout(rank: int, swapped: bool = False) -> lax.ConvDimensionNumbers:
    """Channels last; the kernel's last two axes are ``(in, out)``, or ``(out, in)`` when ``swapped``."""
    spatial = tuple(range(1, rank + 1))
    inputs, outputs = (rank + 1, rank) if swapped else (rank, rank + 1)
    return lax.ConvDimensionNumbers(
        (0, rank + 1, *spatial), (outputs, inputs, *range(rank)), (0, rank + 1, *spatial)
    )


def conv_lax(
    x: jax.Array,
    kernel: jax.Array,
    window: Window,
    groups: int = 1,
    padding: Sequence[tuple[int, int]] | None = None,
    swapped: bool = False,
) -> jax.Array:
    """Convolve ``[batch, *spatial, channels]`` with ``[*window, channels, features]``."""
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=window.strides,
        padding=window.padding if padding is None else padding,
        rhs_dilation=window.dilation,
        dimension_numbers=layout(window.rank, swapped),
        feature_group_count=groups,
    )
