"""The graph of a computation: nodes with values and gradients, and their table."""

from dataclasses import dataclass
from typing import Any

from jaxnn.core import printable
from jaxnn.inspect._columns import columns, number

INFIX = {
    **{"add": "+", "add_any": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"},
    **{"dot_general": "@", "small_product": "@"},
}


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
        return printable(columns(header, lines, "<<>>"))

    def written(self, node: Node) -> str:
        """Return the formula of a node in terms of others, as ``x + y``."""
        names = [self.nodes[i].name for i in node.inputs]
        if not node.inputs:
            return node.operation
        if node.symbol in INFIX.values() and len(names) == 2:
            return f" {node.symbol} ".join(names)
        if node.symbol.startswith("**"):
            return f"{names[0]} {node.symbol}"
        return f"-{names[0]}" if node.symbol == "-" else f"{node.symbol}({', '.join(names)})"
