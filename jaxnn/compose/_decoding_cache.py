"""Finds what a model must remember from step to step: which of its layers, called with what, for how long.

The model is followed on specs only, with one position and with two: what differs is the sequence, what stays
equal is memory.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.compose._decoding_check import check_positions
from jaxnn.core import Layer, Params, Plan, PyTree, State, describe, plan_layer, spec_of
from jaxnn.layers._cached import CALL, PROBE, CachedLayer, WholeLayer

_TIMES = (1, 2)


def empty_cache(
    layer: Layer, params: Params, at: Callable[[int], PyTree], length: int, known: set[Any]
) -> State:
    """The state with which ``layer`` decodes from the first position.

    Args:
        layer: the model.
        params: its parameters.
        at: ``time -> input`` of that many positions (arrays or specs).
        length: positions that there must be room for.
        known: for which inputs, whatever their batch, the model was found to act on each position alone where
            it remembers nothing; this one is added.
    """
    plans = [plan_layer(layer, at(time)) for time in _TIMES]
    refuse_state(layer, jax.eval_shape(plans[0].build, jax.eval_shape(jax.random.key, 0))[1])
    probe = _probe(plans[0], plans[1], (), layer.name)
    leaves, structure = jax.tree.flatten(plans[0].input)
    kind = (structure, *((leaf.shape[1:], leaf.dtype) for leaf in leaves))
    if kind not in known:
        check_positions(plans[0], plans[1], layer.name, length)
        known.add(kind)

    def calls(time: int) -> State:
        def run(params: Params, probe: State, x: PyTree, key: Any) -> State:
            return layer.apply(params, probe, x, key=key)[1]

        x = spec_of(at(time))
        return jax.eval_shape(run, spec_of(params), spec_of(probe), x, jax.eval_shape(jax.random.key, 0))

    return _build(plans[0], params, tuple(calls(time) for time in _TIMES), (), length, layer.name)


def refuse_state(layer: Layer, state: State) -> None:
    """Raise if a model carries state besides what it must remember of the sequence."""
    if state:
        raise ValueError(
            f"decoding_cell: {layer.name} carries state ({', '.join(sorted(state))}), which a decoding "
            "step can't update; use a norm without running statistics, such as nn.layer_norm"
        )


def _probe(plan: Plan, longer: Plan, copies: tuple[int, ...], path: str) -> State:
    """A state that asks every layer with a cache what it is called with."""
    if isinstance(plan.layer, CachedLayer):
        return {PROBE: jnp.zeros(copies, bool)}
    if isinstance(plan.layer, WholeLayer):
        if _moving(plan.input, longer.input):
            raise ValueError(f"decoding_cell: {path} ({plan.layer.name}): {plan.layer.reason}")
        return {}
    if not plan.children:
        return {}
    pairs = zip(plan.children, longer.children, strict=True)
    if plan.copies is not None:
        (name, child), (_, other) = next(pairs)
        return _probe(child, other, (*copies, plan.copies), f"{path}.{name}")
    found = {name: _probe(child, other, copies, f"{path}.{name}") for (name, child), (_, other) in pairs}
    return {name: state for name, state in found.items() if state}


def _build(
    plan: Plan, params: Params, calls: tuple[State, ...], copies: tuple[int, ...], length: int, path: str
) -> State:
    """The empty caches, where the probes ``calls`` (one for each time) found calls on the sequence."""
    if isinstance(plan.layer, CachedLayer):
        x = _called_with(calls, len(copies), path)
        if x is None or plan.layer.cache is None:
            return {}
        cache = plan.layer.cache(params, x, length)
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*copies, *leaf.shape)), cache)
    if plan.copies is not None:
        name, child = plan.children[0]
        return _build(child, params, calls, (*copies, plan.copies), length, f"{path}.{name}")
    found = {
        name: _build(
            child,
            params.get(name, {}),
            tuple(c.get(name, {}) for c in calls),
            copies,
            length,
            f"{path}.{name}",
        )
        for name, child in plan.children
    }
    return {name: state for name, state in found.items() if state}


def _called_with(calls: tuple[State, ...], depth: int, path: str) -> PyTree:
    """The spec of the one input on the sequence, or ``None`` if there is none."""
    short, long = ([call for name, call in sorted(c.items()) if name.startswith(CALL)] for c in calls)
    moving = [bool(_moving(a, b)) for a, b in zip(short, long, strict=True)]
    if not any(moving):
        return None
    if len(moving) > 1:
        raise ValueError(
            f"decoding_cell: {path} is called {len(moving)} times, and each call on the sequence needs a "
            "cache of its own; give the model a layer for each call"
        )
    x = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[depth:], leaf.dtype), short[0])
    if isinstance(x, tuple | list) and len(x) > 1 and _moving(short[0][1:], long[0][1:]):
        raise ValueError(
            f"decoding_cell: {path} attends to a memory that grows with the sequence, got {describe(x)}; "
            "use self attention, with causal=True"
        )
    return x


def _moving(short: PyTree, long: PyTree) -> list[int]:
    """Which leaves depend on the length of the sequence."""
    pairs = zip(jax.tree.leaves(short), jax.tree.leaves(long), strict=True)
    return [i for i, (a, b) in enumerate(pairs) if a.shape != b.shape]
