"""Back-propagation written out: every layer's ``z``, ``a``, ``delta`` and gradients, and its four equations.

For a layer ``z = a_before W + b``, ``a = g(z)``, rows of ``z`` being examples, and a cost ``C``:

    BP1  delta = (dC/da) g'(z)                    of the last layer
    BP2  delta = (delta_next W_next^T) g'(z)      of every layer before
    BP3  dC/db = sum of delta over the examples
    BP4  dC/dW = a_before^T delta

Rumelhart, Hinton and Williams (1986), "Learning representations by back-propagating errors"; numbered as in
Nielsen (2015), "Neural Networks and Deep Learning", chapter 2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import (
    PROBE,
    SHIFT,
    Layer,
    Params,
    Probe,
    PyTree,
    Shift,
    State,
    check_key,
    check_train,
    describe,
    lift,
    plan_layer,
    spec_of,
)
from jaxnn.inspect._computation_graph import Graph, computation_graph
from jaxnn.inspect._units import Unit, units_of


@dataclass(frozen=True)
class LayerTrace:
    """One layer of a trace: a layer with parameters, and the activations that follow it.

    Attributes:
        paths: paths of the layers in it.
        z: the weighted input ``[..., units]``.
        a: the activation ``[..., units]``.
        slope: ``g'(z)``, or ``None`` where ``g`` is not elementwise (softmax).
        delta: ``dC/dz``, like ``z``.
        gradients: ``dC/d`` each parameter.
        residuals: for each equation of the layer, the largest difference from ``jax.grad``.
    """

    paths: tuple[str, ...]
    z: Any
    a: Any
    slope: Any
    delta: Any
    gradients: Any
    residuals: dict[str, float]


@dataclass(frozen=True)
class BackpropTrace:
    """Forward and backward pass of a model, layer by layer; ``print`` shows them as tables.

    Attributes:
        name: the model's kind.
        x: its input.
        cost: mean over the examples of the loss.
        layers: from the first to the last.
        input_gradient: ``dC/dx``; ``None`` for integers.
        residual: the largest of all residuals.
    """

    name: str
    x: Any
    cost: float
    layers: tuple[LayerTrace, ...]
    input_gradient: Any
    residual: float

    def __str__(self) -> str:
        from jaxnn.inspect._trace_table import written

        return written(self)


@overload
def backprop_trace(
    model: Layer,
    params: Params,
    state: State,
    x: PyTree,
    targets: Any,
    loss: Callable[[Any, Any], Any],
    *,
    key: Any = None,
    train: bool = False,
) -> BackpropTrace: ...
@overload
def backprop_trace(model: Callable[..., Any], *args: Any) -> Graph: ...
def backprop_trace(model: Any, *args: Any, **options: Any) -> Any:
    """Trace back-propagation through a chain of layers by its four equations, and check each by ``jax.grad``.

    The equations are computed by hand from the last layer to the first: matrix products for ``dense``, the
    transposed Jacobian of the layer itself for any other. The residual of each is its largest difference
    from ``jax.grad`` of the whole model.

    Given a plain function and its arguments instead, it returns ``computation_graph`` of them.

    Args:
        model: a ``chain``, nested or not, whose layers may be of any kind.
        *args: ``params, state, x, targets, loss``: trees and input of the model; targets of the loss; and
            ``loss(outputs, targets) -> values [...]``, the mean of which is the cost.
        **options: ``key`` for layers that draw, and ``train``.

    Returns:
        A ``BackpropTrace`` for a layer, a ``Graph`` for a function.

    Raises:
        TypeError: arguments are missing, the input is not one floating-point or integer array, or ``loss`` is
            no function.
        ValueError: no layer has parameters.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import inspect
        >>> neuron = nn.chain(nn.dense(1), jax.nn.sigmoid)
        >>> params = {"dense_0": {"kernel": jnp.array([[2.0], [-3.0]]), "bias": jnp.array([-3.0])}}
        >>> trace = inspect.backprop_trace(
        ...     neuron, params, {}, jnp.array([-1.0, -2.0]), None, lambda outputs, targets: outputs[..., 0])
        >>> layer = trace.layers[0]
        >>> print(f"z {layer.z[0]:.4f}  a {layer.a[0]:.4f}  delta {layer.delta[0]:.4f}")
        z 1.0000  a 0.7311  delta 0.1966
        >>> trace.residual < 1e-6
        True
    """
    if not isinstance(model, Layer):
        return computation_graph(model, *args, **options)
    return _traced(model, *args, **options)


def _traced(
    model: Layer,
    params: Params,
    state: State,
    x: Any,
    targets: Any,
    loss: Callable[[Any, Any], Any],
    *,
    key: Any = None,
    train: bool = False,
) -> BackpropTrace:
    check_train("backprop_trace", train)
    if key is not None:
        check_key("backprop_trace", key)
    if not callable(loss):
        raise TypeError(
            f"backprop_trace: loss must be a function (outputs, targets) -> values, got {describe(loss)}"
        )
    model = lift(model)
    plan = plan_layer(model, spec_of(x))
    counts = [bool(jax.tree.leaves(unit.params)) for unit in units_of(plan, params, state, key)]
    if not any(counts):
        raise ValueError(f"backprop_trace: no layer of {model.name!r} has parameters; trace a chain that has")
    firsts = [i for i, has in enumerate(counts) if has]

    def cost(y: Any, targets: Any) -> Any:
        return jnp.mean(loss(y, targets))

    def by_hand(params: Any, state: Any, x: Any, targets: Any, key: Any) -> Any:
        units = units_of(plan, params, state, key)
        return _by_hand(units, firsts, x, lambda y: cost(y, targets), train)

    def by_grad(params: Any, state: Any, x: Any, targets: Any, key: Any) -> Any:
        units = units_of(plan, params, state, key)
        return _by_grad(model, units, firsts, params, state, x, lambda y: cost(y, targets), key, train)

    # Two programs: in one, XLA would compute what they share once, and compare it with itself.
    trees = (params, state, x, targets, key)
    hand, auto = jax.device_get((jax.jit(by_hand)(*trees), jax.jit(by_grad)(*trees)))
    units = units_of(plan, params, state, key)
    ends = [*firsts[1:], len(units)]
    layers = []
    for n, (first, end) in enumerate(zip(firsts, ends, strict=True)):
        mine, theirs = hand["layers"][n], auto["layers"][n]
        equation = "BP1" if n == len(firsts) - 1 else "BP2"
        residuals = {equation: _difference(mine["delta"], theirs["delta"])}
        residuals |= _of_parameters(mine["gradients"], theirs["gradients"])
        paths = tuple(".".join(unit.path) for unit in units[first:end])
        slope = mine["slope"] if bool(mine["elementwise"]) else None
        layers.append(
            LayerTrace(paths, mine["z"], mine["a"], slope, mine["delta"], mine["gradients"], residuals)
        )
    worst = max(value for layer in layers for value in layer.residuals.values())
    worst = max(worst, _difference(hand["x"], auto["x"]))
    return BackpropTrace(model.name, x, float(hand["cost"]), tuple(layers), hand["x"], worst)


def _by_hand(units: list[Unit], firsts: list[int], x: Any, cost: Callable[[Any], Any], train: bool) -> Any:
    """The five steps: input, forward, error of the output, backward, gradients."""

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


def _by_grad(
    model: Layer,
    units: list[Unit],
    firsts: list[int],
    params: Any,
    state: Any,
    x: Any,
    cost: Callable[[Any], Any],
    key: Any,
    train: bool,
) -> Any:
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


def _of_parameters(mine: Any, theirs: Any) -> dict[str, float]:
    residuals: dict[str, float] = {}
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(mine), jax.tree.leaves(theirs), strict=True):
        equation = "BP3" if "bias" in jax.tree_util.keystr(path[-1:]) else "BP4"
        residuals[equation] = max(residuals.get(equation, 0.0), _difference(a, b))
    return dict(sorted(residuals.items()))


def _difference(a: Any, b: Any) -> float:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max((float(np.max(np.abs(x - y), initial=0.0)) for x, y in pairs), default=0.0)
