"""The cosine distance: ``1 - <x, y> / (|x| |y|)``."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import wide_dtype
from jaxnn.losses._labels import check_same_shape


def cosine_distance(outputs: Any, targets: Any) -> Any:
    """One minus the cosine of the angle between two vectors: ``[..., features] -> [...]``.

    From 0 to 2, up to rounding above 2. It is computed as half the square of the difference of the unit
    vectors, so small angles keep their digits, and of one feature it and its gradient are exact. The cosine
    of a zero vector is 0, so its distance is 1 and its gradient 0 (a plain division gives NaN, an epsilon
    under it the gradient of another function). Vectors are first scaled by their largest entry, so no square
    overflows or vanishes. Half precision is taken to float32.

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
    return _distance(outputs.astype(wide), targets.astype(wide))


@jax.custom_jvp
def _distance(x: Any, y: Any) -> Any:
    (a, _), (b, _) = _direction(x), _direction(y)
    nothing = jnp.any(_is_zero(x) | _is_zero(y), -1)
    return jnp.where(nothing, 1, jnp.sum(jnp.square(a - b), -1) / 2)


@_distance.defjvp
def _distance_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    x, y = primals
    distance = _distance(x, y)
    (a, over_x), (b, over_y) = _direction(x), _direction(y)
    nothing = _is_zero(x) | _is_zero(y)
    # What of the other's direction stands across one's own: b - cos a, by differences that are exact.
    along = jnp.where(nothing, 0, distance[..., None])
    apart = jnp.where(jnp.broadcast_to(nothing, a.shape), 0, a - b)
    slope_x, slope_y = over_x(apart - along * a), over_y(-apart - along * b)
    return distance, jnp.sum(slope_x * tangents[0] + slope_y * tangents[1], -1)


def _direction(x: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the unit vector, zero for zero, and the division by the length."""
    # The direction does not depend on the length, so the scale needs no gradient.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), -1, keepdims=True, initial=0))
    largest = jnp.where(_is_zero(x), 1, largest)
    scaled = x / largest
    square = jnp.sum(jnp.square(scaled), -1, keepdims=True)
    root = jnp.sqrt(jnp.where(_is_zero(x), 1, square))
    return scaled / root, lambda slope: slope / root / largest


def _is_zero(x: Any) -> Any:
    """Whether vectors ``[..., k]`` are 0, ``[..., 1]``; what is below every normal number counts as 0."""
    return jnp.max(jnp.abs(x), -1, keepdims=True, initial=0) < jnp.finfo(x.dtype).tiny
