"""Ids that a model looks up, checked before training: a compiled step can't say that one is outside."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import (
    Layer,
    Masked,
    Probe,
    describe,
    listed_calls,
    placed_layers,
    plan_layer,
    split_records,
    spread_mask,
    tree_specs,
    with_probe,
)


def check_fed_ids(model: Layer, params: Any, state: Any, inputs: Any, weights: Any = None) -> None:
    """Raise if ids that reach an ``embedding`` or ``one_hot`` lie outside of its classes.

    Ids are followed from the inputs through whatever integer operations stand between; those that depend on
    parameters are the model's own. An example whose ``weights`` ``[batch, ...]`` are all 0 may hold any ids.

    Raises:
        ValueError: an id that counts is outside.
    """
    leaves = jax.tree.leaves(inputs)
    if not any(jnp.issubdtype(leaf.dtype, jnp.integer) for leaf in leaves):
        return
    sample = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype), inputs)
    counts = dict(_tables(plan_layer(model, sample)))
    if not counts:
        return
    fed = _fed(model, params, state, inputs, counts)
    for path, ids, mask in fed:
        real = np.asarray(ids)[_counted(ids, mask, weights)]
        outside = real[(real < 0) | (real >= counts[path])]
        if outside.size:
            name = f"the layer {'.'.join(path)}" if path else "the model"
            raise ValueError(
                f"supervised: ids must be in [0, {counts[path]}) for {name}, got {outside.flat[0]} (and "
                f"{outside.size - 1} more) in {describe(ids)}; map unknown ids to one of their own, and mark "
                "padding with nn.Masked"
            )


def _counted(ids: Any, mask: Any, weights: Any) -> Any:
    """Which ids bear on a loss: not those that a mask hides or whose whole example weighs nothing."""
    real = (
        np.ones(ids.shape, bool) if mask is None else np.broadcast_to(spread_mask(mask, ids.shape), ids.shape)
    )
    if weights is None or not ids.ndim or ids.shape[0] != len(weights):
        return real
    weighs = (np.asarray(weights) != 0).reshape(len(weights), -1).any(1)
    return real & weighs.reshape(-1, *[1] * (ids.ndim - 1))


def _tables(plan: Any) -> Iterator[tuple[tuple[str, ...], int]]:
    """The layers that take ids, by path, and how many classes each has."""
    for path, found, _ in placed_layers(plan):
        value = found.input.value if isinstance(found.input, Masked) else found.input
        if not hasattr(value, "dtype") or not jnp.issubdtype(value.dtype, jnp.integer):
            continue
        if found.layer.kind == "embedding":
            yield path, tree_specs(found)[0]["embedding"].shape[0]
        elif found.layer.kind == "one_hot":
            output = found.output.value if isinstance(found.output, Masked) else found.output
            yield path, output.shape[-1]


def _fed(model: Layer, params: Any, state: Any, inputs: Any, counts: Any) -> list[tuple[Any, Any, Any]]:
    """``(path, ids, mask)`` of every call of a layer in ``counts`` whose ids come from the inputs alone."""
    paths: list[tuple[str, ...]] = []

    def run(inputs: Any, params: Any, state: Any, key: Any) -> list[Any]:
        if () in counts:
            paths[:] = [()]
            return [inputs]
        _, new = model.apply(params, with_probe(state, Probe(lambda x, _: x)), inputs, key=key)
        calls = [(path, call.found) for path, _, call in listed_calls(split_records(new)[1])]
        calls = [(path, x) for path, x in calls if path in counts and _are_ids(x)]
        paths[:] = [path for path, _ in calls]
        return [x for _, x in calls]

    key = jax.eval_shape(jax.random.key, 0)
    specs = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), inputs)
    closed, outputs = jax.make_jaxpr(run, return_shape=True)(specs, params, state, key)
    values = _from_inputs(closed, jax.tree.leaves(inputs))
    found = jax.tree.unflatten(jax.tree.structure(outputs), values)
    return [
        (path, x.value, x.mask) if isinstance(x, Masked) else (path, x, None)
        for path, x in zip(paths, found, strict=True)
        if (x.value if isinstance(x, Masked) else x) is not None
    ]


def _are_ids(x: Any) -> bool:
    value = x.value if isinstance(x, Masked) else x
    return hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.integer)


def _from_inputs(closed: Any, leaves: list[Any]) -> list[Any]:
    """The outputs of a program that need its first arguments alone, computed; ``None`` for the rest."""
    from jax.extend.core import jaxpr_as_fun
    from jax.interpreters.partial_eval import dce_jaxpr

    def one(number: int) -> Any:
        wanted = [i == number for i in range(len(closed.jaxpr.outvars))]
        program, used = dce_jaxpr(closed.jaxpr, wanted)
        if any(used[len(leaves) :]):
            return None
        given = [leaf for leaf, needed in zip(leaves, used, strict=False) if needed]
        if not program.eqns and program.outvars[0] in program.invars:
            # Most often they are an input as it is: nothing to compile, nothing to compute.
            return given[program.invars.index(program.outvars[0])]
        return jax.jit(jaxpr_as_fun(type(closed)(program, closed.consts)))(*given)[0]

    return [one(number) for number in range(len(closed.jaxpr.outvars))]
