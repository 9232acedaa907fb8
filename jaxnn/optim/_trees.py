"""Trees of gradients, parameters and state: whether they match, and at which leaf they do not."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

Tree = Any
Mask = Tree | Callable[[Tree], Tree] | None


def path_name(path: Sequence[Any]) -> str:
    """Return a key path as it is typed, such as ``params['dense_0']['kernel']``."""
    return f"params{jax.tree_util.keystr(tuple(path))}"


def check_floating(rule: str, what: str, tree: Tree) -> None:
    """Raise, naming the path, if a leaf is not real floating point."""
    leaves = jax.tree.leaves(tree)
    dtypes = [leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf) for leaf in leaves]
    if all(jnp.issubdtype(dtype, jnp.floating) for dtype in set(dtypes)):
        return
    for (path, _), dtype in zip(jax.tree.leaves_with_path(tree), dtypes, strict=True):
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"{rule}: {what} {path_name(path)} has dtype {dtype}, expected real floating point; "
                "leave the leaf out with optax.masked or jaxnn.train.partition"
            )


def matching(rule: str, what: str, updates: Tree, other: Tree, same_shape: bool = True) -> list[Any]:
    """Return the leaves of ``other``, one for each gradient.

    Args:
      rule: the update rule that messages name.
      what: what ``other`` is called in messages.
      updates: the gradients.
      other: a tree of the same structure.
      same_shape: whether leaves must have the gradient's shape; otherwise a leaf may be ``None``, too.

    Raises:
      ValueError: structures or shapes differ; the message names the first path at which they do.
    """
    gradients, treedef = jax.tree.flatten(updates)
    if not same_shape:
        try:
            return treedef.flatten_up_to(other)
        except ValueError as error:
            raise ValueError(_difference(rule, what, updates, other)) from error
    leaves, other_treedef = jax.tree.flatten(other)
    if treedef != other_treedef:
        raise ValueError(_difference(rule, what, updates, other))
    for number, (gradient, leaf) in enumerate(zip(gradients, leaves, strict=True)):
        if jnp.shape(gradient) != jnp.shape(leaf):
            path, _ = jax.tree.leaves_with_path(updates)[number]
            raise ValueError(
                f"{rule}: the gradient of {path_name(path)} has shape {jnp.shape(gradient)}, "
                f"but {what} there has shape {jnp.shape(leaf)}"
            )
    return leaves


def _difference(rule: str, what: str, updates: Tree, other: Tree) -> str:
    """Say at which path two trees differ first, and what to do."""
    ours, theirs = ([path_name(path) for path, _ in _with_none(tree)] for tree in (updates, other))
    detail = f"{jax.tree.structure(updates)} against {jax.tree.structure(other)}"
    if extra := [path for path in ours if path not in theirs]:
        detail = f"there is a gradient of {extra[0]}, which {what} lacks"
    elif missing := [path for path in theirs if path not in ours]:
        detail = f"{what} has {missing[0]}, of which there is no gradient"
    remedy = "call init with the tree whose gradients you pass to update"
    return f"{rule}: the trees of the gradients and of {what} differ: {detail}; {remedy}"


def _with_none(tree: Tree) -> list[tuple[Any, Any]]:
    """Return paths and leaves, ``None`` among them."""
    return jax.tree.leaves_with_path(tree, is_leaf=lambda x: x is None)


def check_slots(
    rule: str, updates: Tree, slots: Sequence[Tree], make: Callable[[Any], tuple[jax.Array | None, ...]]
) -> None:
    """Raise, naming the path, if slots that differ from leaf to leaf were made for leaves of other shapes.

    Args:
      rule: the update rule that messages name.
      updates: the gradients.
      slots: trees of state, in which a leaf may be ``None``.
      make: the slots of one leaf, as ``init`` makes them.
    """
    columns = (matching(rule, "the state", updates, slot, same_shape=False) for slot in slots)
    for (path, g), *found in zip(jax.tree.leaves_with_path(updates), *columns, strict=True):
        wanted = jax.eval_shape(make, g)
        if [getattr(s, "shape", None) for s in found] != [getattr(s, "shape", None) for s in wanted]:
            raise ValueError(
                f"{rule}: the gradient of {path_name(path)} has shape {jnp.shape(g)}, but the state there "
                "was made for another; call init with the tree whose gradients you pass to update"
            )


def need_params(rule: str, params: Tree | None) -> Tree:
    """Return ``params``, or raise with the remedy where they were not given."""
    if params is None:
        raise ValueError(
            f"{rule}: params are missing, and this rule needs them; call update(gradients, state, params)"
        )
    return params


def _makes_mask(mask: Any) -> bool:
    """Whether ``mask`` is a function of the parameters; a tree of bools can be callable, as a module is.

    As Optax has it, what holds leaves is a tree, unless all of them are functions; ``jax.tree_util.Partial``,
    whose leaves are its arguments, is a function all the same.
    """
    if isinstance(mask, jax.tree_util.Partial):
        return True
    leaves = jax.tree.leaves(mask)
    return callable(mask) and bool(leaves) and all(map(callable, leaves))


def masked(rule: str, params: Tree, mask: Mask, name: str = "mask") -> list[jax.Array | None]:
    """Return the leaves of ``params``, with ``None`` for those that ``mask`` leaves out.

    Args:
      rule: the update rule that messages name.
      params: a tree of arrays.
      mask: a tree of bools, of which ``params`` may be an extension; a function that makes one from
        ``params``; or ``None`` for all.
      name: the argument that messages name.

    Raises:
      TypeError: a leaf of the mask is not a concrete truth value.
      ValueError: ``params`` are no extension of the mask.
    """
    if mask is None:
        return jax.tree.leaves(params)
    chosen: Any = mask
    if _makes_mask(mask):
        chosen = chosen(params)
    for path, flag in jax.tree.leaves_with_path(chosen):
        plain = isinstance(flag, (bool, int, np.bool_, np.ndarray, jax.Array)) and np.ndim(flag) == 0
        if isinstance(flag, Tracer) or not plain:
            remedy = "a mask is static and cannot be traced" if isinstance(flag, Tracer) else "pass bools"
            raise TypeError(
                f"{rule}: {name} must hold True or False, got {flag!r} for {path_name(path)}; {remedy}"
            )
    try:
        kept = jax.tree.map(lambda m, p: [leaf if m else None for leaf in jax.tree.leaves(p)], chosen, params)
    except ValueError as error:
        raise ValueError(
            f"{rule}: {name} must be a tree of bools like the parameters, or a prefix of it, got "
            f"{jax.tree.structure(chosen)} for {jax.tree.structure(params)}; give a function that makes it"
        ) from error
    return jax.tree.leaves(kept, is_leaf=lambda x: x is None)
