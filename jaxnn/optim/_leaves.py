"""Applying an update rule to every leaf of a tree of gradients.

A rule is written for one leaf: ``rule(gradient, *slots, *scalars)`` returns ``(update, *slots)``. What is
the same for all rules happens here: leaves in float16 and bfloat16 are computed and remembered in float32
(in float16 ``eps=1e-8`` is zero, and so is the square of a gradient of 1e-4), scalars are cast to the leaf's
precision, and the update comes back in the precision of the parameter.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from jaxnn.optim import _trees
from jaxnn.optim._hyper import Scalar

Tree = Any
Column = Sequence[jax.Array | None]

_BUNDLE = 10


def transformation(
    init: Callable[..., Any], update: Callable[..., tuple[Tree, Any]]
) -> optax.GradientTransformationExtraArgs:
    """Return the transformation of two functions, which ignores extra arguments that it has no use for."""
    return optax.with_extra_args_support(optax.GradientTransformation(init, update))


def transformation_with_extra_args(
    init: Callable[..., Any], update: Callable[..., tuple[Tree, Any]]
) -> optax.GradientTransformationExtraArgs:
    """Return the transformation of two functions, the second of which is given extra arguments."""
    return optax.GradientTransformationExtraArgs(init, update)


def zeros(rule: str, params: Tree, value: Scalar = 0.0) -> Tree:
    """Return one slot of optimizer state: a tree like ``params``, filled with ``value``, in float32 or wider.

    Raises:
      TypeError: a leaf is not real floating point.
    """
    _trees.check_floating(rule, "the parameter", params)
    return jax.tree.map(lambda p: jnp.full_like(p, value, dtype=state_dtype(p)), params)


def zero_step() -> jax.Array:
    """Return the step counter of a new state."""
    return jnp.zeros((), jnp.int32)


def state_dtype(leaf: Any) -> jnp.dtype:
    """Return the precision in which a leaf's state is kept: its own, and never below float32."""
    dtype = jnp.result_type(leaf)
    return jnp.dtype(jnp.float32) if dtype.itemsize < 4 else dtype


def map_leaves(
    rule: str,
    leaf_rule: Callable[..., Any],
    scalars: Sequence[Any],
    updates: Tree,
    slots: Sequence[Tree | None] = (),
    params: Tree | None = None,
    columns: Sequence[Column] = (),
    same_shape: bool = True,
) -> tuple[Tree, ...]:
    """Apply ``leaf_rule`` to every leaf and return the trees of updates and of new slots.

    Args:
      rule: the update rule that messages name.
      leaf_rule: ``(gradient, *slots, *columns, *scalars) -> (update, *slots)`` for one leaf. A function of a
        module and not a closure, so that it is traced once for leaves of one shape.
      scalars: hyper-parameters and values of this step, static or arrays of shape ``[]``.
      updates: the gradients.
      slots: trees of state, in the order in which ``leaf_rule`` takes and returns them. A slot that is not
        in use is ``None``, and stays so.
      params: the parameters, if they were given: each update has the dtype of its parameter, or of its
        gradient.
      columns: what else ``leaf_rule`` reads: for each, one array (or ``None``) for each leaf.
      same_shape: whether a slot has the shape of its parameter. Otherwise it may be ``None`` for a leaf, too.

    Raises:
      TypeError: a gradient is not real floating point.
      ValueError: the trees differ.
    """
    _trees.check_floating(rule, "the gradient of", updates)
    gradients, treedef = jax.tree.flatten(updates)
    like = gradients if params is None else _trees.matching(rule, "params", updates, params)
    state = [
        [None] * len(gradients)
        if slot is None
        else _trees.matching(rule, "the state", updates, slot, same_shape)
        for slot in slots
    ]
    rows = list(zip(gradients, *state, *columns, strict=True))
    dtypes = [jnp.result_type(p) for p in like]
    constants = tuple(... if isinstance(s, jax.Array) else s for s in scalars)
    traced = tuple(s for s in scalars if isinstance(s, jax.Array))
    fixed = leaf_rule, constants, traced
    if len(rows) == 1 and isinstance(gradients[0], Tracer):
        # A lone leaf inside someone else's compilation is spared the call; many share one traced body.
        results = [_leaf(*fixed, dtypes[0], rows[0])]
    else:
        results = _in_bundles(fixed, dtypes, rows)
    new = list(zip(*results, strict=True)) if results else [()] * (1 + len(slots))
    return tuple(
        None if slot is None else treedef.unflatten(leaves)
        for slot, leaves in zip((updates, *slots), new, strict=True)
    )


