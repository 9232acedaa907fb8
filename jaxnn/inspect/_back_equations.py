"""Back-propagation by its equations, and the same quantities from ``jax.grad``."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import PROBE, SHIFT, Layer, Probe, Shift
from jaxnn.inspect._units import Unit


def equations_by_hand(
    units: list[Unit], firsts: list[int], x: Any, cost: Callable[[Any], Any], train: bool
) -> dict[str, Any]:
    """The five steps: input, forward, error of the output, backward, gradients.

    Args:
        units: the layers.
        firsts: which of them have parameters, and so begin a layer of the trace.
        x: input of the first.
        cost: of the last one's output.
        train: whether the layers run as in training.
    """

    def run(unit: Unit) -> Callable[[Any, Any], Any]:
        return lambda params, x: unit.layer.apply(params, unit.state, x, key=unit.key, train=train)[0]

    inputs, pulls = [], []
    for unit in units:
        inputs.append(x)
        x, pull = jax.vjp(run(unit), unit.params, x)
        pulls.append(pull)
    value, delta = jax.value_and_grad(cost)(x)
    outputs = [*inputs[1:], x]
    deltas, gradients = [], []
    for unit, before, pull in reversed(list(zip(units, inputs, pulls, strict=True))):
        deltas.append(delta)
        gradient, delta = _dense_equations(unit, before, delta) or pull(delta)
        gradients.append(gradient)
    deltas.reverse()
    gradients.reverse()
    layers = []
    for first, end in zip(firsts, [*firsts[1:], len(units)], strict=True):
        after = units[first + 1 : end]
        slope, elementwise = _slope([run(unit) for unit in after], after, outputs[first])
        layers.append(
            {
                "z": outputs[first],
                "a": outputs[end - 1],
                "slope": slope,
                "elementwise": elementwise,
                "delta": deltas[first],
                "gradients": gradients[first],
            }
        )
    return {"cost": value, "layers": layers, "x": _floating(delta)}


def _dense_equations(unit: Unit, before: Any, delta: Any) -> Any:
    """BP3, BP4 and the first factor of BP2 for ``dense``; ``None`` for another layer."""
    if unit.layer.kind != "dense" or not {"kernel"} <= set(unit.params) <= {"kernel", "bias"}:
        return None
    if len({getattr(value, "dtype", None) for value in (before, delta, *unit.params.values())}) != 1:
        return None
    rows, deltas = before.reshape(-1, before.shape[-1]), delta.reshape(-1, delta.shape[-1])
    gradient = {"kernel": rows.T @ deltas, "bias": jnp.sum(deltas, 0)}
    return {name: gradient[name] for name in unit.params}, delta @ unit.params["kernel"].T


def _slope(functions: list[Any], units: list[Unit], z: Any) -> tuple[Any, Any]:
    """``g'(z)`` of the activations after ``z``, and whether they are elementwise."""

    def g(z: Any) -> Any:
        for function, unit in zip(functions, units, strict=True):
            z = function(unit.params, z)
        return z

    if not hasattr(z, "dtype"):
        return jnp.zeros(()), jnp.bool_(False)
    a, pull = jax.vjp(g, z)
    if getattr(a, "shape", None) != z.shape or a.dtype != z.dtype:
        return jnp.zeros(()), jnp.bool_(False)
    (slope,) = pull(jnp.ones_like(a))
    # Of an elementwise function, J^T v is g'(z) v for every v; uneven numbers tell another one.
    uneven = jnp.sin(1 + jnp.arange(z.size, dtype=jnp.int32).astype(z.dtype)).reshape(z.shape)
    tolerance = 100 * jnp.finfo(z.dtype).eps
    same = jnp.abs(pull(uneven)[0] - slope * uneven) <= tolerance * (1 + jnp.abs(slope))
    return slope, jnp.all(same)


def gradients_by_jax(
    model: Layer,
    units: list[Unit],
    firsts: list[int],
    params: Any,
    state: Any,
    x: Any,
    cost: Callable[[Any], Any],
    key: Any,
    train: bool,
) -> dict[str, Any]:
    """The same from ``jax.grad`` of the whole model, with a shift of 0 added to every ``z``."""
    by_path = [units[first].path for first in firsts]
    alone = model.kind != "chain"

    def total(params: Any, shifts: list[Any], x: Any) -> Any:
        probe = Probe(lambda _x, _y: None, _nested(by_path, shifts))
        trees = {**state, PROBE: probe} if not alone else state
        y, _ = model.apply(params, trees, x, key=key, train=train)
        if alone:
            y = jax.tree.map(jnp.add, y, jax.tree.unflatten(jax.tree.structure(y), shifts[0]))
        return cost(y)

    def outputs(x: Any) -> list[Any]:
        found = []
        for unit in units:
            x = unit.layer.apply(unit.params, unit.state, x, key=unit.key, train=train)[0]
            found.append(x)
        return [found[first] for first in firsts]

    shapes = jax.eval_shape(outputs, x)
    structures = [jax.tree.structure(shape) for shape in shapes]
    shifts = [[jnp.zeros(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(shape)] for shape in shapes]
    gradients, deltas, slope = jax.grad(total, argnums=(0, 1, 2), allow_int=True)(params, shifts, x)
    layers = []
    for path, delta, structure in zip(by_path, deltas, structures, strict=True):
        own = gradients
        for name in () if alone else path:
            own = own[name]
        layers.append({"delta": jax.tree.unflatten(structure, delta), "gradients": own})
    return {"layers": layers, "x": _floating(slope)}


def _nested(paths: list[tuple[str, ...]], shifts: list[list[Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, outputs in zip(paths, shifts, strict=True):
        here = tree
        for name in path:
            here = here.setdefault(name, {})
        here[SHIFT] = (Shift(outputs=outputs),)
    return tree


def _floating(tree: Any) -> Any:
    """Leave out the gradients of integers, which have the dtype ``float0``."""
    return jax.tree.map(lambda leaf: None if leaf.dtype == jax.dtypes.float0 else leaf, tree)
