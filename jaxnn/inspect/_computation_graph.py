"""The computation graph of a function, with the value and the gradient at each node."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import describe
from jaxnn.inspect._graph import Graph
from jaxnn.inspect._graph_trace import GraphTrace


def computation_graph(function: Callable[..., Any], *args: Any) -> Graph:
    """Return the graph that ``function`` computes for ``args``, forward and backward.

    Every primitive operation is a node, with its value and the gradient of the result with respect to it, as
    ``jax.grad`` gives it. A function with a derivative of its own, such as ``jax.nn.relu``, is one node; so
    is a loop. The graph is read from the jaxpr, so that any function of JAX will do.

    Args:
        function: of arrays or pytrees of them, with one scalar result.
        *args: floating-point numbers or arrays; integers of Python are taken as floating point.

    Raises:
        TypeError: ``function`` is not callable, or an argument is not floating point.
        ValueError: the result is not one scalar.

    Example:
        >>> from jaxnn import inspect
        >>> print(inspect.computation_graph(lambda x, y, z: (x + y) * z, -2, 5, -4))
        node  computed as  value  ∂f/∂node
        x     input           -2        -4
        y     input            5        -4
        z     input           -4         3
        v1    x + y            3        -4
        f     v1 * z         -12         1
    """
    return graph_of("computation_graph", function, *args)


def graph_of(owner: str, function: Callable[..., Any], *args: Any) -> Graph:
    """Return ``computation_graph`` of a function, under the name of the function that was called."""
    if not callable(function):
        raise TypeError(f"{owner}: expected a function of arrays, got {describe(function)}")
    args = tuple(jax.tree.map(partial(_floating, owner), arg) for arg in args)
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)
    if getattr(shape, "shape", None) != ():
        raise ValueError(f"{owner}: the result must be one scalar, got {describe(shape)}; take the sum")
    flat, _ = jax.tree_util.tree_flatten_with_path(args)
    name = getattr(function, "__name__", "f")
    name = name if name.isidentifier() else "f"
    trace = GraphTrace(closed, [jnp.asarray(leaf) for _, leaf in flat])
    gradients = jax.grad(trace.result)(trace.no_shifts())
    return trace.graph(name, _argument_names(function, flat), gradients)


def _floating(owner: str, leaf: Any) -> Any:
    if isinstance(leaf, int) and not isinstance(leaf, bool):
        return float(leaf)
    if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
        raise TypeError(
            f"{owner}: arguments must be floating point, got {describe(leaf)}; convert them, "
            "or bind them with functools.partial"
        )
    return leaf


def _argument_names(function: Callable[..., Any], flat: list[tuple[Any, Any]]) -> list[str]:
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        parameters = []

    def written(path: tuple[Any, ...]) -> str:
        i = path[0].idx
        own = parameters[i] if i < len(parameters) else f"x{i}"
        return own + jax.tree_util.keystr(path[1:]).replace("'", "")

    return [written(path) for path, _ in flat]
