"""Layers that only rearrange: ``flatten`` and ``reshape``."""

import math
from typing import Any

from jaxnn.core import Layer, check_min_rank, describe, on_any_mesh, stateless


def flatten(start: int = 1) -> Layer:
    """Join the axes from ``start`` on into one: ``[batch, ...] -> [batch, features]``.

    Row-major, so that channels vary fastest.

    Args:
        start: first axis that is joined.

    Raises:
        TypeError, ValueError: ``start`` is not an int, or negative; at use, the input has fewer axes.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> nn.flatten().apply({}, {}, jnp.ones((2, 28, 28)))[0].shape
        (2, 784)
    """
    if isinstance(start, bool) or not isinstance(start, int):
        raise TypeError(f"flatten: start must be an int, got {describe(start)}")
    if start < 0:
        raise ValueError(f"flatten: start must not be negative, got {start}; count axes from the left")

    def apply(params: Any, x: Any) -> Any:
        del params
        check_min_rank("flatten", x, start, "[batch, ...]")
        return x.reshape(*x.shape[:start], math.prod(x.shape[start:]))

    return on_any_mesh(stateless("flatten", None, apply))


def reshape(*shape: int) -> Layer:
    """Give the axes after the first a new shape: ``[batch, ...] -> [batch, *shape]``.

    Args:
        *shape: sizes of the new axes; one of them may be -1.

    Raises:
        TypeError, ValueError: a size is not an int, below -1 or 0, or more than one is -1; at use, the
            sizes do not fit the input.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> nn.reshape(28, 28, 1).apply({}, {}, jnp.ones((2, 784)))[0].shape
        (2, 28, 28, 1)
    """
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int):
            raise TypeError(f"reshape: sizes must be ints, got {describe(size)} in {sizes}")
        if size < -1 or size == 0:
            raise ValueError(f"reshape: sizes must be positive, or one of them -1, got {sizes}")
    if sizes.count(-1) > 1:
        raise ValueError(f"reshape: at most one size may be -1, got {sizes}")

    def apply(params: Any, x: Any) -> Any:
        del params
        check_min_rank("reshape", x, 1, "[batch, ...]")
        have, want = math.prod(x.shape[1:]), math.prod(s for s in sizes if s != -1)
        if (not want or have % want) if -1 in sizes else have != want:
            raise ValueError(
                f"reshape: can't give {describe(x)} the shape [batch, {', '.join(map(str, sizes))}]: "
                f"{have} values for each example, {want} asked for"
            )
        # Of an array without elements, as an empty batch is, reshape itself can't tell what -1 stands for.
        return x.reshape(x.shape[0], *(have // want if size == -1 else size for size in sizes))

    return on_any_mesh(stateless("reshape", None, apply))
