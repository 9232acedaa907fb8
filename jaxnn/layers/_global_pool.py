"""Pooling over whole axes (Lin et al., 2013, "Network in network"), with padding left out."""

from collections.abc import Callable
from math import prod
from typing import Any

import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    Masked,
    check_floating,
    describe,
    on_any_mesh,
    spread_mask,
    stateless,
    wide_dtype,
)

Axes = tuple[int, ...] | None


def global_max_pool(axes: Axes = None) -> Layer:
    """Largest value over the pooled axes: ``[batch, ..., features] -> [batch, features]``.

    Equal largest values share the gradient equally. With a ``Masked`` input only real positions count and a
    row without any gives 0 with gradient 0, where Flax and Keras pool the padding too. The mask goes with the
    axes that it marks; what is left of it stays if it has more than the batch axis.

    Args:
        axes: the axes that are pooled; ``None`` for all between the first and the last.

    Raises:
        TypeError, ValueError: ``axes`` are not ints, or the last axis; at use, the input is not floating
            point, has nothing to pool, or lacks an axis.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = nn.Masked(jnp.array([[[1.0], [3.0], [9.0]]]), jnp.array([[True, True, False]]))
        >>> nn.global_max_pool().apply({}, {}, x)[0].tolist()
        [[3.0]]
    """

    def largest(x: Any, mask: Any, pooled: tuple[int, ...]) -> Any:
        if mask is None:
            return jnp.max(x, pooled)
        y = jnp.max(jnp.where(mask, x, -jnp.inf), pooled)
        return jnp.where(jnp.any(mask, pooled), y, 0)

    return _global_pool("global_max_pool", largest, axes)


def global_avg_pool(axes: Axes = None) -> Layer:
    """Mean over the pooled axes: ``[batch, ..., features] -> [batch, features]``.

    Summed in float32 at least. With a ``Masked`` input it is the mean of the real positions, and a row
    without any gives 0 with gradient 0, where Flax and Keras divide by the padded length. The mask goes with
    the axes that it marks; what is left of it stays if it has more than the batch axis.

    Args:
        axes: the axes that are pooled; ``None`` for all between the first and the last.

    Raises:
        TypeError, ValueError: ``axes`` are not ints, or the last axis; at use, the input is not floating
            point, has nothing to pool, or lacks an axis.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> nn.global_avg_pool().apply({}, {}, jnp.array([[[1.0, 5.0], [3.0, 5.0]]]))[0].tolist()
        [[2.0, 5.0]]
    """

    def mean(x: Any, mask: Any, pooled: tuple[int, ...]) -> Any:
        z = x.astype(wide_dtype(x.dtype))
        if mask is None:
            return jnp.mean(z, pooled).astype(x.dtype)
        count = jnp.maximum(jnp.sum(mask, pooled, dtype=z.dtype), jnp.ones((), z.dtype))
        return (jnp.sum(jnp.where(mask, z, 0), pooled) / count).astype(x.dtype)

    return _global_pool("global_avg_pool", mean, axes)


def _global_pool(name: str, reduce: Callable[..., Any], axes: Axes) -> Layer:
    if axes is not None:
        if not isinstance(axes, tuple | list) or not axes:
            raise TypeError(
                f"{name}: axes must be a tuple of ints or None, got {describe(axes)}; write (1, 2)"
            )
        if any(isinstance(axis, bool) or not isinstance(axis, int) for axis in axes):
            raise TypeError(f"{name}: axes must be ints, got {describe(tuple(axes))}; write (1, 2)")

    def apply(params: Any, x: Any) -> Any:
        del params
        value, mask = (x.value, x.mask) if isinstance(x, Masked) else (x, None)
        check_floating(name, value)
        pooled = _pooled(name, value, axes)
        if mask is None:
            return reduce(value, None, pooled)
        y = reduce(value, spread_mask(mask, value.shape), pooled)
        marked = tuple(axis for axis in pooled if axis < mask.ndim)
        if not marked:
            return Masked(y, mask)
        left = jnp.any(mask, marked)
        return Masked(y, left) if left.ndim > 1 else y

    return on_any_mesh(stateless(name, None, apply, masked="aware"))


def _pooled(name: str, x: Any, axes: Axes) -> tuple[int, ...]:
    rank = len(x.shape)
    if axes is None:
        pooled = tuple(range(1, rank - 1))
        if not pooled:
            raise ValueError(
                f"{name}: expected input [batch, ..., features] with at least 3 axes, got {describe(x)}"
            )
    else:
        pooled = tuple(axis + rank if axis < 0 else axis for axis in axes)
        if len(set(pooled)) < len(pooled) or not all(0 <= axis < rank - 1 for axis in pooled):
            raise ValueError(
                f"{name}: axes must be distinct axes of the input before its last one, got {tuple(axes)} for "
                f"{describe(x)}"
            )
    if not prod(x.shape[axis] for axis in pooled):
        raise ValueError(
            f"{name}: there is nothing to pool in {describe(x)} over axes {pooled}; "
            "only the batch may be empty"
        )
    return pooled
