"""Root-mean-square normalisation (Zhang and Sennrich, 2019, arXiv:1910.07467).

``y = scale x / sqrt(mean(x^2) + epsilon)`` over the features of one position.
"""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import Layer, check_floating, check_min_rank, non_negative, on_any_mesh, stateless
from jaxnn.layers._statistics import inverse_deviation, scaler, widened


def rms_norm(*, epsilon: Any = 1e-6, use_scale: bool = True, param_dtype: Any = jnp.float32) -> Layer:
    """Divide each position by its root mean square: ``[..., features] -> [..., features]``.

    Parameters: ``scale`` ``(features,)``. The mean square is taken in float32 at least; a row of zeros gives
    zeros with a finite gradient. Pointwise, so it keeps a mask.

    Args:
        epsilon: added to the mean square.
        use_scale: whether to multiply by ``scale``.
        param_dtype: dtype of the parameters.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point or has other
            features.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = jnp.array([[1.0, -1.0, 2.0, -2.0], [0.0, 0.0, 0.0, 0.0]]) * 1e3
        >>> params, _ = nn.rms_norm().init(jax.random.key(0), x)
        >>> nn.rms_norm().apply(params, {}, x)[0].std(-1).round(3).tolist()
        [1.0, 0.0]
    """
    non_negative("rms_norm", "epsilon", epsilon, positive=True)
    make, finish = scaler("rms_norm", use_scale, False, param_dtype)

    def check(x: Any) -> None:
        check_floating("rms_norm", x)
        check_min_rank("rms_norm", x, 1, "[..., features]")

    def init(key: Any, x: Any) -> dict[str, Any]:
        del key
        check(x)
        return make(x)

    def apply(params: Any, x: Any) -> Any:
        check(x)
        z = widened(x)
        square = jnp.mean(jnp.square(z), -1, keepdims=True)
        return finish(params, z, inverse_deviation(square, epsilon), x)

    return on_any_mesh(stateless("rms_norm", init, apply, masked="pointwise"))
