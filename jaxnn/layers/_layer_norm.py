"""Layer normalisation (Ba, Kiros and Hinton, 2016, arXiv:1607.06450).

``y = scale (x - mean(x)) / sqrt(var(x) + epsilon) + bias`` over the features of one position.
"""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import Layer, check_floating, check_min_rank, non_negative, on_any_mesh, stateless
from jaxnn.layers._statistics import centred, check_some_features, inverse_deviation, scaler, widened


def layer_norm(
    *,
    epsilon: Any = 1e-5,
    use_scale: bool = True,
    use_bias: bool = True,
    param_dtype: Any = jnp.float32,
) -> Layer:
    """Normalise the last axis of each position: ``[..., features] -> [..., features]``.

    Parameters: ``scale`` and ``bias`` ``(features,)``. The variance is biased and taken in float32 at least,
    in two passes about a shifted origin: a row of constants gives ``bias`` exactly and an offset of 1e4 costs
    no digits of the variance, which Flax's default, one pass, loses. Pointwise, so it keeps a mask.

    Args:
        epsilon: added to the variance.
        use_scale: whether to multiply by ``scale``.
        use_bias: whether to add ``bias``.
        param_dtype: dtype of the parameters.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point or has other
            features.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = jnp.array([[1.0, 3.0], [10001.0, 10003.0], [5.0, 5.0]])
        >>> params, _ = nn.layer_norm().init(jax.random.key(0), x)
        >>> nn.layer_norm().apply(params, {}, x)[0].round(3).tolist()
        [[-1.0, 1.0], [-1.0, 1.0], [0.0, 0.0]]
    """
    non_negative("layer_norm", "epsilon", epsilon, positive=True)
    make, finish = scaler("layer_norm", use_scale, use_bias, param_dtype)

    def check(x: Any) -> None:
        check_floating("layer_norm", x)
        check_min_rank("layer_norm", x, 1, "[..., features]")
        check_some_features("layer_norm", x)

    def init(key: Any, x: Any) -> dict[str, Any]:
        del key
        check(x)
        return make(x)

    def apply(params: Any, x: Any) -> Any:
        check(x)
        z, _, var = centred(widened(x), (x.ndim - 1,))
        return finish(params, z, inverse_deviation(var, epsilon), x)

    return on_any_mesh(stateless("layer_norm", init, apply, masked="pointwise"))
