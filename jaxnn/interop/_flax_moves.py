"""Each leaf of a model of ours, and the arrays of Flax that it is made of."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxnn.core import describe, is_traced, lift, nearest, placed_layers, plan_layer, spec_of
from jaxnn.interop._flax_rules import kind_moves, merges_axes, widths
from jaxnn.interop._flax_trees import Flat
from jaxnn.interop._leaves import joined, split, stacked
from jaxnn.interop._parts import Part, parts_of
from jaxnn.interop._renames import Renames

Names = Mapping[str, str]


class Move:
    """One leaf of ours, and the arrays that it is made of.

    Attributes:
        tree: ``"params"`` or ``"state"``.
        ours: its path.
        theirs: names of the arrays whose last axes are joined to it: one tuple, or one for each copy.
    """

    def __init__(
        self,
        owner: str,
        tree: str,
        ours: tuple[str, ...],
        spec: Any,
        theirs: list[tuple[str, ...]],
        stack: bool,
    ) -> None:
        self.owner, self.tree, self.ours, self.spec = owner, tree, ours, spec
        self.theirs, self.stack = theirs, stack
        self.path = ".".join(ours)

    def read(self, leaves: Flat) -> Any:
        """Return the leaf, made of ``leaves``."""
        copies = [self._one(copy, leaves) for copy in self.theirs]
        return stacked(copies) if self.stack else copies[0]

    def _shape(self) -> tuple[int, ...]:
        return self.spec.shape[1:] if self.stack else self.spec.shape

    def _one(self, names: tuple[str, ...], leaves: Flat) -> Any:
        shape = self._shape()
        if not names:
            return np.zeros(shape, next(iter(leaves.values())).dtype)
        parts = [leaves[name] for name in names]
        value = parts[0] if len(parts) == 1 else joined(parts, -1)
        self._check(merges_axes(value.shape, shape), names, value)
        return value.reshape(shape)

    def write(self, value: Any, like: Flat, found: Flat) -> None:
        """Put what the leaf is made of into ``found``, in the shapes of ``like``."""
        if tuple(np.shape(value)) != self.spec.shape:
            raise ValueError(
                f"{self.owner}: {self.path}: expected {describe(self.spec)}, got {describe(value)}"
            )
        for index, names in enumerate(self.theirs):
            self._write_one(value[index] if self.stack else value, names, like, found)

    def _write_one(self, value: Any, names: tuple[str, ...], like: Flat, found: Flat) -> None:
        if not names:
            if is_traced(value) or np.any(np.asarray(value)):
                raise ValueError(
                    f"{self.owner}: {self.path} has no place in this Flax cell and is not known to be zero; "
                    "use linen's GRUCell, which has one"
                )
            return
        parts = tuple(like[name] for name in names)
        pieces = [value] if len(parts) == 1 else split(value, widths(parts))
        for name, piece, part in zip(names, pieces, parts, strict=True):
            self._check(merges_axes(part.shape, piece.shape), (name,), part)
            found[name] = piece.reshape(part.shape)

    def _check(self, fits: bool, names: tuple[str, ...], theirs: Any) -> None:
        if not fits:
            raise ValueError(
                f"{self.owner}: {self.path}: expected {describe(self.spec)}, got {describe(theirs)} from "
                f"{', '.join(names)}; another module, or other sizes"
            )


def flax_moves(owner: str, leaves: Flat, model: Any, x: Any, names: Names | None) -> list[Move]:
    """Return one move for each leaf of ``model``, from or to arrays with the paths of ``leaves``.

    Raises:
        ValueError: a layer finds no array, or a name no layer.
    """
    renames = Renames(owner, names)
    layers = list(placed_layers(plan_layer(lift(model), spec_of(x))))
    parts = [part for layer in layers for part in parts_of(layer)]
    moves = [move for part in parts for move in _part_moves(owner, part, renames, leaves)]
    renames.check_used(".".join(layer.path) for layer in layers)
    return moves


def _part_moves(owner: str, part: Part, renames: Renames, leaves: Flat) -> list[Move]:
    path = part.name
    if len(part.copies) > 1:
        raise ValueError(f"{owner}: {path} is repeated within a repeat, which no name can tell apart")
    each = [(i,) for i in range(part.copies[0])] if part.copies else [()]
    # A target without the hole is the same for every copy: then the array there is stacked itself.
    apart = bool(part.copies) and renames.find(path, (0,)) != renames.find(path, (1,))
    per_copy = [
        _sources(owner, path, part.kind, list(part.leaves), renames, leaves, i)
        for i in (each if apart else each[:1])
    ]
    return [
        Move(
            owner,
            tree,
            (*part.path, *leaf.split(".")),
            jax.ShapeDtypeStruct((*part.copies, *spec.shape), spec.dtype),
            [sources[leaf] for sources in per_copy],
            apart,
        )
        for leaf, (tree, spec) in part.leaves.items()
    ]


def _sources(
    owner: str,
    path: str,
    kind: str,
    wanted: list[str],
    renames: Renames,
    leaves: Flat,
    copy: tuple[int, ...],
) -> dict[str, tuple[str, ...]]:
    """Names of the arrays that make each leaf of a layer."""
    exact = {leaf: renames.exact(f"{path}.{leaf}".lstrip("."), copy) for leaf in wanted}
    found = {leaf: (name,) for leaf, name in exact.items() if name is not None}
    rest = [leaf for leaf in wanted if leaf not in found]
    if rest:
        place = _under(renames.find(path, copy))
        moves = kind_moves(kind, rest, lambda name: place(name) in leaves) or {}
        missing = [leaf for leaf in rest if leaf not in moves]
        if missing:
            raise ValueError(
                f"{owner}: {path or 'the model'}: no rule tells where a layer of kind {kind!r} finds "
                f"{', '.join(missing)}; map them one by one, as in "
                f"{{'{f'{path}.{missing[0]}'.lstrip('.')}': 'Module_0.name'}}"
            )
        found |= {leaf: tuple(place(name) for name in names) for leaf, names in moves.items()}
    for names in found.values():
        for name in names:
            if name not in leaves:
                raise ValueError(
                    f"{owner}: {path or 'the model'} ({kind}): no array {name!r}; {nearest(name, leaves)}"
                )
    return found


def _under(target: str) -> Callable[[str], str]:
    return lambda name: f"{target}.{name}" if target else name
