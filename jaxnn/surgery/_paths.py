"""Leaves and sub-trees by dotted path: ``stem.dense_0.kernel``.

Trees are nested dicts, so reading one is indexing; what these add are errors that name the path and the
nearest name, and copies instead of mutation, where Equinox needs ``tree_at`` with a lambda for each place.
"""

from typing import Any

import jax

from jaxnn.core import describe, nearest, spec_of

Tree = dict[str, Any]


def get(tree: Tree, path: str) -> Any:
    """Return the leaf or the sub-tree that stands at ``path``.

    Args:
        tree: nested dicts of arrays, as ``params`` or ``state``.
        path: names joined with dots.

    Raises:
        TypeError: ``tree`` is not a dict, or ``path`` not text.
        KeyError: nothing stands there; the message names the nearest names.
        ValueError: a name is empty.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import surgery
        >>> model = nn.chain(trunk=nn.chain(nn.dense(4), nn.dense(4)), head=nn.dense(1))
        >>> params, _ = model.init(jax.random.key(0), jnp.ones((1, 2)))
        >>> surgery.get(params, "trunk.dense_1.kernel").shape, sorted(surgery.get(params, "head"))
        ((4, 4), ['bias', 'kernel'])
        >>> surgery.get(params, "trunk.dense_2.kernel")
        Traceback (most recent call last):
        ...
        KeyError: "get: no 'dense_2' below 'trunk'; did you mean 'dense_1'? known: 'dense_0', 'dense_1'"
    """
    names = _names("get", tree, path)
    return _walk("get", tree, names)


def put(tree: Tree, path: str, value: Any) -> Tree:
    """Return a copy of ``tree`` with ``value`` at ``path``, whether or not something stands there.

    For what changes the tree, as a new head for other classes; :func:`replace` checks that it does not.

    Args:
        tree: nested dicts of arrays; it stays as it is.
        path: names joined with dots. All but the last must exist.
        value: a leaf, or a sub-tree.

    Raises:
        TypeError: ``tree`` is not a dict, or ``path`` not text.
        KeyError: a name but the last does not exist.
        ValueError: a name is empty.

    Example:
        >>> from jaxnn import surgery
        >>> surgery.put({"trunk": {"scale": 1.0}}, "trunk.shift", 2.0)
        {'trunk': {'scale': 1.0, 'shift': 2.0}}
    """
    names = _names("put", tree, path)
    parent = _walk("put", tree, names[:-1])
    if not isinstance(parent, dict):
        raise KeyError(f"put: {'.'.join(names[:-1])!r} is {describe(parent)}, not a dict to put into")
    return _with(tree, names, value)


def replace(tree: Tree, path: str, value: Any) -> Tree:
    """Return a copy of ``tree`` with ``value`` in place of what stands at ``path``, of equal specs.

    Args:
        tree: nested dicts of arrays; it stays as it is.
        path: names joined with dots, of something that exists.
        value: a leaf, or a sub-tree, with the structure, shapes and dtypes of what it replaces.

    Raises:
        TypeError: ``tree`` is not a dict, or ``path`` not text.
        KeyError: nothing stands there.
        ValueError: a name is empty; or the structures, a shape or a dtype differ, and the message names the
            first such leaf.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import surgery
        >>> model = nn.chain(trunk=nn.dense(4), head=nn.dense(1))
        >>> params, _ = model.init(jax.random.key(0), jnp.ones((1, 2)))
        >>> trained, _ = model.init(jax.random.key(1), jnp.ones((1, 2)))
        >>> params = surgery.replace(params, "trunk", trained["trunk"])
        >>> surgery.replace(params, "head.bias", jnp.zeros(3))
        Traceback (most recent call last):
        ...
        ValueError: replace: head.bias: expected float32[1], got float32[3]; put accepts other shapes
    """
    names = _names("replace", tree, path)
    _check_same(path, _walk("replace", tree, names), value)
    return _with(tree, names, value)


def _names(owner: str, tree: Any, path: Any) -> tuple[str, ...]:
    if not isinstance(tree, dict):
        raise TypeError(f"{owner}: expected nested dicts of arrays, got {describe(tree)}")
    if not isinstance(path, str) or not path:
        raise TypeError(f"{owner}: path must be names joined with dots, as in 'dense_0.kernel', got {path!r}")
    names = tuple(path.split("."))
    if "" in names:
        raise ValueError(f"{owner}: path {path!r} holds an empty name; leave out the dot too many")
    return names


def _walk(owner: str, tree: Any, names: tuple[str, ...]) -> Any:
    node = tree
    for depth, name in enumerate(names):
        where = repr(".".join(names[:depth])) if depth else "the root"
        if not isinstance(node, dict):
            raise KeyError(
                f"{owner}: no {name!r} below {where}, which is {describe(node)}; the path ends there"
            )
        if name not in node:
            raise KeyError(f"{owner}: no {name!r} below {where}; {nearest(name, node)}")
        node = node[name]
    return node


def _with(tree: Tree, names: tuple[str, ...], value: Any) -> Tree:
    first, *rest = names
    return {**tree, first: _with(tree[first], tuple(rest), value) if rest else value}


def _check_same(path: str, old: Any, new: Any) -> None:
    if isinstance(old, dict) != isinstance(new, dict):
        raise ValueError(
            f"replace: {path}: expected {describe(old)}, got {describe(new)}; put changes structure"
        )
    if isinstance(old, dict):
        if set(old) != set(new):
            raise ValueError(
                f"replace: {path}: expected the entries {sorted(old)}, got {sorted(new)}; put "
                "changes structure"
            )
        for name in old:
            _check_same(f"{path}.{name}", old[name], new[name])
        return
    # Not canonicalised: a float64 array from disk is not the float32 leaf that it would silently become.
    have, want = (
        leaf if hasattr(leaf, "shape") and hasattr(leaf, "dtype") else spec_of(leaf) for leaf in (new, old)
    )
    if tuple(have.shape) != tuple(want.shape) or have.dtype != want.dtype:
        remedy = "cast it" if tuple(have.shape) == tuple(want.shape) else "put accepts other shapes"
        raise ValueError(f"replace: {path}: expected {describe(want)}, got {describe(have)}; {remedy}")


def paths_of(tree: Any) -> dict[str, Any]:
    """Return the leaves of nested dicts by dotted path, sorted."""
    return {
        ".".join(str(key.key) for key in keys): leaf
        for keys, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
