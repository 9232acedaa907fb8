"""What every conversion needs: the leaves that a layer wants, and arrays of NumPy or JAX put together."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import PlacedLayer, tree_specs


def wanted_leaves(layer: PlacedLayer) -> dict[str, tuple[str, Any]]:
    """Return the tree and the spec of each leaf of one copy of a layer, by its path in the layer."""
    return {
        ".".join(str(key.key) for key in keys): (tree, leaf)
        for tree, specs in zip(("params", "state"), tree_specs(layer.plan), strict=True)
        for keys, leaf in jax.tree_util.tree_leaves_with_path(specs)
    }


def insert(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Put ``value`` at ``path``, making the dicts on the way."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def without_leading(value: Any, axes: int) -> Any:
    """Leave out axes of length one in front, until ``axes`` are left."""
    while value.ndim > axes and value.shape[0] == 1:
        value = value[0]
    return value


def joined(parts: list[Any], axis: int) -> Any:
    """Concatenate; NumPy stays NumPy, and with it float64 where JAX has none."""
    return _library(parts).concatenate(parts, axis)


def split(whole: Any, cuts: list[int]) -> list[Any]:
    """Cut the last axis at ``cuts``."""
    return _library([whole]).split(whole, cuts, -1)


def stacked(parts: list[Any]) -> Any:
    """Stack on a new first axis."""
    return _library(parts).stack(parts)


def _library(parts: list[Any]) -> Any:
    return np if all(isinstance(part, np.ndarray) for part in parts) else jnp
