"""Padding that travels with the data."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core._spec import describe


@jax.tree_util.register_pytree_with_keys_class
class Masked:
    """A value and the boolean mask that says which of its positions are real.

    ``mask`` has shape ``[...]``, a prefix of the shape ``[..., features]`` of ``value``: a batch of
    padded sequences ``[batch, time, features]`` has a mask ``[batch, time]``. Pointwise layers and
    elementwise callables keep the mask, layers that mix positions use it, losses and metrics weight
    by it, and every other layer raises rather than forget it.

    Raises:
        TypeError: ``mask`` is not boolean.
        ValueError: the shape of ``mask`` is not a prefix of the shape of ``value``.

    Example:
        >>> import jax.numpy as jnp
        >>> Masked(jnp.ones((2, 3, 4)), jnp.array([[True, True, False], [True, False, False]]))
        Masked(float32[2, 3, 4], bool[2, 3])
    """

    __slots__ = ("mask", "value")

    value: Any
    mask: Any

    def __init__(self, value: Any, mask: Any) -> None:
        if not hasattr(mask, "dtype") or mask.dtype != bool:
            raise TypeError(
                f"Masked: mask must be boolean, got {describe(mask)}; compare, as in tokens != pad_id"
            )
        if value.shape[: mask.ndim] != mask.shape:
            raise ValueError(
                f"Masked: the mask's shape must be a prefix of the value's, got value {describe(value)} "
                f"and mask {describe(mask)}; mark positions, as in tokens != pad_id"
            )
        self.value = value
        self.mask = mask

    def __repr__(self) -> str:
        return describe(self)

    def tree_flatten_with_keys(self) -> tuple[tuple[tuple[Any, Any], ...], None]:
        """Value and mask as children, by attribute name."""
        return (
            (jax.tree_util.GetAttrKey("value"), self.value),
            (jax.tree_util.GetAttrKey("mask"), self.mask),
        ), None

    @classmethod
    def tree_unflatten(cls, _: None, children: tuple[Any, Any]) -> "Masked":
        """Rebuild without checks: transformations put arbitrary objects into trees."""
        masked = object.__new__(cls)
        masked.value, masked.mask = children
        return masked


def has_masked(tree: Any) -> bool:
    """Whether a ``Masked`` stands anywhere in ``tree``."""
    leaves = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, Masked))
    return any(isinstance(leaf, Masked) for leaf in leaves)


def refuse_masked(owner: str, x: Any) -> None:
    """Raise if ``x`` carries a mask that ``owner`` would forget."""
    if has_masked(x):
        raise TypeError(
            f"{owner}: can't honour a mask, got {describe(x)}; pool or select with a layer that uses masks, "
            "or pass x.value if padding may count"
        )


def spread_mask(mask: Any, shape: tuple[int, ...]) -> Any:
    """Broadcast a mask ``[...]`` to a value's shape ``[..., features]``."""
    return jnp.broadcast_to(jnp.expand_dims(mask, tuple(range(mask.ndim, len(shape)))), shape)


def filled(x: Masked, filler: float = 0) -> Any:
    """Return the value with ``filler`` in its padding.

    What stands there, a NaN too, then reaches neither an output nor a gradient, where 0 times a NaN would
    still be one.
    """
    return jnp.where(spread_mask(x.mask, x.value.shape), x.value, jnp.asarray(filler, x.value.dtype))


def check_position_mask(owner: str, x: Masked) -> None:
    """Raise unless the mask marks whole positions ``[...]`` of a value ``[..., features]``."""
    if x.mask.ndim >= x.value.ndim:
        raise ValueError(
            f"{owner}: the mask must mark positions [...] of a value [..., features], got {describe(x)}; "
            "drop the mask's last axis"
        )
