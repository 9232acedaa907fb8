"""Huber's loss: ``e^2 / 2`` up to ``delta``, ``delta (|e| - delta / 2)`` beyond."""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import non_negative, wide_dtype
from jaxnn.losses._labels import check_same_shape


def huber(outputs: Any, targets: Any, *, delta: Any = 1.0) -> Any:
    """Mean over the last axis of Huber's loss of the differences: ``[..., features] -> [...]``.

    Squared near 0 and straight in the tails, so that outliers pull by ``delta`` at most: the gradient is
    ``clip(outputs - targets, -delta, delta) / features``. Huber (1964), "Robust estimation of a location
    parameter". Half precision is taken to float32. Squares are taken of clipped differences, so a large one
    gives neither an overflow nor, as in a ``where`` over both branches, a gradient of ``0 * inf``.

    Args:
        outputs: ``[..., features]``, floating point.
        targets: of the same shape.
        delta: where the tails begin, a positive number; may be traced.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes differ, or ``delta`` is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> huber(jnp.array([0.5, 4.0]), jnp.zeros(2), delta=2.0).item()
        3.0625
    """
    non_negative("huber", "delta", delta, positive=True)
    targets = jnp.asarray(targets)
    check_same_shape("huber", outputs, targets)
    wide = wide_dtype(outputs.dtype)
    error = jnp.abs(outputs.astype(wide) - targets.astype(wide))
    bound = jnp.broadcast_to(jnp.asarray(delta, wide), error.shape)
    near = jnp.where(error < bound, error, bound)
    return jnp.mean(near * (error - near / 2), -1)