def _in_bundles(fixed: tuple[Any, ...], dtypes: Sequence[Any], rows: Sequence[Any]) -> list[Any]:
    """Run all leaves. In a compilation, up to ten that are alike share a call, which halves its tracing."""
    alike: dict[Any, list[int]] = {}
    for number, (dtype, row) in enumerate(zip(dtypes, rows, strict=True)):
        kinds = tuple(None if r is None else (jnp.shape(r), jnp.result_type(r)) for r in row)
        # Outside of compilations a bundle would be compiled, which takes ten times as long as one leaf.
        alike.setdefault((dtype, kinds) if isinstance(row[0], Tracer) else number, []).append(number)
    results: list[Any] = [None] * len(rows)
    for numbers in alike.values():
        for first in range(0, len(numbers), _BUNDLE):
            bundle = numbers[first : first + _BUNDLE]
            found = _compiled_leaves(*fixed, dtypes[bundle[0]], [rows[number] for number in bundle])
            for number, result in zip(bundle, found, strict=True):
                results[number] = result
    return results


def _leaves(
    leaf_rule: Callable[..., Any],
    constants: tuple[Any, ...],
    traced: tuple[jax.Array, ...],
    dtype: jnp.dtype,
    rows: Sequence[Any],
) -> list[tuple[jax.Array | None, ...]]:
    """Run a bundle of leaves."""
    return [_leaf(leaf_rule, constants, traced, dtype, row) for row in rows]


# Compiled by itself, so that a rule used eagerly costs one call a leaf.
_compiled_leaves = jax.jit(_leaves, static_argnums=(0, 1, 3))


def _leaf(
    leaf_rule: Callable[..., Any],
    constants: tuple[Any, ...],
    traced: tuple[jax.Array, ...],
    dtype: jnp.dtype,
    gradient_and_row: Sequence[Any],
) -> tuple[jax.Array | None, ...]:
    """Run one leaf."""
    gradient, *row = gradient_and_row
    wide = max(state_dtype(gradient), dtype, key=lambda d: d.itemsize)
    moving = iter(traced)
    scalars = [_cast(next(moving), wide) if s is ... else s for s in constants]
    wide_row = [None if r is None else r.astype(wide) for r in row]
    update, *slots = leaf_rule(gradient.astype(wide), *wide_row, *scalars)
    kept = (s if r is None else s.astype(r.dtype) for s, r in zip(slots, row, strict=False))
    return update.astype(dtype), *kept


def _cast(scalar: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Return a number in a leaf's precision, and a truth value as it is."""
    return scalar.astype(dtype) if jnp.issubdtype(scalar.dtype, jnp.floating) else scalar


def divide(numerator: jax.Array, denominator: jax.Array, eps: Scalar) -> jax.Array:
    """Divide, with ``0 / 0 = 0``: a coordinate that has seen no gradient does not move.

    Args:
      numerator: of any shape.
      denominator: zero or more, of the same shape.
      eps: what keeps the denominator from zero. The guard costs compilation time, and is left out where
        ``eps`` is known not to vanish in float32.
    """
    if isinstance(eps, float) and eps >= 1e-30:
        return numerator / denominator
    empty = denominator == 0
    return jnp.where(empty, 0, numerator / jnp.where(empty, 1, denominator))


def trust_ratio(p: jax.Array, step: jax.Array, eps: Scalar, coefficient: Scalar = 1.0) -> jax.Array:
    """Return ``coefficient * norm(p) / (norm(step) + eps)``, of shape ``[]``; one where a norm is zero."""
    length, step_length = jnp.sqrt(jnp.sum(p * p)), jnp.sqrt(jnp.sum(step * step))
    empty = (length == 0) | (step_length == 0)
    return jnp.where(empty, 1, coefficient * length / jnp.where(empty, 1, step_length + eps))
