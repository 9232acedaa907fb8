"""The cosine distance: ``1 - <x, y> / (|x| |y|)``."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import wide_dtype
from jaxnn.losses._labels import check_same_shape


def cosine_distance(outputs: Any, targets: Any) -> Any:
    """One minus the cosine of the angle between two vectors: ``[..., features] -> [...]``.

    From 0 to 2 up to rounding: a distance of 0 may come out a few units in the last place of 1 below it. The
    cosine of a zero vector is 0, so its distance is 1 and its gradient 0 (a plain division gives NaN, an
    epsilon under it the gradient of another function). Vectors are first scaled by their largest entry, so no
    square overflows or vanishes. Half precision is taken to float32.

    Args:
        outputs: ``[..., features]``, floating point.
        targets: of the same shape.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes differ.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[2.0, 0.0], [0.0, 3.0], [-1e30, 0.0], [0.0, 0.0]])
        >>> cosine_distance(x, jnp.ones((4, 2)) * jnp.array([[1.0, 0.0]])).tolist()
        [0.0, 1.0, 2.0, 1.0]
    """
    targets = jnp.asarray(targets)
    check_same_shape("cosine_distance", outputs, targets)
    wide = wide_dtype(outputs.dtype)
    cosine = jnp.sum(_direction(outputs.astype(wide)) * _direction(targets.astype(wide)), -1)
    return 1 - cosine


def _direction(x: Any) -> Any:
    """Unit vectors; zero for zero."""
    # The direction does not depend on the length, so the scale needs no gradient.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), -1, keepdims=True, initial=0))
    zero = largest == 0
    scaled = x / jnp.broadcast_to(jnp.where(zero, 1, largest), x.shape)
    square = jnp.sum(jnp.square(scaled), -1, keepdims=True)
    inverse = jnp.where(zero, 0, jax.lax.rsqrt(jnp.where(zero, 1, square)))
    return scaled * jnp.broadcast_to(inverse, x.shape)
