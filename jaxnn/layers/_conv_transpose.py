"""Transposed convolution, channels last (Zeiler et al., 2010, "Deconvolutional networks")."""

from typing import Any

import jax.numpy as jnp

from jaxnn import ops
from jaxnn.core import (
    Layer,
    Params,
    check_floating,
    describe,
    on_any_mesh,
    positive_int,
    positive_ints,
    stateless,
)
from jaxnn.layers._affine import Initializer, affine_params, check_dtype, lecun_normal, promoted, zeros


def conv_transpose(
    features: int,
    kernel_size: tuple[int, ...],
    strides: int | tuple[int, ...] = 1,
    padding: Any = "VALID",
    *,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
    use_bias: bool = True,
    kernel_init: Initializer = lecun_normal,
    bias_init: Initializer = zeros,
    param_dtype: Any = jnp.float32,
    formulation: str | None = None,
) -> Layer:
    """Learned upsampling over 1 to 3 spatial axes: ``[..., *spatial, in] -> [..., *larger, features]``.

    Parameters: ``kernel`` ``(*kernel_size, in / groups, features)``, ``bias`` ``(features,)``. With equal
    arguments it computes what Flax's ``ConvTranspose`` does. PyTorch's ``ConvTranspose2d(in, features, k, s,
    padding=p, output_padding=o)`` is ``padding=((e - p, e - p + o),) * 2`` with ``e = dilation * (k - 1)``,
    and the kernel ``weight.permute(2, 3, 0, 1)`` reversed along its spatial axes, because PyTorch flips and
    Flax does not. On CPU it is a matrix product in both directions (see ``jaxnn.ops.conv_transpose``).

    Args:
        features: channels of the output.
        kernel_size: extent of the kernel on each spatial axis; its length is their number.
        strides: outputs for one cell of the input on each axis, or one for all.
        padding: ``"VALID"``: ``(cells - 1) * stride + max(extent, stride)`` cells come out; ``"SAME"``:
            ``cells * stride``; ``"CAUSAL"`` (one axis): as many, none of which sees a later input; or
            ``(low, high)`` pairs that pad the input with ``stride - 1`` zeros between its cells.
        groups: number of groups of channels that do not see each other; Flax's has none.
        dilation: step between the kernel's taps on each axis, or one for all.
        use_bias: whether to add ``bias``.
        kernel_init: initializer ``(key, shape, dtype)``; variance ``1 / fan_in`` by default.
        bias_init: initializer of the bias.
        param_dtype: dtype of the parameters.
        formulation: ``None`` chooses by platform; ``"lax"`` is XLA's own.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point, has too few axes
            or other channels, or padding that leaves no output.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.conv_transpose(16, (2, 2), strides=2)
        >>> params, _ = layer.init(jax.random.key(0), jnp.ones((1, 7, 7, 32)))
        >>> layer.apply(params, {}, jnp.ones((2, 7, 7, 32)))[0].shape
        (2, 14, 14, 16)
    """
    features = positive_int("conv_transpose", "features", features)
    size = positive_ints("conv_transpose", "kernel_size", kernel_size)
    if len(size) > 3:
        raise ValueError(f"conv_transpose: kernel_size must have 1 to 3 entries, got {len(size)}: {size}")
    steps = positive_ints("conv_transpose", "strides", strides, len(size))
    spacing = positive_ints("conv_transpose", "dilation", dilation, len(size))
    groups = positive_int("conv_transpose", "groups", groups)
    if features % groups:
        raise ValueError(
            f"conv_transpose: groups must divide features, got groups={groups}, features={features}; "
            "use a multiple"
        )
    param_dtype = check_dtype("conv_transpose", param_dtype)

    def check(x: Any) -> None:
        check_floating("conv_transpose", x)
        if len(x.shape) < len(size) + 1:
            raise ValueError(
                f"conv_transpose: expected input [..., {', '.join(['space'] * len(size))}, channels] for "
                f"kernel_size {size}, got {describe(x)}; add an axis of channels, as in x[..., None]"
            )

    def init(key: Any, x: Any) -> Params:
        check(x)
        if x.shape[-1] % groups:
            raise ValueError(
                f"conv_transpose: groups must divide the input's channels, got groups={groups} and "
                f"{describe(x)}; use a divisor"
            )
        shape = (*size, x.shape[-1] // groups, features)
        return affine_params(key, shape, features, kernel_init, bias_init if use_bias else None, param_dtype)

    def apply(params: Params, x: Any) -> Any:
        check(x)
        x, kernel, *bias = promoted("conv_transpose", params, (*size, "in", features), use_bias, x)
        y = ops.conv_transpose(x, kernel, steps, padding, spacing, groups, formulation)
        return y + jnp.broadcast_to(bias[0], y.shape) if bias else y

    return on_any_mesh(stateless("conv_transpose", init, apply))
