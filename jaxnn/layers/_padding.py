"""Padding inside layers: whatever stands there, a NaN too, reaches neither an output nor a gradient."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxnn.core import Layer, Masked, stateless


def spread_mask(mask: Any, shape: tuple[int, ...]) -> Any:
    """Broadcast a mask ``[...]`` to a value's shape ``[..., features]``."""
    return jnp.broadcast_to(jnp.expand_dims(mask, tuple(range(mask.ndim, len(shape)))), shape)


def clear_padding(x: Masked) -> Any:
    """Return the value with 0 in its padding; 0 times a NaN would still be one in a parameter's gradient."""
    return jnp.where(spread_mask(x.mask, x.value.shape), x.value, 0)


def pointwise(
    name: str, init: Callable[[Any, Any], dict[str, Any]] | None, apply: Callable[[Any, Any], Any]
) -> Layer:
    """Lift functions of one position's features; a ``Masked`` input is cleared and keeps its mask."""

    def init_value(key: Any, x: Any) -> dict[str, Any]:
        value = x.value if isinstance(x, Masked) else x
        return init(key, value) if init is not None else {}

    def apply_value(params: Any, x: Any) -> Any:
        if isinstance(x, Masked):
            return Masked(apply(params, clear_padding(x)), x.mask)
        return apply(params, x)

    return stateless(name, init_value, apply_value, masked="aware")
