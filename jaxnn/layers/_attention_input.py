"""What attention is given: a sequence, a memory, masks; and the one mask that they come to."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Masked,
    check_floating,
    check_min_rank,
    describe,
    filled,
    positive_int,
    refuse_masked,
    spread_mask,
)


class Heads(NamedTuple):
    """Sizes of the heads, and which positions may see which.

    Attributes:
        heads: of the queries.
        kv_heads: of keys and values.
        head_dim: features of a head, or ``None`` for a share of the input's.
        mask: ``(query_positions, key_positions) -> bool``, or ``None``.
    """

    heads: int
    kv_heads: int
    head_dim: int | None
    mask: Callable[[Any, Any], Any] | None

    @classmethod
    def checked(
        cls, num_heads: Any, kv_heads: Any, head_dim: Any, causal: Any, mask: Callable[[Any, Any], Any] | None
    ) -> "Heads":
        """Check the constructor's arguments."""
        heads = positive_int("attention", "num_heads", num_heads)
        kv = heads if kv_heads is None else positive_int("attention", "kv_heads", kv_heads)
        if kv > heads or heads % kv:
            raise ValueError(
                f"attention: kv_heads must divide num_heads, got kv_heads={kv} and num_heads={heads}; each "
                "head of keys and values serves num_heads / kv_heads heads of queries, so use one of "
                f"{', '.join(str(n) for n in range(1, heads + 1) if heads % n == 0)}"
            )
        if not isinstance(causal, bool):
            raise TypeError(f"attention: causal must be a Python bool, got {describe(causal)}")
        if mask is not None and not callable(mask):
            raise TypeError(
                "attention: mask must be a function (query_positions, key_positions) -> bool, got "
                f"{describe(mask)}; pass an array with the input, as in (x, None, mask)"
            )
        return cls(
            heads, kv, None if head_dim is None else positive_int("attention", "head_dim", head_dim), mask
        )

    def width(self, x: Any) -> int:
        """Features of a head for input ``x``."""
        if self.head_dim is not None:
            return self.head_dim
        if not x.shape[-1]:
            raise ValueError(
                f"attention: expected at least one feature in [batch, time, features], got {describe(x)}; "
                "pass head_dim to choose the size of a head yourself"
            )
        if x.shape[-1] % self.heads:
            raise ValueError(
                f"attention: num_heads must divide the input's features, got num_heads={self.heads} and "
                f"{describe(x)}; pass head_dim to choose the size of a head yourself"
            )
        return x.shape[-1] // self.heads

    def allowed(self, query: Any, key: Any) -> Any:
        """The constructor's mask for positions ``[time, 1]`` and ``[1, source]``."""
        shape = (query.shape[0], key.shape[1])
        found = jnp.asarray(True if self.mask is None else self.mask(query, key))
        if (
            found.dtype != bool
            or found.ndim not in (0, 2)
            or any(m not in (1, n) for m, n in zip(found.shape, shape, strict=False))
        ):
            raise ValueError(
                f"attention: mask(query_positions, key_positions) must give booleans {list(shape)}, got "
                f"{describe(found)}; compare the positions, as in query - key < 128"
            )
        return jnp.broadcast_to(found, shape)


class Inputs(NamedTuple):
    """A sequence, what it attends to, and the masks of both.

    Attributes:
        x: ``[..., time, features]``, zeros in its padding.
        memory: the same for the memory, or ``None`` for self attention.
        mask: of ``x``, ``[..., time]`` or ``None``.
        memory_mask: of what is attended to, ``[..., source]`` or ``None``.
        pairs: the mask given with the input, ``[..., time, source]`` or with ``heads`` before, or ``None``.
    """

    x: Any
    memory: Any
    mask: Any
    memory_mask: Any
    pairs: Any


def read_inputs(given: Any) -> Inputs:
    """Take apart ``x``, ``(x, memory)`` or ``(x, memory, mask)``."""
    parts = given if isinstance(given, tuple | list) else (given,)
    if not 1 <= len(parts) <= 3:
        raise TypeError(
            f"attention: expected x, (x, memory) or (x, memory, mask), got {len(parts)} entries: "
            f"{describe(given)}"
        )
    x, memory, pairs = (*parts, None, None)[:3]
    value, mask = _clean(x)
    if memory is None:
        memory_value, memory_mask = None, mask
    else:
        memory_value, memory_mask = _clean(memory)
        if memory_value.shape[:-2] != value.shape[:-2]:
            raise ValueError(
                f"attention: x and memory must have the same leading axes, got {describe(value)} and "
                f"{describe(memory_value)}"
            )
    refuse_masked("attention", pairs)
    return Inputs(value, memory_value, mask, memory_mask, pairs)


def _clean(x: Any) -> tuple[Any, Any]:
    """The value with zeros in its padding, so that a NaN there reaches no gradient; and its mask."""
    value, mask = (x.value, x.mask) if isinstance(x, Masked) else (x, None)
    refuse_masked("attention", value)
    check_floating("attention", value)
    check_min_rank("attention", value, 2, "[..., time, features]")
    if mask is None:
        return value, None
    if mask.ndim > value.ndim - 1:
        raise ValueError(f"attention: a mask of positions can't tell features apart, got {describe(x)}")
    if isinstance(value, jax.ShapeDtypeStruct):
        return value, mask
    return filled(x), spread_mask(mask, value.shape[:-1])


def full_mask(given: Inputs, heads: Heads, time: int, source: int) -> Any:
    """All masks together, with the axes ``[..., heads or 1, time or 1, source]``; ``None`` for none."""
    masks = []
    lead = given.x.ndim - 2
    if given.memory_mask is not None:
        masks.append(given.memory_mask[..., None, None, :])
    if heads.mask is not None:
        here, there = jnp.arange(time, dtype=jnp.int32)[:, None], jnp.arange(source, dtype=jnp.int32)[None, :]
        masks.append(heads.allowed(here, there).reshape((1,) * (lead + 1) + (time, source)))
    if given.pairs is not None:
        masks.append(_pairs(given.pairs, given.x.shape[:-2], heads.heads, time, source))
    if not masks:
        return None
    shape = jnp.broadcast_shapes(*(m.shape for m in masks))
    first, *rest = (jnp.broadcast_to(m, shape) for m in masks)
    for other in rest:
        first &= other
    return first


def _pairs(mask: Any, batch: tuple[int, ...], heads: int, time: int, source: int) -> Any:
    shape, lead = mask.shape, len(batch)
    if mask.dtype != bool:
        raise TypeError(f"attention: a mask must be boolean, got {describe(mask)}; compare, as in mask > 0")
    if mask.ndim == 2:
        mask = mask.reshape((1,) * (lead + 1) + shape)
    elif mask.ndim == lead + 2:
        mask = mask[..., None, :, :]
    full = (*batch, heads, time, source)
    if mask.ndim != len(full) or any(m not in (1, n) for m, n in zip(mask.shape, full, strict=True)):
        raise ValueError(
            f"attention: a mask must be [time, source] = {[time, source]}, [..., time, source] = "
            f"{[*batch, time, source]} or [..., heads, time, source] = {list(full)}, where any axis may be "
            f"1, got {describe(mask) if mask.ndim == len(shape) else list(shape)}"
        )
    return mask
