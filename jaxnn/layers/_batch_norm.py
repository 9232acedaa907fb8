"""Batch normalisation (Ioffe and Szegedy, 2015, arXiv:1502.03167).

``y = scale (x - mean) / sqrt(variance + epsilon) + bias`` with the batch's statistics in training and
running ones in evaluation.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    Masked,
    Params,
    State,
    check_floating,
    check_key,
    check_min_rank,
    check_params,
    check_position_mask,
    check_train,
    common_dtype,
    describe,
    is_traced,
    non_negative,
    on_any_mesh,
    refuse_masked,
    spread_mask,
    wide_dtype,
)
from jaxnn.layers._statistics import centred, check_features, check_some_features, inverse_deviation, scaler


def batch_norm(
    *,
    momentum: Any = 0.99,
    epsilon: Any = 1e-5,
    use_scale: bool = True,
    use_bias: bool = True,
    param_dtype: Any = jnp.float32,
) -> Layer:
    """Normalise each feature over all leading axes: ``[..., features] -> [..., features]``.

    Parameters: ``scale`` and ``bias`` ``(features,)``. State: ``mean`` and ``var`` ``(features,)``, float32
    at least. Statistics are computed in float32 at least and in two passes about a shifted origin, so that
    an offset of 1e4 does not destroy the variance (Flax's default, one pass, loses it). They reduce the
    axes they see and need no axis name: under ``vmap`` over seeds each seed has its own. The running variance
    is the biased one, as in Flax and Keras; PyTorch keeps the unbiased one, and its ``momentum`` is 1 minus
    ours.

    With a ``Masked`` input only real positions count, and the mask is kept; a batch without a real
    position leaves the running statistics as they were.

    Args:
        momentum: share of the old running statistics kept at each training step, in [0, 1].
        epsilon: added to the variance.
        use_scale: whether to multiply by ``scale``.
        use_bias: whether to add ``bias``.
        param_dtype: dtype of the parameters.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point, has other
            features, or, in training, no second example to take statistics from.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.batch_norm(momentum=0.9)
        >>> x = jnp.array([[1.0], [3.0]])
        >>> params, state = layer.init(jax.random.key(0), x)
        >>> y, state = layer.apply(params, state, x, train=True)
        >>> y.round(3).tolist(), [round(v, 3) for v in state["mean"].tolist()]
        ([[-1.0], [1.0]], [0.2])
    """
    non_negative("batch_norm", "momentum", momentum)
    if not is_traced(momentum) and momentum > 1:
        raise ValueError(f"batch_norm: momentum must be in [0, 1], got {momentum}")
    non_negative("batch_norm", "epsilon", epsilon, positive=True)
    make, finish = scaler("batch_norm", use_scale, use_bias, param_dtype)
    state_dtype = wide_dtype(param_dtype)

    def init(key: Any, x: Any) -> tuple[Params, State]:
        check_key("batch_norm", key)
        x = x.value if isinstance(x, Masked) else x
        check(x)
        shape = x.shape[-1:]
        return make(x), {"mean": jnp.zeros(shape, state_dtype), "var": jnp.ones(shape, state_dtype)}

    def check(x: Any) -> None:
        check_floating("batch_norm", x)
        check_min_rank("batch_norm", x, 2, "[batch, ..., features]")
        check_some_features("batch_norm", x)

    def apply(
        params: Params, state: State, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        del key
        check_train("batch_norm", train)
        if isinstance(x, Masked):
            check_position_mask("batch_norm", x)
            y, state = normalise(params, state, x.value, x.mask, train)
            return Masked(y, x.mask), state
        refuse_masked("batch_norm", x)
        return normalise(params, state, x, None, train)

    def normalise(params: Params, state: State, x: Any, mask: Any, train: bool) -> tuple[Any, State]:
        check(x)
        sizes = check_params("batch_norm", state, {"mean": ("features",), "var": ("features",)}, "state")
        check_features("batch_norm", sizes, x)
        wide = common_dtype(wide_dtype(x.dtype), state["mean"].dtype)
        z = x.astype(wide)
        if mask is not None:
            mask = spread_mask(mask, x.shape)
            z = jnp.where(mask, z, 0)
        if train:
            z, mean, var, count = _statistics(z, mask)
            new_state = _running(state, mean, var, count, momentum)
        else:
            mean, var, new_state = state["mean"].astype(wide), state["var"].astype(wide), state
            z = z - jnp.broadcast_to(mean, z.shape)
        return finish(params, z, inverse_deviation(var, epsilon), x), new_state

    return on_any_mesh(Layer("batch_norm", init, apply))


def _statistics(x: Any, mask: Any) -> tuple[Any, Any, Any, Any]:
    """Centred values, mean and biased variance of each feature over real positions, and their number."""
    positions = x.size // x.shape[-1]
    # What of a mask is real is known when it runs; without any position there is none.
    if positions < (2 if mask is None else 1):
        raise ValueError(
            "batch_norm: training needs at least 2 positions to take statistics from, "
            f"got {describe(x)}; use a larger batch, or layer_norm"
        )
    count = jnp.asarray(positions, x.dtype) if mask is None else jnp.sum(mask[..., 0], dtype=x.dtype)
    z, mean, var = centred(x, tuple(range(x.ndim - 1)), mask)
    return z, mean.reshape(x.shape[-1:]), var.reshape(x.shape[-1:]), count


def _running(state: State, mean: Any, var: Any, count: Any, momentum: Any) -> State:
    def blend(old: Any, new: Any) -> Any:
        keep = jnp.asarray(momentum, old.dtype)
        mixed = keep * old + (1 - keep) * jax.lax.stop_gradient(new).astype(old.dtype)
        return jnp.where(count > 0, mixed, old)

    return {"mean": blend(state["mean"], mean), "var": blend(state["var"], var)}
