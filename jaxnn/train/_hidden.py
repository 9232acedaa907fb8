"""What does not count, by its weight or a mask, kept from what does: from gradients, metrics and state."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import spread_mask


def hidden(tree: Any, parts: Iterable[Any]) -> Any:
    """Put 0 where floats do not count: whatever stands there, a NaN too, then has gradient 0."""
    return _changed(
        tree, parts, jnp.inexact, lambda leaf, real: jnp.where(spread_mask(real, leaf.shape), leaf, 0)
    )


def with_stand_ins(tree: Any, parts: Iterable[Any], kind: Any) -> Any:
    """Put the first entry that counts where numbers of a kind do not: what a loss takes, as 0 may not be."""
    return _changed(tree, parts, kind, lambda leaf, real: _replaced(leaf, real, ~real))


def _changed(tree: Any, parts: Iterable[Any], kind: Any, change: Callable[[Any, Any], Any]) -> Any:
    def one(leaf: Any, real: Any) -> Any:
        fits = hasattr(leaf, "shape") and leaf.shape[: real.ndim] == real.shape
        return change(leaf, real) if fits and jnp.issubdtype(leaf.dtype, kind) else leaf

    for real in parts:
        if real is not None:
            tree = jax.tree.map(functools.partial(one, real=real), tree)
    return tree


def without_poison(inputs: Any, real: Any) -> Any:
    """Let inputs that count stand in for those that don't and are not finite, or ids that no table may have.

    A gradient of 0 times NaN would be NaN, and a 0 in its place could be one that the model divides by. What
    is finite stays, since it may bear on what counts: on statistics of the batch, on later positions. So do
    ids, unless their whole example weighs nothing.
    """
    examples = jnp.any(real.reshape(real.shape[0], -1), 1) if real.ndim else real

    def one(leaf: Any) -> Any:
        if not hasattr(leaf, "shape") or not leaf.ndim or leaf.shape[: examples.ndim] != examples.shape:
            return leaf
        if jnp.issubdtype(leaf.dtype, jnp.integer):
            return _replaced(leaf, examples, ~examples)
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            return leaf
        counts = real if leaf.shape[: real.ndim] == real.shape else examples
        # One number a position may be an additive mask, whose infinities mean something.
        wrong = jnp.isnan(leaf) if leaf.ndim == real.ndim > 1 else ~jnp.isfinite(leaf)
        wrong = jnp.any(wrong, range(counts.ndim, leaf.ndim))
        return _replaced(leaf, counts, wrong & ~counts)

    return jax.tree.map(one, inputs)


def _replaced(leaf: Any, counts: Any, where: Any) -> Any:
    """``leaf`` with its first entry that counts, 0 if none does, in the places that ``where`` marks."""
    leaf, rest = jnp.asarray(leaf), leaf.shape[counts.ndim :]
    first = leaf.reshape(-1, *rest)[jnp.argmax(counts.ravel())] if leaf.size else jnp.zeros(rest, leaf.dtype)
    first = jnp.where(jnp.any(counts), first, jnp.zeros((), leaf.dtype))
    return jnp.where(spread_mask(where, leaf.shape), jnp.broadcast_to(first, leaf.shape), leaf)
