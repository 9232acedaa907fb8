"""The leaves of a planned model: where each layer's trees stand, and how often they are stacked."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from jaxnn.core._layer import Plan

Path = tuple[str, ...]


class PlacedLayer(NamedTuple):
    """A layer without children, and its place in the model's trees.

    Attributes:
        path: names that lead to its part of ``params`` and ``state``.
        plan: what was found about it; its specs are those of one copy.
        copies: sizes of the axes that lead its leaves, one for each ``repeat`` around it.
    """

    path: Path
    plan: Plan
    copies: tuple[int, ...]


def placed_layers(plan: Plan, path: Path = (), copies: tuple[int, ...] = ()) -> Iterator[PlacedLayer]:
    """Yield the layers of a plan that have no children, in the order of their use."""
    if plan.copies is not None:
        # Stacked copies have the tree of one body, without a name of its own.
        copies = (*copies, plan.copies)
        for _, child in plan.children:
            yield from placed_layers(child, path, copies)
    elif plan.children:
        for name, child in plan.children:
            yield from placed_layers(child, (*path, name), copies)
    else:
        yield PlacedLayer(path, plan, copies)


def kernel_places(plan: Plan) -> dict[Path, int]:
    """Return the path of every leaf called ``kernel``, with the number of axes that stack copies of it."""
    places: dict[Path, int] = {}
    for layer in placed_layers(plan):
        params, _ = tree_specs(layer.plan)
        for keys, _ in jax.tree_util.tree_leaves_with_path(params):
            names = tuple(str(key.key) for key in keys)
            if names[-1] == "kernel":
                places[(*layer.path, *names)] = len(layer.copies)
    return places


def tree_specs(plan: Plan) -> tuple[Any, Any]:
    """Return the specs of ``(params, state)`` without making them."""
    return jax.eval_shape(plan.build, jax.eval_shape(jax.random.key, 0))
