"""A chain, however nested, as the row of layers that run one after another."""

from typing import Any, NamedTuple

from jaxnn.core import Layer, Plan, fold_name


class Unit(NamedTuple):
    """One layer of a chain, with its own part of everything.

    Attributes:
        path: names from the root.
        layer: the layer.
        params: its parameters.
        state: its state.
        key: its random key, or ``None``.
    """

    path: tuple[str, ...]
    layer: Layer
    params: Any
    state: Any
    key: Any


def units_of(plan: Plan, params: Any, state: Any, key: Any, path: tuple[str, ...] = ()) -> list[Unit]:
    """Return the layers of a planned model in order; what is no chain is one unit."""
    if plan.layer.kind != "chain":
        return [Unit(path or (plan.layer.name,), plan.layer, params, state, key)]
    return [
        unit
        for name, child in plan.children
        for unit in units_of(
            child, params.get(name, {}), state.get(name, {}), fold_name(key, "apply", name), (*path, name)
        )
    ]
