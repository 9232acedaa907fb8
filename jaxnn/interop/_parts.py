"""The parts of a layer that have rules of their own: the layer itself, or each cell that ``rnn`` scans."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from jaxnn.core import PlacedLayer
from jaxnn.interop._leaves import wanted_leaves

_CELLS = {"lstm_cell": "lstm", "gru_cell": "gru", "simple_rnn_cell": "simple_rnn"}


class Part(NamedTuple):
    """Leaves that stand together in both libraries.

    Attributes:
        path: names that lead to them: the layer's, and the cell's in a stack of cells.
        kind: what rules know it by.
        leaves: tree (``"params"`` or ``"state"``) and spec of one copy of each, by its path in the part.
        copies: see ``PlacedLayer``.
    """

    path: tuple[str, ...]
    kind: str
    leaves: dict[str, tuple[str, Any]]
    copies: tuple[int, ...]

    @property
    def name(self) -> str:
        """The path as a text."""
        return ".".join(self.path)

    def leaf_name(self, leaf: str) -> str:
        """The path of a leaf as a text."""
        return ".".join((*self.path, leaf))


def parts_of(layer: PlacedLayer) -> Iterator[Part]:
    """Yield the parts of a layer that has leaves."""
    wanted = wanted_leaves(layer)
    if not wanted:
        return
    cell = getattr(layer.plan.layer, "cell", None)
    if cell is None:
        yield Part(layer.path, layer.plan.layer.kind, wanted, layer.copies)
    else:
        yield from _cell_parts(cell, Part(layer.path, cell, wanted, layer.copies))


def _cell_parts(cell: str, part: Part) -> Iterator[Part]:
    if cell != "stacked_cell":
        yield part._replace(kind=_CELLS.get(cell, cell))
        return
    stack: dict[str, dict[str, tuple[str, Any]]] = {}
    for leaf, wanted in part.leaves.items():
        name, _, rest = leaf.partition(".")
        stack.setdefault(name, {})[rest] = wanted
    for name, leaves in stack.items():
        below = Part((*part.path, name), cell, leaves, part.copies)
        yield from _cell_parts(re.sub(r"_\d+$", "", name), below)
