"""Layers that merge a tuple of arrays: ``concatenate``, ``add``, ``multiply``."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxnn.core import Layer, Masked, describe, on_any_mesh, stateless


def concatenate(axis: int = -1) -> Layer:
    """Join a tuple of arrays along an axis: ``([..., a], [..., b]) -> [..., a + b]``.

    Args:
        axis: the axis along which they are joined; all others must agree.

    Raises:
        TypeError: ``axis`` is not an int; at use, the input is not a tuple or its dtypes differ.
        ValueError: at use, the shapes do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> nn.concatenate().apply({}, {}, (jnp.ones((2, 3)), jnp.ones((2, 5))))[0].shape
        (2, 8)
    """
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise TypeError(f"concatenate: axis must be an int, got {describe(axis)}")

    def apply(params: Any, x: Any) -> Any:
        del params
        arrays = _arrays("concatenate", x)
        rank = arrays[0].ndim
        if not -rank <= axis < rank:
            raise ValueError(f"concatenate: axis {axis} does not exist in {describe(x)}")
        rest = {a.shape[: axis % rank] + a.shape[axis % rank + 1 :] for a in arrays}
        if len({a.ndim for a in arrays}) > 1 or len(rest) > 1:
            raise ValueError(f"concatenate: all axes but {axis} must have equal sizes, got {describe(x)}")
        return jnp.concatenate(arrays, axis)

    return on_any_mesh(stateless("concatenate", None, apply))


def add() -> Layer:
    """Sum a tuple of arrays of one shape: ``([...], [...]) -> [...]``; real where all are.

    Raises:
        TypeError: at use, the input is not a tuple, or only a part of it is masked.
        ValueError: at use, the shapes differ; nothing is broadcast.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> nn.add().apply({}, {}, (jnp.ones(2), jnp.ones(2)))[0].tolist()
        [2.0, 2.0]
    """
    return _fold("add", operator.add)


def multiply() -> Layer:
    """Multiply a tuple of arrays of one shape elementwise; the result is real where all are.

    Raises:
        TypeError: at use, the input is not a tuple, or only a part of it is masked.
        ValueError: at use, the shapes differ; nothing is broadcast.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> nn.multiply().apply({}, {}, (jnp.full(2, 3.0), jnp.full(2, 2.0)))[0].tolist()
        [6.0, 6.0]
    """
    return _fold("multiply", operator.mul)


def _fold(name: str, operation: Callable[[Any, Any], Any]) -> Layer:
    def apply(params: Any, x: Any) -> Any:
        del params
        if isinstance(x, tuple | list) and any(isinstance(entry, Masked) for entry in x):
            if not all(isinstance(entry, Masked) for entry in x):
                raise TypeError(f"{name}: all entries must carry a mask or none, got {describe(x)}")
            mask = functools.reduce(operator.and_, (entry.mask for entry in x))
            return Masked(merged(tuple(entry.value for entry in x)), mask)
        return merged(x)

    def merged(x: Any) -> Any:
        arrays = _arrays(name, x)
        if len({a.shape for a in arrays}) > 1:
            raise ValueError(f"{name}: expected arrays of one shape, got {describe(x)}; reshape them first")
        return functools.reduce(operation, arrays)

    return on_any_mesh(stateless(name, None, apply, masked="aware"))


def _arrays(name: str, x: Any) -> tuple[Any, ...]:
    if not isinstance(x, tuple | list) or not x:
        raise TypeError(f"{name}: expected a tuple of arrays, got {describe(x)}; make one with nn.branch")
    if not all(hasattr(a, "dtype") and hasattr(a, "shape") for a in x):
        raise TypeError(f"{name}: expected a tuple of arrays, got {describe(x)}")
    if len({jnp.dtype(a.dtype) for a in x}) > 1:
        raise TypeError(f"{name}: expected arrays of one dtype, got {describe(x)}; cast them first")
    return tuple(x)
