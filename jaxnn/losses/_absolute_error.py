"""Absolute error: the mean over features."""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import wide_dtype
from jaxnn.losses._labels import check_same_shape


def absolute_error(outputs: Any, targets: Any) -> Any:
    """Mean of absolute differences over the last axis: ``[..., features] -> [...]``.

    Its gradient is ``sign(outputs - targets) / features``, 0 where they are equal. Half precision is taken to
    float32. Shapes that would broadcast raise.

    Args:
        outputs: ``[..., features]``, floating point.
        targets: of the same shape.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes differ.

    Example:
        >>> import jax.numpy as jnp
        >>> absolute_error(jnp.array([1.0, 2.0, 6.0]), jnp.array([1.0, 4.0, 2.0])).item()
        2.0
    """
    targets = jnp.asarray(targets)
    check_same_shape("absolute_error", outputs, targets)
    wide = wide_dtype(outputs.dtype)
    error = outputs.astype(wide) - targets.astype(wide)
    # jnp.abs has slope 1 at 0; this has slope 0, as the sign does.
    return jnp.mean(error * jnp.sign(error), -1)
