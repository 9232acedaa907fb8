"""Squared errors: the mean over features, and half the sum."""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import wide_dtype
from jaxnn.losses._labels import check_same_shape


def squared_error(outputs: Any, targets: Any) -> Any:
    """Mean of squared differences over the last axis: ``[..., features] -> [...]``.

    Half precision is taken to float32. Shapes that would broadcast raise: ``(N, 1)`` against ``(N,)``
    is the most common silent bug of regression in every peer.

    Args:
        outputs: ``[..., features]``, floating point.
        targets: of the same shape.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes differ.

    Example:
        >>> import jax.numpy as jnp
        >>> error = squared_error(jnp.array([4.59, 9.2, 4.79, 9.4]), jnp.array([2.0, 3, 4, 5]))
        >>> print(f"{error:.4f}")
        16.2830
    """
    return jnp.mean(_squares("squared_error", outputs, targets), -1)


def half_squared_error(outputs: Any, targets: Any) -> Any:
    """Half the sum of squared differences over the last axis: ``[..., features] -> [...]``.

    Its gradient is ``outputs - targets``. Half precision is taken to float32.

    Args:
        outputs: ``[..., features]``, floating point.
        targets: of the same shape.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes differ.

    Example:
        >>> import jax.numpy as jnp
        >>> error = half_squared_error(jnp.array([4.59, 9.2, 4.79, 9.4]), jnp.array([2.0, 3, 4, 5]))
        >>> print(f"{error:.4f}")
        32.5661
    """
    return jnp.sum(_squares("half_squared_error", outputs, targets), -1) / 2


def _squares(owner: str, outputs: Any, targets: Any) -> Any:
    targets = jnp.asarray(targets)
    check_same_shape(owner, outputs, targets)
    wide = wide_dtype(outputs.dtype)
    return jnp.square(outputs.astype(wide) - targets.astype(wide))
