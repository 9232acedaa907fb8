"""Parametric ReLU (He et al., 2015, arXiv:1502.01852).

``y = x`` where ``x >= 0`` and ``negative_slope * x`` elsewhere.
"""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    check_floating,
    check_min_rank,
    check_params,
    common_dtype,
    describe,
    on_any_mesh,
    stateless,
)
from jaxnn.layers._affine import check_dtype


def prelu(negative_slope: Any = 0.25, *, shared: bool = True, param_dtype: Any = jnp.float32) -> Layer:
    """Leaky rectifier whose slope is learned, elementwise: ``[..., features]``, shape kept.

    Parameters: ``negative_slope``, ``()`` if shared and ``(features,)`` otherwise. At 0 the gradient is 1.
    Pointwise, so it keeps a mask. PyTorch's default start is 0.25 too; Flax's is 0.01.

    Args:
        negative_slope: where the slope starts.
        shared: whether all features share one slope.
        param_dtype: dtype of the parameters.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point or has other
            features.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = jnp.array([-2.0, 3.0])
        >>> params, _ = nn.prelu().init(jax.random.key(0), x)
        >>> nn.prelu().apply(params, {}, x)[0].tolist()
        [-0.5, 3.0]
    """
    param_dtype = check_dtype("prelu", param_dtype)
    if isinstance(negative_slope, bool | str) or jnp.ndim(negative_slope):
        raise TypeError(f"prelu: negative_slope must be a number, got {describe(negative_slope)}")

    def init(key: Any, x: Any) -> dict[str, Any]:
        del key
        check(x)
        start = jnp.asarray(negative_slope, param_dtype)
        return {"negative_slope": jnp.broadcast_to(start, () if shared else x.shape[-1:])}

    def check(x: Any) -> None:
        check_floating("prelu", x)
        check_min_rank("prelu", x, 0 if shared else 1, "[..., features]")

    def apply(params: Any, x: Any) -> Any:
        check(x)
        check_params("prelu", params, {"negative_slope": () if shared else ("features",)})
        slope = params["negative_slope"]
        if slope.shape != (() if shared else x.shape[-1:]):
            raise ValueError(
                f"prelu: expected input [..., {slope.size}], got {describe(x)}; "
                "initialise the model with this input"
            )
        dtype = common_dtype(x.dtype, slope.dtype)
        x = x.astype(dtype)
        return jnp.where(x >= 0, x, jnp.broadcast_to(slope.astype(dtype), x.shape) * x)

    return on_any_mesh(stateless("prelu", init, apply, masked="pointwise"))
