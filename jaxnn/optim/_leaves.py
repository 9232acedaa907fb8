"""Applying an update rule to every leaf of a tree of gradients.

A rule is written for one leaf: ``rule(gradient, *slots, *scalars)`` returns ``(update, *slots)``. Everything that is the
same for all rules happens here: trees are compared and differences named by path, leaves in float16 and bfloat16 are
computed and remembered in float32 (``eps=1e-8`` is zero in float16, and a gradient of 1e-4 squares to zero), scalars are
cast to the leaf's precision, and the update comes back in the precision of the parameter.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.optim._hyper import Scalar

Tree = Any


def zeros(rule: str, params: Tree, value: Scalar = 0.0) -> Tree:
    """Return one slot of optimizer state: a tree like ``params``, filled with ``value``, in float32 or wider.

    Raises:
      TypeError: a leaf is not real floating point.
    """
    check_floating(rule, "parameter", params)
    return jax.tree.map(lambda p: jnp.full_like(p, value, dtype=state_dtype(p)), params)


def zero_count() -> jax.Array:
    """Return the step counter of a new state."""
    return jnp.zeros((), jnp.int32)


def state_dtype(leaf: Any) -> jnp.dtype:
    """Return the precision in which a leaf's state is kept: its own, and never below float32."""
    dtype = jnp.result_type(leaf)
    return jnp.dtype(jnp.float32) if dtype.itemsize < 4 else dtype


def path_name(path: Sequence[Any]) -> str:
    """Return a key path as it is typed, such as ``params['dense_0']['kernel']``."""
    return f"params{jax.tree_util.keystr(tuple(path))}"


def check_floating(rule: str, what: str, tree: Tree) -> None:
    """Raise, naming the path, if a leaf is not real floating point."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        dtype = jnp.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"{rule}: {what} {path_name(path)} has dtype {dtype}, expected real floating point; "
                "leave it out with optax.masked or jaxnn.train.partition"
            )


def check_match(rule: str, what: str, updates: Tree, other: Tree) -> None:
    """Raise, naming the first path that differs, if ``other`` has not the structure and shapes of the gradients."""
    if jax.tree.structure(updates) == jax.tree.structure(other):
        pairs = zip(jax.tree.leaves_with_path(updates), jax.tree.leaves(other), strict=True)
        for (path, gradient), leaf in pairs:
            if jnp.shape(gradient) != jnp.shape(leaf):
                raise ValueError(
                    f"{rule}: the gradient of {path_name(path)} has shape {jnp.shape(gradient)}, "
                    f"but {what} has shape {jnp.shape(leaf)} there"
                )
        return
    ours = [path_name(path) for path, _ in jax.tree.leaves_with_path(updates)]
    theirs = [path_name(path) for path, _ in jax.tree.leaves_with_path(other)]
    extra = [path for path in ours if path not in set(theirs)]
    missing = [path for path in theirs if path not in set(ours)]
    if extra:
        detail = f"the gradients have {extra[0]}, which {what} lacks"
    elif missing:
        detail = f"{what} has {missing[0]}, for which there is no gradient"
    else:
        detail = f"gradients: {jax.tree.structure(updates)}; {what}: {jax.tree.structure(other)}"
    raise ValueError(f"{rule}: the trees differ: {detail}; call init with the tree whose gradients you pass to update")


def need_params(rule: str, params: Tree | None) -> Tree:
    """Return ``params``, or raise with the remedy where they were not given."""
    if params is None:
        raise ValueError(f"{rule}: params are missing; call update(gradients, state, params)")
    return params


def map_leaves(
    rule: str,
    leaf_rule: Callable[..., Any],
    scalars: Sequence[Scalar],
    updates: Tree,
    slots: Sequence[Tree | None] = (),
    params: Tree | None = None,
    extra: Sequence[Tree] = (),
) -> tuple[Tree, ...]:
    """Apply ``leaf_rule`` to every leaf and return the trees of updates and of new slots.

    Args:
      rule: the update rule that messages name.
      leaf_rule: a function of the module, ``(gradient, *slots, *extra, *scalars) -> (update, *slots)`` for one leaf.
      scalars: hyper-parameters and values of this step: floats and switches, or arrays of shape ``[]``.
      updates: the gradients.
      slots: trees of state, of the structure of the gradients, in the order in which ``leaf_rule`` takes and returns them.
        A slot that is not in use is ``None``, and stays so.
      params: the parameters, if they were given: each update has the dtype of its parameter, or of its gradient.
      extra: trees that ``leaf_rule`` reads and does not return, the parameters for instance.

    Raises:
      TypeError: a gradient is not real floating point.
      ValueError: the trees differ.
    """
    check_floating(rule, "the gradient of", updates)
    if params is not None:
        check_match(rule, "params", updates, params)
    for slot in slots:
        if slot is not None:
            check_match(rule, "the optimizer state", updates, slot)
    gradients, treedef = jax.tree.flatten(updates)
    columns = [_column(tree, len(gradients)) for tree in (*slots, *extra)]
    like = gradients if params is None else jax.tree.leaves(params)
    constants = tuple(None if isinstance(s, jax.Array) else s for s in scalars)
    traced = tuple(s for s in scalars if isinstance(s, jax.Array))
    rows = [
        _apply(leaf_rule, jnp.result_type(p), constants, traced, g, *row)
        for p, g, *row in zip(like, gradients, *columns, strict=True)
    ]
    results = list(zip(*rows, strict=True)) if rows else [()] * (1 + len(slots))
    new_slots = (None if slot is None else treedef.unflatten(r) for slot, r in zip(slots, results[1:], strict=True))
    return treedef.unflatten(results[0]), *new_slots


def _column(tree: Tree | None, size: int) -> list[Any]:
    """Return the leaves of one slot, one for each gradient."""
    return [None] * size if tree is None else jax.tree.leaves(tree)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _apply(
    leaf_rule: Callable[..., Any],
    dtype: jnp.dtype,
    constants: tuple[float | bool | None, ...],
    traced: tuple[jax.Array, ...],
    gradient: jax.Array,
    *columns: jax.Array | None,
) -> tuple[jax.Array | None, ...]:
    """Run one leaf. A function of its own, so that leaves of one shape are traced once, and eager use costs one call."""
    wide = next((c.dtype for c in columns if c is not None), state_dtype(gradient))
    moving = iter(traced)
    scalars = [next(moving).astype(wide) if s is None else s for s in constants]
    row = [None if c is None else c.astype(wide) for c in columns]
    update, *slots = leaf_rule(gradient.astype(wide), *row, *scalars)
    return update.astype(dtype), *slots


def safe_divide(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """Divide, with ``0 / 0 = 0``: a coordinate that has seen no gradient does not move, even with ``eps=0``."""
    empty = denominator == 0
    return jnp.where(empty, 0, numerator / jnp.where(empty, 1, denominator))
