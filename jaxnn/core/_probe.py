"""A probe that rides in a model's state: what went into and came out of every child, and shifts of it.

State is threaded through every composite, and through ``scan``, ``checkpoint`` and ``vmap`` with them. What a
probe finds comes back the same way, so that looking inside needs no hidden stack and no change of a model,
and costs nothing where no probe is.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax

# None of them is an identifier, so that no child and no array of a layer's own state is called so.
PROBE = "<probe>"
RECORD = "<record>"
SHIFT = "<shift>"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Call:
    """What was measured at one call of a child.

    Attributes:
        found: what the probe's ``measure`` returned.
        order: number of the call among all, by when they ended: a child's before its parent's.
    """

    found: Any
    order: int = field(metadata={"static": True})


class Shift(NamedTuple):
    """What is added to a call's input and output: a list for each, one entry for each of its arrays.

    ``None``, for an array or for all, adds nothing. The gradient with respect to a shift of 0 is the gradient
    with respect to the value itself.
    """

    inputs: list[Any] | None = None
    outputs: list[Any] | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Probe:
    """Under ``PROBE`` in a composite's state, it measures every child, and every child's children.

    Attributes:
        measure: ``(x, y) -> found``, on what goes into a child and what comes out.
        shifts: ``{child: {SHIFT: (Shift, ...), grandchild: {...}}}`` with a ``Shift`` for each call; a path
            that is not in it is not shifted.
        count: numbers the calls.
    """

    measure: Callable[[Any, Any], Any] = field(metadata={"static": True})
    shifts: dict[str, Any] = field(default_factory=dict)
    count: Iterator[int] = field(default_factory=itertools.count, metadata={"static": True})

    def apply(self, name: str, apply: Callable[..., Any], state: Any, x: Any, composite: bool) -> Any:
        """Call ``apply(state, x)`` of the child ``name`` and add what was measured to its state."""
        shifts = dict(self.shifts.get(name, {}))
        calls = state.get(RECORD, ())
        own = {key: leaf for key, leaf in state.items() if key != RECORD}
        shift = shifts.pop(SHIFT)[len(calls)] if SHIFT in shifts else Shift()
        if composite:
            own[PROBE] = Probe(self.measure, shifts, self.count)
        x = _shifted(x, shift.inputs)
        y, new = apply(own, x)
        y = _shifted(y, shift.outputs)
        call = Call(self.measure(x, y), next(self.count))
        return y, {**without_probe(new), RECORD: (*calls, call)}


def _shifted(tree: Any, shifts: list[Any] | None) -> Any:
    if shifts is None:
        return tree
    leaves, structure = jax.tree.flatten(tree)
    pairs = zip(leaves, shifts, strict=True)
    return jax.tree.unflatten(structure, [v if shift is None else v + shift for v, shift in pairs])


def with_probe(state: Any, probe: Probe) -> Any:
    """Return a state with ``probe`` in it; a state that is no dict can carry none."""
    return {**state, PROBE: probe} if isinstance(state, dict) else state


def without_probe(state: dict[str, Any]) -> dict[str, Any]:
    """Return ``state`` without the probe that rides in it."""
    return {name: leaf for name, leaf in state.items() if name != PROBE}


def split_records(state: Any) -> tuple[Any, dict[str, Any]]:
    """Return ``state`` as it is without a probe, and the records: ``{child: {RECORD: calls, ...}}``."""
    if not isinstance(state, dict):
        return state, {}
    clean: dict[str, Any] = {}
    records: dict[str, Any] = {}
    for name, leaf in state.items():
        if name == RECORD:
            records[name] = leaf
        elif isinstance(leaf, dict):
            inner, found = split_records(leaf)
            if inner or not found:
                clean[name] = inner
            if found:
                records[name] = found
        elif name != PROBE:
            clean[name] = leaf
    return clean, records


def listed_calls(records: dict[str, Any]) -> list[tuple[tuple[str, ...], int, Call]]:
    """Return ``(path, number, call)`` of every call in the order in which they ended.

    ``number`` counts the calls of one child.
    """

    def walk(tree: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int, Call]]:
        for name, inner in tree.items():
            if name == RECORD:
                yield from ((path, number, call) for number, call in enumerate(inner))
            else:
                yield from walk(inner, (*path, name))

    return sorted(walk(records, ()), key=lambda entry: entry[2].order)
