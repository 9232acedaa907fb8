"""The equations of a jaxpr, run one by one with something added to every value."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnn.inspect._columns import number
from jaxnn.inspect._graph import INFIX, Graph, Node

_NAMES = {"logistic": "sigmoid", "reduce_sum": "sum", "reduce_max": "max", "reduce_min": "min"}
_TRANSPARENT = frozenset(
    ("convert_element_type", "copy", "reshape", "squeeze", "expand_dims", "broadcast_in_dim", "stop_gradient")
)


class GraphTrace:
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
                operation = operation_of(eqn)
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


def operation_of(eqn: Any) -> str:
    """Return the name of a primitive, or of the function that has a rule of its own."""
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
    return INFIX.get(operation) or _NAMES.get(operation, operation)
