"""A picture of a computation graph: values run to the right above the wires, gradients back below them."""

from typing import Any

from jaxnn.inspect._columns import number
from jaxnn.inspect._graph import Graph, Node
from jaxnn.inspect._picture import BACKWARD, FORWARD, INK, QUIET, Canvas, text_width

_RADIUS = 0.25
_ROW = 0.86
_SYMBOLS = {
    "*": "\N{MULTIPLICATION SIGN}",
    "-": "\N{MINUS SIGN}",
    "/": "\N{DIVISION SIGN}",
    "@": "\N{BULLET}",
    "sigmoid": "\N{GREEK SMALL LETTER SIGMA}",
    "sum": "\N{GREEK CAPITAL LETTER SIGMA}",
    "**2": "x\N{SUPERSCRIPT TWO}",
    "**3": "x\N{SUPERSCRIPT THREE}",
    "**": "x\N{SUPERSCRIPT LATIN SMALL LETTER N}",
}


def draw_graph(graph: Graph) -> Canvas:
    """Draw ``graph`` from its inputs on the left to its result on the right."""
    nodes = graph.nodes
    level = _levels(nodes)
    rows = _rows(nodes, level)
    shown = [i for i, node in enumerate(nodes) if node.operation != "constant"]
    widest = max(max(text_width(_written(v), 9) for v in (nodes[i].value, nodes[i].gradient)) for i in shown)
    step = 3 * _RADIUS + max(0.6, widest + 0.2)
    left = 0.35 + max(text_width(node.name, 10) for node in nodes if node.operation == "input")
    width = left + step * (max(level) + 1) - _RADIUS + max(0.4, text_width(graph.name, 10) + 0.2)
    heights = [rows[i] for i in shown]
    height = 1.3 + _ROW * (max(heights) - min(heights)) + 0.55
    title = f"{graph.name} and its gradient"
    canvas = Canvas(max(width, 4.2), height)
    canvas.text(0.3, 0.26, title, 12, weight="bold", ha="left")
    canvas.text(0.3, 0.52, "value", 9, FORWARD, ha="left", weight="bold")
    canvas.text(0.3 + text_width("value", 9) + 0.12, 0.52, "forward, above the wire", 9, QUIET, ha="left")
    canvas.text(0.3, 0.70, "gradient", 9, BACKWARD, ha="left", weight="bold")
    words = f"of {graph.name}, backward, below the wire"
    canvas.text(0.3 + text_width("gradient", 9) + 0.12, 0.70, words, 9, QUIET, ha="left")
    places = [
        (left + step * column, 1.3 + _ROW * (row - min(heights)))
        for column, row in zip(level, rows, strict=True)
    ]
    _paint(canvas, graph, places, step)
    return canvas


def _paint(canvas: Canvas, graph: Graph, places: list[tuple[float, float]], step: float) -> None:
    taken: set[int] = set()
    for index, node in enumerate(graph.nodes):
        x, y = places[index]
        sources = [i for i in node.inputs if graph.nodes[i].operation != "constant"]
        for order, source in enumerate(sources):
            sx, sy = places[source]
            start = sx + (0 if graph.nodes[source].operation == "input" else _RADIUS)
            # The numbers stand on the level part of the wire, right of its source.
            bend = sx + step - 2 * _RADIUS
            if abs(sy - y) < 1e-6:
                canvas.arrow([(start, sy), (x - _RADIUS, y)])
            else:
                spread = 0.16 * (order - (len(sources) - 1) / 2)
                far = x - 2 * _RADIUS
                points = [(start, sy), (max(bend, far), sy)]
                canvas.arrow([*points, (x - _RADIUS * 0.95, y + spread)])
            if source not in taken:
                taken.add(source)
                _numbers(canvas, graph.nodes[source], (start + bend) / 2, sy)
        if node.operation == "input":
            canvas.text(x - 0.07, y, node.name, 11, INK, ha="right", weight="bold")
        elif node.operation != "constant":
            symbol = _symbol(graph, node)
            size = 14 if len(symbol) == 1 else max(5.5, 11 - 0.9 * max(0, len(symbol) - 2))
            canvas.circle(x, y, _RADIUS, "white", INK)
            canvas.text(x, y, symbol, size, INK)
    x, y = places[-1]
    end = x + step - _RADIUS
    canvas.arrow([(x + _RADIUS, y), (end, y)])
    _numbers(canvas, graph.nodes[-1], (x + _RADIUS + end) / 2, y)
    canvas.text(end + 0.06, y, graph.name, 11, INK, ha="left", weight="bold")


def _symbol(graph: Graph, node: Node) -> str:
    """The operation, with a constant on the side on which it stands."""
    symbol = _SYMBOLS.get(node.symbol, node.symbol)
    constants = [(side, graph.nodes[i]) for side, i in enumerate(node.inputs)]
    for side, other in constants:
        if other.operation == "constant" and len(constants) == 2:
            words = number(other.value, 3).replace("-", "\N{MINUS SIGN}")
            gap = " " if len(symbol) > 1 else ""
            return symbol + gap + words if side or gap else words + symbol
    return symbol


def _numbers(canvas: Canvas, node: Node, x: float, y: float) -> None:
    canvas.text(x, y - 0.12, _written(node.value), 9, FORWARD)
    if node.gradient is not None:
        canvas.text(x, y + 0.13, _written(node.gradient), 9, BACKWARD)


def _written(value: Any) -> str:
    return number(value, 4).replace("-", "\N{MINUS SIGN}")


def _levels(nodes: tuple[Node, ...]) -> list[int]:
    """Columns: one after the last of what a node is computed from; inputs right before their first use."""
    level = [0] * len(nodes)
    for index, node in enumerate(nodes):
        if node.inputs:
            level[index] = 1 + max(level[i] for i in node.inputs)
    for index, node in enumerate(nodes):
        if node.operation in ("input", "constant"):
            used = [level[i] for i, other in enumerate(nodes) if index in other.inputs]
            level[index] = min(used, default=1) - 1
    return level


def _rows(nodes: tuple[Node, ...], level: list[int]) -> list[float]:
    """Heights: leaves one below the other in the order in which they are met from the result."""
    rows: dict[int, float] = {}
    count = 0.0

    def visit(index: int) -> float:
        nonlocal count
        if index in rows:
            return rows[index]
        fresh = [i for i in nodes[index].inputs if i not in rows and nodes[i].operation != "constant"]
        heights = [visit(i) for i in fresh]
        if heights:
            rows[index] = sum(heights) / len(heights)
        else:
            rows[index] = count
            count += 1
        return rows[index]

    visit(len(nodes) - 1)
    for index, node in enumerate(nodes):
        if node.operation == "constant":
            rows[index] = 0.0
        visit(index)
    # Two nodes of one column never stand on each other.
    taken: dict[int, list[float]] = {}
    drawn = [i for i in rows if nodes[i].operation != "constant"]
    for index in sorted(drawn, key=lambda i: (level[i], rows[i])):
        column = taken.setdefault(level[index], [])
        while any(abs(rows[index] - other) < 0.9 for other in column):
            rows[index] += 0.5
        column.append(rows[index])
    return [rows[index] for index in range(len(nodes))]
