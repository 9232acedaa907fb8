"""Back-propagation written out: every layer's ``z``, ``a``, ``delta`` and gradients, and its four equations.

For a layer ``z = a_before W + b``, ``a = g(z)``, rows of ``z`` being examples, and a cost ``C``:

    BP1  delta = (dC/da) g'(z)                    of the last layer
    BP2  delta = (delta_next W_next^T) g'(z)      of every layer before
    BP3  dC/db = sum of delta over the examples
    BP4  dC/dW = a_before^T delta

Rumelhart, Hinton and Williams (1986), "Learning representations by back-propagating errors"; numbered as in
Nielsen (2015), "Neural Networks and Deep Learning", chapter 2.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import (
    Layer,
    Params,
    PyTree,
    State,
    check_key,
    check_train,
    describe,
    lift,
    plan_layer,
    printable,
    spec_of,
)
from jaxnn.inspect._back_equations import equations_by_hand, gradients_by_jax
from jaxnn.inspect._computation_graph import graph_of
from jaxnn.inspect._graph import Graph
from jaxnn.inspect._units import units_of


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

        return printable(written(self))


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
        TypeError: arguments are missing or too many, the input is not one floating-point or integer array, or
            ``loss`` is no function.
        ValueError: no layer has parameters, or the result of a plain function is not one scalar.

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
    if isinstance(model, Layer):
        try:
            _SIGNATURE.bind(model, *args, **options)
        except TypeError as error:
            raise TypeError(
                f"backprop_trace: {error}; of a layer it takes (model, params, state, x, targets, loss, *, "
                "key=None, train=False)"
            ) from error
        return _traced(model, *args, **options)
    if options:
        raise TypeError(
            f"backprop_trace: {', '.join(options)} can be given for a layer only, and the model is "
            f"{describe(model)}; bind arguments of a function with functools.partial"
        )
    return graph_of("backprop_trace", model, *args)


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
        return equations_by_hand(units, firsts, x, lambda y: cost(y, targets), train)

    def by_grad(params: Any, state: Any, x: Any, targets: Any, key: Any) -> Any:
        units = units_of(plan, params, state, key)
        return gradients_by_jax(
            model, units, firsts, params, state, x, lambda y: cost(y, targets), key, train
        )

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
    worst = _worst(
        [_difference(hand["x"], auto["x"]), *(v for one in layers for v in one.residuals.values())]
    )
    return BackpropTrace(model.name, x, float(hand["cost"]), tuple(layers), hand["x"], worst)


_SIGNATURE = inspect.signature(_traced)


def _of_parameters(mine: Any, theirs: Any) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(mine), jax.tree.leaves(theirs), strict=True):
        equation = "BP3" if "bias" in jax.tree_util.keystr(path[-1:]) else "BP4"
        found.setdefault(equation, []).append(_difference(a, b))
    return {equation: _worst(found[equation]) for equation in sorted(found)}


def _difference(a: Any, b: Any) -> float:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return _worst([float(np.max(np.abs(x - y), initial=0.0)) for x, y in pairs])


def _worst(values: list[float]) -> float:
    """The largest; unlike Python's ``max``, NaN where there is one."""
    return float(np.max(values, initial=0.0))
