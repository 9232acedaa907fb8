"""Spectral normalisation (Miyato et al., 2018, arXiv:1802.05957): kernels over their largest singular value.

``sigma = u W v`` with singular vectors ``u``, ``v`` from power iteration; ``W / sigma`` is differentiated
through ``W`` and through ``sigma`` with ``u`` and ``v`` held fixed.
"""

import fnmatch
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    Params,
    Plan,
    PyTree,
    State,
    check_arrays,
    describe,
    fold_name,
    kernel_places,
    lift,
    non_negative,
    plan_layer,
    planned,
    positive_int,
    tree_specs,
    wide_dtype,
)

_ENTRY = "spectral_norm"


def spectral_norm(layer: Any, *, where: str = "*", iterations: int = 1, epsilon: Any = 1e-12) -> Layer:
    """Divide a layer's kernels by their largest singular values, so that each is 1-Lipschitz.

    Parameters and their names are the layer's. Its state gains ``spectral_norm``: at the path of each kernel
    the left singular vector ``u`` ``(out,)`` of the last step, float32 at least. A kernel ``(..., in, out)``
    counts as a matrix ``(... in, out)``, as in the paper; copies that ``repeat`` stacks are normalised one by
    one. In training ``u`` takes ``iterations`` steps of power iteration; in evaluation it stays. Flax's
    wrapper must be told ``update_stats`` at each call; this one follows ``train``.

    Args:
        layer: layer or callable, however nested; every leaf called ``kernel`` is normalised.
        where: pattern of the kernels' paths, as ``"body.*"``.
        iterations: steps of power iteration for each training step.
        epsilon: least length that a vector is divided by.

    Raises:
        TypeError, ValueError: a bad argument; when initialised, no kernel is chosen.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> critic = nn.spectral_norm(nn.chain(nn.dense(8), jax.nn.relu, nn.dense(1)))
        >>> x = jnp.ones((2, 4))
        >>> params, state = critic.init(jax.random.key(0), x)
        >>> state["spectral_norm"]["dense_0"]["kernel"].shape
        (8,)
        >>> y, state = critic.apply(params, state, x, train=True)
    """
    child = lift(layer)
    iterations = positive_int("spectral_norm", "iterations", iterations)
    non_negative("spectral_norm", "epsilon", epsilon, positive=True)

    def plan(x: PyTree) -> Plan:
        found = plan_layer(child, x)
        specs, state_specs = tree_specs(found)
        places = {
            path: stacked
            for path, stacked in kernel_places(found).items()
            if fnmatch.fnmatchcase(".".join(path), where)
        }
        if not places:
            raise ValueError(
                f"spectral_norm: where={where!r} chose no kernel of {child.name!r}; '*' chooses all that "
                "there are, leaves called 'kernel'"
            )
        if _ENTRY in state_specs:
            raise ValueError(
                f"spectral_norm: {child.name!r} is normalised already, or a child is called {_ENTRY!r}; wrap "
                "it once, or rename the child"
            )

        def build(key: Any) -> tuple[Params, State]:
            params, state = found.build(key)
            vectors: State = {}
            for path, stacked in places.items():
                kernel = _at(specs, path)
                shape = (*kernel.shape[:stacked], kernel.shape[-1])
                # Where the iteration starts does not matter, so it takes nothing from the layer's own key.
                own = fold_name(jax.random.key(0), "init", ".".join(path))
                drawn = jax.random.normal(own, shape, wide_dtype(kernel.dtype))
                _insert(vectors, path, _unit(drawn, epsilon))
            return params, {**state, _ENTRY: vectors}

        return found._replace(layer=result, build=build)

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        if not isinstance(state, dict) or _ENTRY not in state:
            raise ValueError(
                f"spectral_norm: expected state with {_ENTRY!r}, got {describe(state)}; pass the tree that "
                "init returned for this model"
            )
        rest = {name: node for name, node in state.items() if name != _ENTRY}
        check_arrays("spectral_norm", params)
        check_arrays("spectral_norm", state[_ENTRY], f"state[{_ENTRY!r}]")
        _check_vectors(params, state[_ENTRY], where)
        params, vectors = _normalised(params, state[_ENTRY], iterations if train else 0, epsilon)
        y, rest = child.apply(params, rest, x, key=key, train=train)
        return y, {**rest, _ENTRY: vectors}

    layer = planned(_ENTRY, plan, apply)
    result = replace(child, init=layer.init, apply=layer.apply, plan=plan)
    return result


def _check_vectors(params: Any, vectors: Any, where: str) -> None:
    """Raise unless there is a vector for each chosen kernel and for nothing else, and it fits."""
    kernels = {path: leaf for path, leaf in _leaves(params) if path.rpartition(".")[2] == "kernel"}
    kernels = {path: leaf for path, leaf in kernels.items() if fnmatch.fnmatchcase(path, where)}
    found = dict(_leaves(vectors))
    if set(kernels) != set(found):
        raise ValueError(
            f"spectral_norm: expected a vector in state for each kernel, {sorted(kernels)}, got "
            f"{sorted(found)}; pass the trees that init returned for this model"
        )
    for path, kernel in kernels.items():
        u = found[path]
        copies = u.ndim - 1
        if not (kernel.ndim >= 2 and 0 <= copies <= kernel.ndim - 2) or (
            u.shape != (*kernel.shape[:copies], kernel.shape[-1]) or not jnp.issubdtype(u.dtype, jnp.inexact)
        ):
            raise ValueError(
                f"spectral_norm: expected a vector [{kernel.shape[-1] if kernel.ndim else 'out'}] in state "
                f"for {path} {describe(kernel)}, got {describe(u)}; pass the trees that init returned for "
                "this model"
            )


def _leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    for keys, leaf in jax.tree_util.tree_leaves_with_path(tree):
        yield ".".join(str(key.key) for key in keys), leaf


def _normalised(params: Any, vectors: Any, iterations: int, epsilon: Any) -> tuple[Any, Any]:
    """Return the tree with every kernel that has a vector divided by its norm, and the new vectors."""
    if not isinstance(vectors, dict):
        return _divided(params, vectors, iterations, epsilon)
    pairs = {name: _normalised(params[name], node, iterations, epsilon) for name, node in vectors.items()}
    return (
        {**params, **{name: pair[0] for name, pair in pairs.items()}},
        {name: pair[1] for name, pair in pairs.items()},
    )


def _divided(kernel: Any, u: Any, iterations: int, epsilon: Any) -> tuple[Any, Any]:
    *copies, features = u.shape
    matrix = kernel.astype(u.dtype).reshape(*copies, prod(kernel.shape[len(copies) : -1]), features)
    fixed = jax.lax.stop_gradient(matrix)

    def times(u: Any) -> Any:
        return _unit((fixed @ u[..., None])[..., 0], epsilon)

    v = times(u)
    for step in range(iterations):
        v = times(u) if step else v
        u = _unit((v[..., None, :] @ fixed)[..., 0, :], epsilon)
    sigma = jnp.sum((v[..., None, :] @ matrix)[..., 0, :] * u, -1)
    # A kernel of zeros stays one.
    sigma = jnp.where(sigma > 0, sigma, 1)
    divided = matrix / jnp.broadcast_to(sigma[..., None, None], matrix.shape)
    return divided.reshape(kernel.shape).astype(kernel.dtype), u


def _unit(vector: Any, epsilon: Any) -> Any:
    norm = jnp.sqrt(jnp.sum(vector**2, -1, keepdims=True))
    return vector / jnp.broadcast_to(jnp.maximum(norm, epsilon), vector.shape)


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree[name]
    return tree


def _insert(tree: State, path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value
