"""The affine map ``y = x @ kernel + bias``."""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import Layer, Params, check_floating, check_min_rank, describe, positive_int, stateless
from jaxnn.layers._affine import (
    Initializer,
    affine_params,
    check_dtype,
    check_initializers,
    lecun_normal,
    promoted,
    zeros,
)
from jaxnn.ops._product import product


def dense(
    features: int,
    *,
    use_bias: bool = True,
    kernel_init: Initializer = lecun_normal,
    bias_init: Initializer = zeros,
    param_dtype: Any = jnp.float32,
) -> Layer:
    """Affine map of the last axis: ``[..., in] -> [..., features]``.

    Parameters: ``kernel`` ``(in, features)``, ``bias`` ``(features,)``. Computes in the promoted dtype
    of input and parameters. Row-vector form of LeCun et al. (1998), "Efficient BackProp". Unlike
    Equinox's ``Linear`` it takes any leading axes and infers ``in``; pointwise, so it keeps a mask.

    Args:
        features: size of the last axis of the output.
        use_bias: whether to add ``bias``.
        kernel_init: initializer ``(key, shape, dtype)``; variance ``1 / in`` by default.
        bias_init: initializer of the bias.
        param_dtype: dtype of the parameters.

    Raises:
        TypeError, ValueError: ``features`` is not a positive int; at use, the input is not floating
            point or its last axis is not ``in``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> params, _ = nn.dense(3).init(jax.random.key(0), jnp.ones((1, 2)))
        >>> params["kernel"].shape, params["bias"].shape
        ((2, 3), (3,))
    """
    features = positive_int("dense", "features", features)
    param_dtype = check_dtype("dense", param_dtype)
    check_initializers("dense", kernel_init=kernel_init, bias_init=bias_init)

    def init(key: Any, x: Any) -> Params:
        _check_input(x)
        shape = (x.shape[-1], features)
        return affine_params(key, shape, features, kernel_init, bias_init if use_bias else None, param_dtype)

    def apply(params: Params, x: Any) -> Any:
        _check_input(x)
        x, kernel, *bias = promoted("dense", params, ("in", features), use_bias, x)
        if x.shape[-1] != kernel.shape[0]:
            raise ValueError(
                f"dense: expected input [..., {kernel.shape[0]}], got {describe(x)}; flatten first with "
                "nn.flatten(), or initialise the model with this input"
            )
        y = product(x, kernel)
        return y + jnp.broadcast_to(bias[0], y.shape) if bias else y

    return stateless("dense", init, apply, masked="pointwise")


def _check_input(x: Any) -> None:
    check_floating("dense", x)
    check_min_rank("dense", x, 1, "[..., features]")
