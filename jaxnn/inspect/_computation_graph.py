"""The computation graph of a function, with the value and the gradient at each node."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import describe
from jaxnn.inspect._columns import columns, number

_INFIX = {"add": "+", "add_any": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "dot_general": "@"}
_NAMES = {"logistic": "sigmoid", "reduce_sum": "sum", "reduce_max": "max", "reduce_min": "min"}
_TRANSPARENT = frozenset(
    ("convert_element_type", "copy", "reshape", "squeeze", "expand_dims", "broadcast_in_dim", "stop_gradient")
)


@dataclass(frozen=True)
class Node:
    """One value of a computation.

    Attributes:
        name: the argument's name; ``v1``, ``v2``, ... for what is computed; the function's own for the
            result; a constant's number.
        operation: the primitive that computed it, ``"input"`` or ``"constant"``.
        symbol: how Python writes the operation, as ``"+"`` or ``"exp"``.
        inputs: indices of the nodes that it is computed from.
        value: what it is.
        gradient: of the result with respect to it; ``None`` for a constant.
    """

    name: str
    operation: str
    symbol: str
    inputs: tuple[int, ...]
    value: Any
    gradient: Any


@dataclass(frozen=True)
class Graph:
    """A computation, node by node in the order in which it ran; ``print`` shows it as a table.

    Attributes:
        name: the function's.
        nodes: inputs, constants and what was computed; the last one is the result.
    """

    name: str
    nodes: tuple[Node, ...]

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name and node.operation != "constant":
                return node
        names = ", ".join(node.name for node in self.nodes if node.operation != "constant")
        raise KeyError(f"no node is called {name!r}; there are {names}")

    def __str__(self) -> str:
        header = ("node", "computed as", "value", f"∂{self.name}/∂node")
        lines = [
            (node.name, self.written(node), number(node.value), number(node.gradient))
            for node in self.nodes
            if node.operation != "constant"
        ]
        return columns(header, lines, "<<>>")

    def written(self, node: Node) -> str:
        """Return the formula of a node in terms of others, as ``x + y``."""
        names = [self.nodes[i].name for i in node.inputs]
        if not node.inputs:
            return node.operation
        if node.symbol in _INFIX.values() and len(names) == 2:
            return f" {node.symbol} ".join(names)
        if node.symbol.startswith("**"):
            return f"{names[0]} {node.symbol}"
        return f"-{names[0]}" if node.symbol == "-" else f"{node.symbol}({', '.join(names)})"


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
    if not callable(function):
        raise TypeError(f"computation_graph: expected a function of arrays, got {describe(function)}")
    args = tuple(jax.tree.map(_floating, arg) for arg in args)
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)
    if getattr(shape, "shape", None) != ():
        raise ValueError(
            f"computation_graph: the result must be one scalar, got {describe(shape)}; take the sum"
        )
    flat, _ = jax.tree_util.tree_flatten_with_path(args)
    name = getattr(function, "__name__", "f")
    name = name if name.isidentifier() else "f"
    trace = _Trace(closed, [jnp.asarray(leaf) for _, leaf in flat])
    gradients = jax.grad(trace.result)(trace.no_shifts())
    return trace.graph(name, _argument_names(function, flat), gradients)


def _floating(leaf: Any) -> Any:
    if isinstance(leaf, int) and not isinstance(leaf, bool):
        return float(leaf)
    if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
        raise TypeError(
            f"computation_graph: arguments must be floating point, got {describe(leaf)}; convert them, "
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


class _Trace:
    """The equations of a jaxpr with calls inlined, run with something added to every value."""

    def __init__(self, closed: Any, args: list[Any]) -> None:
        self.values: list[Any] = []
        self.equations: list[tuple[Any, list[int], list[int]]] = []
        self.inputs = [self._leaf(arg) for arg in args]
        self.constants: set[int] = set()
        self.output = self._inline(closed.jaxpr, [self._constant(c) for c in closed.consts], self.inputs)[0]

    def _leaf(self, value: Any) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def _constant(self, value: Any) -> int:
        index = self._leaf(jnp.asarray(value))
        self.constants.add(index)
        return index

    def _inline(self, jaxpr: Any, consts: list[int], args: list[int]) -> list[int]:
        where = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

        def read(atom: Any) -> int:
            return self._constant(atom.val) if hasattr(atom, "val") else where[atom]

        for eqn in jaxpr.eqns:
            operands = [read(atom) for atom in eqn.invars]
            inner = eqn.params.get("jaxpr") if eqn.primitive.name in ("jit", "pjit", "closed_call") else None
            if inner is not None:
                results = self._inline(inner.jaxpr, [self._constant(c) for c in inner.consts], operands)
            else:
                outputs = _bind(eqn, [self.values[i] for i in operands])
                results = [self._leaf(value) for value in outputs]
                self.equations.append((eqn, operands, results))
            where.update(zip(eqn.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def no_shifts(self) -> dict[int, Any]:
        """Zeros for every value that can be differentiated."""
        return {
            i: jnp.zeros_like(value)
            for i, value in enumerate(self.values)
            if i not in self.constants and jnp.issubdtype(value.dtype, jnp.floating)
        }

    def result(self, shifts: dict[int, Any]) -> Any:
        """Run again with ``shifts`` added; what is not shifted keeps its value."""
        values = dict(enumerate(self.values))
        for i in self.inputs:
            values[i] = values[i] + shifts[i]
        for eqn, operands, results in self.equations:
            for i, value in zip(results, _bind(eqn, [values[j] for j in operands]), strict=True):
                values[i] = value + shifts[i] if i in shifts else value
        return values[self.output]

    def graph(self, name: str, argument_names: list[str], gradients: dict[int, Any]) -> Graph:
        """Return the nodes on which the result depends, with operations that only reshape left out."""
        made = {i: (eqn, operands) for eqn, operands, results in self.equations for i in results}

        def seen(i: int) -> int:
            while i in made and _is_transparent(made[i][0]):
                i = made[i][1][0]
            return i

        output = seen(self.output)
        needed, stack = set(), [output]
        while stack:
            i = stack.pop()
            if i not in needed:
                needed.add(i)
                stack.extend(seen(j) for j in (made[i][1] if i in made else ()))
        order = [*self.inputs, *sorted(needed - set(self.inputs) - {output}), output]
        order = list(dict.fromkeys(order))
        place = {i: position for position, i in enumerate(order)}
        names = dict(zip(self.inputs, argument_names, strict=True))
        nodes = []
        for i in order:
            value = np.asarray(self.values[i])
            gradient = np.asarray(gradients[i]) if i in gradients else None
            if i in names:
                nodes.append(Node(names[i], "input", names[i], (), value, gradient))
            elif i not in made:
                written = number(value)
                nodes.append(Node(written, "constant", written, (), value, None))
            else:
                eqn, operands = made[i]
                own = name if i == output else f"v{len(names) - len(self.inputs) + 1}"
                names[i] = own
                operation = _operation(eqn)
                inputs = tuple(place[seen(j)] for j in operands)
                nodes.append(Node(own, operation, _symbol(eqn, operation), inputs, value, gradient))
        return Graph(name, tuple(nodes))


def _bind(eqn: Any, operands: list[Any]) -> list[Any]:
    """Run one equation."""
    params = eqn.primitive.get_bind_params(eqn.params)
    # Before jax 0.10.2 the functions of a custom rule came apart from the other parameters.
    functions, params = params if isinstance(params, tuple) else ((), params)
    found = eqn.primitive.bind(*functions, *operands, **params)
    return list(found) if eqn.primitive.multiple_results else [found]


def _is_transparent(eqn: Any) -> bool:
    """Whether it changes shape or dtype alone."""
    moves = eqn.primitive.name in _TRANSPARENT
    return moves and eqn.invars[0].aval.size == eqn.outvars[0].aval.size


def _operation(eqn: Any) -> str:
    inner = eqn.params.get("call_jaxpr")
    name = eqn.params.get("name") or getattr(getattr(inner, "jaxpr", inner), "debug_info", None)
    if eqn.primitive.name.startswith("custom_") and name is not None:
        return str(getattr(name, "func_name", name) or eqn.primitive.name)
    return eqn.primitive.name


def _symbol(eqn: Any, operation: str) -> str:
    if operation in ("integer_pow", "square"):
        return f"**{eqn.params.get('y', 2)}"
    if operation == "neg":
        return "-"
    return _INFIX.get(operation) or _NAMES.get(operation, operation)
