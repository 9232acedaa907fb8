"""Layers on a mesh with explicit axes.

Where the axes of a mesh are explicit, JAX makes the sharding a part of each array's type, and many operations
(slices, gathers, scans from zeros, gradients of convolutions) ask their caller for the sharding of what they
return. Inside a layer there is nobody to ask, so the layer is computed with these axes left to the compiler,
as ``jax.sharding.auto_axes`` does, and what comes out gets a sharding again.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxnn.core._errors import check_train
from jaxnn.core._layer import Layer, Params, PyTree, State
from jaxnn.core._spec import is_traced

AnyLayer = TypeVar("AnyLayer", bound=Layer)


def on_any_mesh(layer: AnyLayer) -> AnyLayer:
    """Return ``layer`` such that it takes inputs sharded over a mesh with explicit axes too.

    An output of an input's shape gets that input's sharding; one of another shape gets that of the first axis
    of an input whose first axis has its size, the batch; anything else is replicated. State is compared with
    state first. Where no axis is explicit, the layer does what it does, equation by equation.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxnn.core import stateless
        >>> last = on_any_mesh(stateless("last", None, lambda params, x: x[:, -1]))
        >>> last.apply({}, {}, jnp.ones((2, 3)))[0].shape
        (2,)
    """

    def called(params: Params, state: State, x: PyTree, key: Any, train: bool) -> tuple[PyTree, State]:
        return layer.apply(params, state, x, key=key, train=train)

    compiled = jax.jit(called, static_argnums=4)

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        mesh = _explicit_mesh(x)
        if mesh is None:
            return layer.apply(params, state, x, key=key, train=train)
        check_train(layer.kind, train)
        explicit = dict.fromkeys(_explicit_axes(mesh), AxisType.Auto)
        with jax.sharding.use_abstract_mesh(mesh.update_axis_types(explicit)):
            loose: Any = jax.tree.map(lambda leaf: _loosened(leaf, explicit), (params, state, x, key))
            # Derivatives that are taken equation by equation mix constants of both meshes.
            run = compiled if any(map(is_traced, jax.tree.leaves(loose))) else called
            y, new = run(loose[0], loose[1], loose[2], loose[3], train)
        specs, state_specs = _specs(x), _specs(state)
        return (
            jax.tree.map(lambda leaf: _placed(leaf, mesh, specs), y),
            jax.tree.map(lambda leaf: _placed(leaf, mesh, {**specs, **state_specs}), new),
        )

    return replace(layer, apply=apply)


def _explicit_mesh(x: PyTree) -> Any:
    """The mesh in context, or else of an input, if it has explicit axes."""
    mesh = jax.sharding.get_abstract_mesh()
    meshes = [mesh] if not mesh.empty else [jax.typeof(leaf).sharding.mesh for leaf in _arrays(x)]
    return next((mesh for mesh in meshes if _explicit_axes(mesh)), None)


def _explicit_axes(mesh: Any) -> list[str]:
    if mesh.empty:
        return []
    kinds = zip(mesh.axis_names, mesh.axis_types, strict=True)
    return [name for name, kind in kinds if kind == AxisType.Explicit]


def _arrays(tree: PyTree) -> Iterator[Any]:
    return (leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array))


def _loosened(leaf: Any, explicit: dict[str, Any]) -> Any:
    """Leave the sharding of ``leaf`` along the explicit axes to the compiler."""
    if not isinstance(leaf, jax.Array):
        return leaf

    def kept(axes: Any) -> Any:
        names = axes if isinstance(axes, tuple) else (axes,)
        return tuple(name for name in names if name is not None and name not in explicit) or None

    return jax.sharding.reshard(leaf, PartitionSpec(*map(kept, jax.typeof(leaf).sharding.spec)))


def _specs(tree: PyTree) -> dict[Any, tuple[Any, ...]]:
    """How the arrays of a tree are sharded, by their shapes and by the sizes of their first axes."""
    found: dict[Any, tuple[Any, ...]] = {}
    for leaf in _arrays(tree):
        spec = tuple(jax.typeof(leaf).sharding.spec)
        found.setdefault(leaf.shape, spec)
        if leaf.ndim:
            found.setdefault(leaf.shape[0], spec[:1])
    return found


def _placed(leaf: Any, mesh: Any, specs: dict[Any, tuple[Any, ...]]) -> Any:
    if not isinstance(leaf, jax.Array):
        return leaf
    spec = specs.get(leaf.shape) or specs.get(leaf.shape[0] if leaf.ndim else None, ())
    return jax.sharding.reshard(leaf, NamedSharding(mesh, PartitionSpec(*spec)))
