"""The layer: a name and a pair of pure functions.

Flax hides parameters behind a module and lifts every transformation; Equinox makes the model the
parameters. Here both stay plain: ``init`` makes two dicts, ``apply`` reads them, and ``jax.grad``,
``jit``, ``vmap`` and ``scan`` work on them unchanged.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax

from jaxnn.core._copies import itself, reduced
from jaxnn.core._errors import check_train, child_scope
from jaxnn.core._keys import check_key, fold_names
from jaxnn.core._probe import PROBE
from jaxnn.core._spec import describe, spec_of

PyTree = Any
Params = dict[str, Any]
State = dict[str, Any]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Plan(NamedTuple):
    """What one abstract pass over a layer found: specs in and out, and how to make its trees.

    Composites plan each child once and build from the plans, so that the cost of ``init`` is linear
    in the number of layers however deep they nest.

    Attributes:
        layer: the layer that was planned.
        input: spec of the input.
        output: spec of the output.
        build: ``key -> (params, state)``.
        children: ``(name, plan)`` of each child, in the order of their first use.
        copies: how many stacked copies of the children there are (``repeat``), else ``None``.
    """

    layer: "Layer"
    input: PyTree
    output: PyTree
    build: Callable[[Any], tuple[Params, State]]
    children: tuple[tuple[str, "Plan"], ...] = ()
    copies: int | None = None


@dataclass(frozen=True, repr=False)
class Layer:
    """A pair of pure functions with a name.

    Attributes:
        name: kind of the layer, from which a ``chain`` makes ``dense_0``, ``dense_1``, ...; or the
            name that ``named`` gave it, which stays as it is.
        init: ``(key, x) -> (params, state)``; ``x`` is an array, a ``jax.ShapeDtypeStruct``, or a
            pytree of them. It reads shapes only and never runs the model.
        apply: ``(params, state, x, *, key=None, train=False) -> (y, state)``.
        plan: optional ``x -> Plan``, for composites.
        is_named: whether ``name`` was given by ``named``.
        kind: what it is, whatever its name.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.dense(3)
        >>> params, state = layer.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 5), jnp.float32))
        >>> y, state = layer.apply(params, state, jnp.ones((2, 5)))
        >>> y.shape
        (2, 3)
    """

    name: str
    init: Callable[..., tuple[Params, State]]
    apply: Callable[..., tuple[PyTree, State]]
    plan: Callable[[PyTree], Plan] | None = field(default=None, compare=False)
    is_named: bool = False
    kind: str = ""

    def __post_init__(self) -> None:
        check_name("Layer", self.name)
        if not self.kind:
            object.__setattr__(self, "kind", self.name)

    def __repr__(self) -> str:
        return f"Layer({self.name!r})"

    __copy__ = __deepcopy__ = itself
    __reduce_ex__ = reduced

    def named(self, name: str) -> "Layer":
        """Return this layer under a name of its own, kept as it is by composites.

        Raises:
            ValueError: ``name`` is not an identifier.
        """
        check_name("named", name)
        return replace(self, name=name, is_named=True)


def check_name(owner: str, name: Any) -> str:
    """Return ``name`` if it can stand in a tree path."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{owner}: a name must be a Python identifier (paths are joined with dots), got {name!r}"
        )
    return name


def plan_layer(layer: Layer, x: PyTree) -> Plan:
    """Find the output spec of ``layer`` for input ``x`` without running it."""
    x = spec_of(x)
    if layer.plan is not None:
        return layer.plan(x)
    key = jax.eval_shape(jax.random.key, 0)

    def build(key: Any) -> tuple[Params, State]:
        return layer.init(key, x)

    made = jax.eval_shape(build, key)
    if not (isinstance(made, tuple) and len(made) == 2 and all(isinstance(t, dict) for t in made)):
        raise TypeError(
            f"{layer.name}: init must return (params, state), two dicts, got {describe(made)}; "
            "nn.stateless lifts an init that returns params alone"
        )

    def run(params: Params, state: State, x: PyTree, key: Any) -> PyTree:
        out = layer.apply(params, state, x, key=key, train=False)
        if not (isinstance(out, tuple) and len(out) == 2 and isinstance(out[1], dict)):
            raise TypeError(
                f"{layer.name}: apply must return (y, state) with state a dict, got {describe(out)}"
            )
        return out[0]

    output = jax.eval_shape(run, *made, x, key)
    return Plan(layer, x, spec_of(output), build)


def planned(name: str, plan: Callable[[PyTree], Plan], apply: Callable[..., Any]) -> Layer:
    """Return the layer whose ``init`` is its plan, built.

    ``init`` and ``apply`` get the checks that every composite shares: one typed key, and ``train`` a
    Python bool.
    """

    def init(key: Any, x: PyTree) -> tuple[Params, State]:
        check_key(name, key)
        return plan(spec_of(x)).build(key)

    def checked(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        check_train(name, train)
        if key is not None:
            check_key(name, key)
        return apply(params, state, x, key=key, train=train)

    return Layer(name, init, checked, plan)


def build_children(plans: tuple[tuple[str, Plan], ...], key: Any) -> tuple[Params, State]:
    """Make the trees of named children; a child with nothing in a tree has no entry in it."""
    params: Params = {}
    state: State = {}
    keys = fold_names(key, "init", tuple(name for name, _ in plans))
    for (name, plan), child_key in zip(plans, keys, strict=True):
        with child_scope(name):
            child_params, child_state = plan.build(child_key)
        if child_params:
            params[name] = child_params
        if child_state:
            state[name] = child_state
    return params, state


def call_child(
    name: str, layer: Layer, params: Params, state: State, x: PyTree, *, key: Any, train: bool
) -> tuple[PyTree, State]:
    """Apply a named child with its part of the trees and ``key``, its own."""
    with child_scope(name):
        return apply_child(name, layer, params, state, x, key=key, train=train)


def apply_child(
    name: str, layer: Layer, params: Params, state: State, x: PyTree, *, key: Any, train: bool
) -> tuple[PyTree, State]:
    """Do what ``call_child`` does, in a scope that the caller opens; a probe in ``state`` sees the child."""

    def run(state: State, x: PyTree) -> tuple[PyTree, State]:
        return layer.apply(params.get(name, {}), state, x, key=key, train=train)

    own = state.get(name, {})
    probe = state.get(PROBE)
    return run(own, x) if probe is None else probe.apply(name, run, own, x, layer.plan is not None)
