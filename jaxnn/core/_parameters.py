"""Trees of arrays against what a layer declares: names, shapes, kinds of dtype.

A product with a kernel of other sizes, a broadcast with a bias of one number: both give values, and wrong
ones. What is checked is known while a function is traced, so that a compiled one pays nothing.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core._probe import PROBE
from jaxnn.core._spec import describe

Axes = tuple[int | str, ...]


def check_entries(owner: str, tree: Any, names: tuple[str, ...], what: str = "params") -> None:
    """Raise unless ``tree`` is a dict that holds exactly ``names``."""
    if not isinstance(tree, Mapping):
        held = f" with {_listed(names)}" if names else ""
        raise TypeError(
            f"{owner}: expected {what} as a dict{held}, got {describe(tree)}; "
            "pass the tree that init returned for this model"
        )
    if set(tree) - {PROBE} != set(names):
        raise ValueError(
            f"{owner}: expected {what} with {_listed(names)}, got {_listed(sorted(tree, key=str))}; "
            "pass the tree that init returned for this model"
        )


def check_children(owner: str, tree: Any, names: tuple[str, ...], what: str) -> None:
    """Raise if ``tree`` is no dict of trees, or has an entry for a child that does not exist."""
    if not isinstance(tree, Mapping):
        raise TypeError(
            f"{owner}: expected {what} as a dict with an entry for each child, got {describe(tree)}; "
            "pass the tree that init returned for this model"
        )
    unknown = sorted(set(tree) - {PROBE, *names}, key=str)
    if unknown:
        raise ValueError(
            f"{owner}: {what} has entries for no child of this model: {_listed(unknown)}; "
            f"its children are {_listed(names)}"
        )


def check_params(
    owner: str, tree: Any, shapes: Mapping[str, Axes], what: str = "params", kind: Any = jnp.inexact
) -> dict[str, int]:
    """Raise unless ``tree`` holds exactly the named arrays, in the shapes that the layer declares.

    Args:
        owner: the layer's name.
        tree: its part of ``params`` or ``state``.
        shapes: of each array. A name in place of a size is an axis of any size, and of the same size
            wherever it stands: ``{"kernel": ("in", 8), "bias": (8,)}``.
        what: which tree it is.
        kind: what the dtypes must be; any precision will do.

    Returns:
        The sizes of the named axes.

    Raises:
        TypeError: ``tree`` is no dict, or an entry is no array, or not of that kind.
        ValueError: an entry is missing, too much, or of another shape.
    """
    check_entries(owner, tree, tuple(shapes), what)
    sizes: dict[str, int] = {}
    for name, axes in shapes.items():
        leaf = tree[name]
        if not _is_array(leaf):
            raise TypeError(
                f"{owner}: expected {name} as an array {_written(axes, sizes)} in {what}, got "
                f"{describe(leaf)}; pass the tree that init returned for this model"
            )
        if not jnp.issubdtype(leaf.dtype, kind):
            wanted = "floating-point" if kind is jnp.inexact else kind.__name__.rstrip("_")
            raise TypeError(
                f"{owner}: expected {name} in {what} to be {wanted}, got {describe(leaf)}; "
                "pass the tree that init returned for this model"
            )
        found = dict(zip(axes, leaf.shape, strict=False))
        fits = len(axes) == len(leaf.shape) and all(
            size == (sizes.get(axis, size) if isinstance(axis, str) else axis)
            for axis, size in zip(axes, leaf.shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"{owner}: expected {name} {_written(axes, sizes)} in {what}, got {describe(leaf)}; "
                "pass the tree that init returned for this model"
            )
        sizes |= {axis: size for axis, size in found.items() if isinstance(axis, str)}
    return sizes


def check_arrays(owner: str, tree: Any, what: str = "params") -> None:
    """Raise unless ``tree`` is nested dicts of arrays, which a wrapper may hand to JAX."""
    if not isinstance(tree, Mapping):
        check_entries(owner, tree, (), what)
    for keys, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not _is_array(leaf):
            place = ".".join(str(getattr(key, "key", key)) for key in keys)
            raise TypeError(
                f"{owner}: expected {place} as an array in {what}, got {describe(leaf)}; "
                "pass the tree that init returned for this model"
            )


def _is_array(leaf: Any) -> bool:
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return False
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype") and hasattr(leaf, "astype")


def _written(axes: Axes, sizes: Mapping[str, int]) -> str:
    known = (sizes.get(axis, axis) if isinstance(axis, str) else axis for axis in axes)
    return f"[{', '.join(map(str, known))}]"


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names)) if names else "nothing"
