"""Group normalisation (Wu and He, 2018, arXiv:1803.08494) and instance normalisation.

Instance normalisation (Ulyanov et al., 2016, arXiv:1607.08022) is the case of one channel in each group.
"""

from math import prod
from typing import Any

import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    Masked,
    check_floating,
    check_min_rank,
    describe,
    filled,
    non_negative,
    on_any_mesh,
    positive_int,
    spread_mask,
    stateless,
)
from jaxnn.layers._statistics import centred, check_some_features, inverse_deviation, scaler, widened


def group_norm(
    groups: int,
    *,
    epsilon: Any = 1e-5,
    use_scale: bool = True,
    use_bias: bool = True,
    param_dtype: Any = jnp.float32,
) -> Layer:
    """Normalise groups of neighbouring channels of each example: ``[batch, ..., features]``, shape kept.

    Parameters: ``scale`` and ``bias`` ``(features,)``. Statistics run over all axes but the first and over
    the channels of a group, in float32 at least and in two passes about a shifted origin, so that an offset
    of 1e4 costs no digits of the variance. With a ``Masked`` input only real positions count and the mask is
    kept, where PyTorch counts the padding.

    Args:
        groups: number of groups; must divide the features.
        epsilon: added to the variance.
        use_scale: whether to multiply by ``scale``.
        use_bias: whether to add ``bias``.
        param_dtype: dtype of the parameters.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point, has too few axes
            or other features, or features that ``groups`` does not divide.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = jnp.array([[1.0, 3.0, 10.0, 30.0]])
        >>> params, _ = nn.group_norm(2).init(jax.random.key(0), x)
        >>> nn.group_norm(2).apply(params, {}, x)[0].round(3).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """
    groups = positive_int("group_norm", "groups", groups)
    return _group_norm("group_norm", groups, epsilon, use_scale, use_bias, param_dtype)


def instance_norm(
    *,
    epsilon: Any = 1e-5,
    use_scale: bool = True,
    use_bias: bool = True,
    param_dtype: Any = jnp.float32,
) -> Layer:
    """Normalise each channel of each example over its positions: ``[batch, *spatial, features]``, shape kept.

    Parameters: ``scale`` and ``bias`` ``(features,)``, where PyTorch has none by default. Statistics as in
    ``group_norm``; with a ``Masked`` input only real positions count and the mask is kept.

    Args:
        epsilon: added to the variance.
        use_scale: whether to multiply by ``scale``.
        use_bias: whether to add ``bias``.
        param_dtype: dtype of the parameters.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point, has other
            features, or a single position, of which nothing would be left.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = jnp.array([[[1.0, 10.0], [3.0, 30.0]]])
        >>> params, _ = nn.instance_norm().init(jax.random.key(0), x)
        >>> nn.instance_norm().apply(params, {}, x)[0].round(3).tolist()
        [[[-1.0, -1.0], [1.0, 1.0]]]
    """
    return _group_norm("instance_norm", None, epsilon, use_scale, use_bias, param_dtype)


def _group_norm(
    name: str, groups: int | None, epsilon: Any, use_scale: bool, use_bias: bool, param_dtype: Any
) -> Layer:
    non_negative(name, "epsilon", epsilon, positive=True)
    make, finish = scaler(name, use_scale, use_bias, param_dtype)

    def check(x: Any) -> None:
        check_floating(name, x)
        if groups is None:
            check_min_rank(name, x, 3, "[batch, *spatial, features]")
            check_some_features(name, x)
            if prod(x.shape[1:-1]) < 2:
                raise ValueError(
                    f"{name}: expected at least 2 positions to normalise over, got {describe(x)}; "
                    "use layer_norm"
                )
            return
        check_min_rank(name, x, 2, "[batch, ..., features]")
        if not prod(x.shape[1:]):
            raise ValueError(
                f"{name}: there is nothing to normalise over in {describe(x)}; "
                "no axis but the batch may be empty"
            )
        if x.shape[-1] % groups:
            raise ValueError(
                f"{name}: groups must divide the features, got groups={groups} and {describe(x)}; "
                "use a divisor of the last axis"
            )

    def init(key: Any, x: Any) -> dict[str, Any]:
        del key
        x = x.value if isinstance(x, Masked) else x
        check(x)
        return make(x)

    def apply(params: Any, x: Any) -> Any:
        if isinstance(x, Masked):
            check(x.value)
            y = normalise(params, filled(x), spread_mask(x.mask, x.value.shape))
            return Masked(y, x.mask)
        check(x)
        return normalise(params, x, None)

    def normalise(params: Any, x: Any, mask: Any) -> Any:
        count = x.shape[-1] if groups is None else groups
        grouped = (x.shape[0], prod(x.shape[1:-1]), count, x.shape[-1] // count)
        z, _, var = centred(
            widened(x).reshape(grouped), (1, 3), None if mask is None else mask.reshape(grouped)
        )
        factor = jnp.broadcast_to(inverse_deviation(var, epsilon), grouped).reshape(x.shape)
        return finish(params, z.reshape(x.shape), factor, x)

    return on_any_mesh(stateless(name, init, apply, masked="aware"))
