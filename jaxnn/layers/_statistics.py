"""What normalisation shares: centred values and variances that survive offsets, and their scale and bias."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxnn.core import check_params, common_dtype, describe, wide_dtype
from jaxnn.layers._affine import check_dtype


def centred(x: Any, axes: tuple[int, ...], mask: Any = None) -> tuple[Any, Any, Any]:
    """Return ``x`` minus its mean over ``axes``, that mean, and the biased variance, axes kept.

    One of the values is subtracted before the mean is taken, so that rounding is relative to the spread and
    not to the offset: constant values have variance 0 exactly, at 1e4 too. It is held constant in the
    gradient, which shifts by a constant do not change. A rounded mean would not do in its place: the compiler
    may round it differently in each kernel that recomputes it.

    Args:
        x: values in the dtype of the computation; under a mask, padding must be finite.
        axes: the axes of one group of values.
        mask: booleans of the shape of ``x``; groups without a real position have mean and variance 0.
    """
    guess = lax.stop_gradient(x)
    if mask is None:
        for axis in axes:
            guess = lax.slice_in_dim(guess, 0, 1, axis=axis)
    else:
        least = jnp.min(jnp.where(mask, guess, jnp.inf), axes, keepdims=True)
        guess = jnp.where(jnp.any(mask, axes, keepdims=True), least, 0)
    z = x - jnp.broadcast_to(guess, x.shape)
    mean = _mean(z, axes, mask)
    z = z - jnp.broadcast_to(mean, z.shape)
    return z, guess + mean, _mean(jnp.square(z), axes, mask)


def _mean(x: Any, axes: tuple[int, ...], mask: Any) -> Any:
    if mask is None:
        return jnp.mean(x, axes, keepdims=True)
    count = jnp.sum(mask, axes, dtype=x.dtype, keepdims=True)
    return jnp.sum(jnp.where(mask, x, 0), axes, keepdims=True) / jnp.maximum(count, jnp.ones((), x.dtype))


def scaler(owner: str, use_scale: bool, use_bias: bool, param_dtype: Any) -> tuple[Any, Any]:
    """Return ``init(x) -> params`` and ``finish(params, z, factor, x) -> y = z * factor * scale + bias``."""
    dtype = check_dtype(owner, param_dtype)
    names = tuple(name for name, used in (("scale", use_scale), ("bias", use_bias)) if used)

    def init(x: Any) -> dict[str, Any]:
        made: dict[str, Callable[..., Any]] = {"scale": jnp.ones, "bias": jnp.zeros}
        return {name: made[name](x.shape[-1:], dtype) for name in names}

    def finish(params: dict[str, Any], z: Any, factor: Any, x: Any) -> Any:
        sizes = check_params(owner, params, dict.fromkeys(names, ("features",)))
        check_features(owner, sizes, x)
        dtypes = [params[name].dtype for name in names]
        y = (z * jnp.broadcast_to(factor, z.shape)).astype(common_dtype(z.dtype, *dtypes))
        if use_scale:
            y = y * jnp.broadcast_to(params["scale"].astype(y.dtype), y.shape)
        if use_bias:
            y = y + jnp.broadcast_to(params["bias"].astype(y.dtype), y.shape)
        return y.astype(common_dtype(x.dtype, *dtypes))

    return init, finish


def check_features(owner: str, sizes: dict[str, int], x: Any) -> None:
    """Raise unless ``x`` has as many features as the parameters, whose ``sizes`` these are."""
    if sizes.get("features", x.shape[-1]) != x.shape[-1]:
        raise ValueError(
            f"{owner}: expected input [..., {sizes['features']}], got {describe(x)}; "
            "initialise the model with this input"
        )


def check_some_features(owner: str, x: Any) -> None:
    """Raise if the last axis of ``x`` is empty, of which there are no statistics."""
    if not x.shape[-1]:
        raise ValueError(
            f"{owner}: expected at least one feature in [..., features], got {describe(x)}; "
            "leave the layer out"
        )


def inverse_deviation(var: Any, epsilon: Any) -> Any:
    """``1 / sqrt(var + epsilon)``."""
    return jax.lax.rsqrt(var + jnp.asarray(epsilon, var.dtype))


def widened(x: Any) -> Any:
    """``x`` in the dtype of statistics, float32 at least."""
    return x.astype(wide_dtype(x.dtype))
