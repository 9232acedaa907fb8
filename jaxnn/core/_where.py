"""Choosing leaves by their path."""

import fnmatch
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax

from jaxnn.core._spec import describe

Where = str | Sequence[str] | Callable[..., bool]


def chooser(owner: str, where: Where) -> Callable[[str, Any], bool]:
    """Return ``(path, leaf) -> bool`` of a pattern such as ``"head.*"``, several, or a function.

    A function takes the path, ``"stem.dense_0.kernel"``, or the path and the leaf.

    Raises:
        TypeError: ``where`` is none of these.
    """
    if callable(where) and not _is_tree(where):
        try:
            inspect.signature(where).bind("path", None)
        except TypeError:
            return lambda path, _: bool(where(path))
        return lambda path, leaf: bool(where(path, leaf))
    patterns: tuple[Any, ...] = (where,)
    if isinstance(where, Iterable) and not isinstance(where, str) and not _is_tree(where):
        patterns = tuple(where)
    if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(
            f"{owner}: expected a pattern of paths such as 'head.*', several, or a function of the path, "
            f"got {describe(where)}"
        )
    return lambda path, _: any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _is_tree(where: Any) -> bool:
    """Whether ``where`` is a tree, as a mask of bools is, whatever else it can be used for."""
    if isinstance(where, list | tuple | jax.tree_util.Partial):
        return False
    return not jax.tree_util.all_leaves([where])


def named_leaves(owner: str, tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested dicts with their dotted paths.

    Raises:
        TypeError: ``tree`` is not a dict.
    """
    if not isinstance(tree, dict):
        raise TypeError(f"{owner}: parameters must be nested dicts, got {describe(tree)}")
    for name, node in tree.items():
        here = f"{path}.{name}" if path else name
        if isinstance(node, dict):
            yield from named_leaves(owner, node, here)
        else:
            yield here, node
