"""Convolution, channels last: the cross-correlation of LeCun et al. (1989)."""

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
from jaxnn.layers._affine import (
    Initializer,
    affine_params,
    check_dtype,
    check_initializers,
    lecun_normal,
    promoted,
    zeros,
)


def conv(
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
    """Convolution over 1 to 3 spatial axes: ``[..., *spatial, in] -> [..., *spatial, features]``.

    Parameters: ``kernel`` ``(*kernel_size, in / groups, features)``, ``bias`` ``(features,)``. The
    kernel is not flipped. On CPU it takes formulations that XLA's own convolution does not reach
    (see ``jaxnn.ops.conv``), where Flax and Haiku call ``lax`` everywhere.

    Numbers are those of Flax's ``Conv`` with equal arguments, and of PyTorch's with the kernel
    ``weight.permute(2, 3, 1, 0)``. With ``groups`` equal to the channels it is depthwise; the separable
    convolution of MobileNet (Howard et al., 2017, arXiv:1704.04861) is
    ``nn.chain(nn.conv(channels, (3, 3), groups=channels), nn.conv(features, (1, 1)))``.

    Args:
        features: channels of the output.
        kernel_size: extent of the kernel on each spatial axis; its length is their number.
        strides: step on each axis, or one for all.
        padding: ``"VALID"``, ``"SAME"``, ``"CAUSAL"`` (one axis, zeros before), or ``(low, high)`` pairs.
        groups: number of groups of channels that do not see each other.
        dilation: step between the kernel's taps on each axis, or one for all.
        use_bias: whether to add ``bias``.
        kernel_init: initializer ``(key, shape, dtype)``; variance ``1 / fan_in`` by default.
        bias_init: initializer of the bias.
        param_dtype: dtype of the parameters.
        formulation: ``None`` chooses by platform and shape; ``"lax"`` is XLA's own.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point, has too few
            axes or other channels, or is smaller than the kernel.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.conv(32, (3, 3))
        >>> params, _ = layer.init(jax.random.key(0), jnp.ones((1, 28, 28, 1)))
        >>> layer.apply(params, {}, jnp.ones((2, 28, 28, 1)))[0].shape
        (2, 26, 26, 32)
    """
    features = positive_int("conv", "features", features)
    size = positive_ints("conv", "kernel_size", kernel_size)
    if len(size) > 3:
        raise ValueError(f"conv: kernel_size must have 1 to 3 entries, got {len(size)}: {size}")
    steps = positive_ints("conv", "strides", strides, len(size))
    spacing = positive_ints("conv", "dilation", dilation, len(size))
    groups = positive_int("conv", "groups", groups)
    if features % groups:
        raise ValueError(f"conv: groups must divide features, got groups={groups}, features={features}")
    param_dtype = check_dtype("conv", param_dtype)
    check_initializers("conv", kernel_init=kernel_init, bias_init=bias_init)

    def check(x: Any) -> None:
        check_floating("conv", x)
        if len(x.shape) < len(size) + 1:
            raise ValueError(
                f"conv: expected input [..., {', '.join(['space'] * len(size))}, channels] for kernel_size "
                f"{size}, got {describe(x)}; add an axis of channels with nn.reshape or x[..., None]"
            )

    def init(key: Any, x: Any) -> Params:
        check(x)
        channels = x.shape[-1]
        if channels % groups:
            raise ValueError(
                f"conv: groups must divide the input's channels, got groups={groups} and {describe(x)}"
            )
        shape = (*size, channels // groups, features)
        return affine_params(key, shape, features, kernel_init, bias_init if use_bias else None, param_dtype)

    def apply(params: Params, x: Any) -> Any:
        check(x)
        x, kernel, *bias = promoted("conv", params, (*size, "in", features), use_bias, x)
        y = ops.conv(x, kernel, steps, padding, dilation=spacing, groups=groups, formulation=formulation)
        return y + jnp.broadcast_to(bias[0], y.shape) if bias else y

    return on_any_mesh(stateless("conv", init, apply))
