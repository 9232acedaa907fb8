"""The weights of linen and nnx as one flat dict of arrays by path, and back into what they came from."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.core import describe

Flat = dict[str, Any]


class FlaxTree(NamedTuple):
    """Weights of Flax, flat.

    Attributes:
        source: what they came from: linen variables, a dict of nnx, an ``nnx.State`` or an ``nnx.Module``.
        leaves: arrays by path, without linen's name of the collection.
        learned: paths of those that are parameters.
        homes: the path of each in ``source``, with the collection and nnx's own keys.
    """

    source: Any
    leaves: Flat
    learned: frozenset[str]
    homes: dict[str, tuple[Any, ...]]

    def rebuild(self, leaves: Flat) -> Any:
        """Return what ``source`` is, with these arrays in it; ``source`` stays as it is."""
        if is_nnx(self.source):
            return _nnx_rebuilt(self.source, {self.homes[path]: leaf for path, leaf in leaves.items()})
        tree: dict[Any, Any] = {}
        for path, leaf in leaves.items():
            *parents, last = self.homes[path]
            node = tree
            for name in parents:
                node = node.setdefault(name, {})
            node[last] = leaf
        return tree


def is_nnx(source: Any) -> bool:
    """Whether ``source`` is a module or a state of nnx, without importing Flax for what is not."""
    return is_flax(source, "nnx")


def is_flax(thing: Any, library: str) -> bool:
    """Whether ``thing`` is an object of ``flax.linen`` or ``flax.nnx``, or of a class made of theirs."""
    classes = () if isinstance(thing, type) else type(thing).__mro__
    return any(base.__module__.startswith(f"flax.{library}") for base in classes)


def flax_tree(owner: str, source: Any) -> FlaxTree:
    """Flatten linen variables (or their parameters alone), an ``nnx.Module`` or an ``nnx.State``.

    Raises:
        TypeError: it is none of these.
        ValueError: two collections have an array at one path.
    """
    if is_nnx(source):
        found = [(path, variable.get_value(), kind) for path, variable, kind in _nnx_variables(source)]
    elif isinstance(source, Mapping):
        found = [
            (path, leaf, path[0] == "params" or "params" not in source)
            for path, leaf in _linen_leaves(source)
        ]
    else:
        raise TypeError(
            f"{owner}: expected the variables of linen, as module.init(key, x) gives, or an nnx.Module, got "
            f"{describe(source)}"
        )
    collections = isinstance(source, Mapping) and "params" in source and not is_nnx(source)
    leaves: Flat = {}
    homes: dict[str, tuple[Any, ...]] = {}
    learned: set[str] = set()
    for home, leaf, is_learned in found:
        path = ".".join(map(str, home[1:] if collections else home))
        if path in leaves:
            raise ValueError(f"{owner}: two collections have an array at {path!r}; pass one of them")
        leaves[path], homes[path] = leaf, home
        if is_learned:
            learned.add(path)
    return FlaxTree(source, leaves, frozenset(learned), homes)


def _linen_leaves(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    if isinstance(tree, Mapping):
        return [pair for name, node in tree.items() for pair in _linen_leaves(node, (*path, name))]
    # Flax boxes arrays that carry names of axes.
    return [(path, tree.unbox() if hasattr(tree, "unbox") else tree)]


def _nnx_variables(source: Any) -> list[tuple[tuple[Any, ...], Any, bool]]:
    """Path, variable and whether it is a parameter; random streams left out."""
    from flax import nnx

    state = source if isinstance(source, nnx.State) else nnx.state(source)
    return [
        (path, variable, isinstance(variable, nnx.Param))
        for path, variable in nnx.to_flat_state(state)
        if not isinstance(variable, nnx.RngState)
    ]


def _nnx_rebuilt(source: Any, leaves: dict[tuple[Any, ...], Any]) -> Any:
    from flax import nnx

    # A copy of every variable, so that neither the module nor the state that was given changes; of JAX's
    # arrays, because nnx updates them by index.
    state = source if isinstance(source, nnx.State) else nnx.state(source)
    copy = jax.tree.map(lambda leaf: leaf, state)
    new = nnx.from_flat_state(
        {
            path: v.replace(jnp.asarray(leaves[path])) if path in leaves else v
            for path, v in nnx.to_flat_state(copy)
        }
    )
    return new if isinstance(source, nnx.State) else nnx.merge(nnx.graphdef(source), new)
