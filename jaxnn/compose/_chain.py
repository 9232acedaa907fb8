"""Layers one after another."""

from typing import Any

from jaxnn.compose._children import name_children
from jaxnn.core import (
    Layer,
    Params,
    Plan,
    PyTree,
    State,
    build_children,
    call_child,
    check_children,
    child_scope,
    fold_names,
    plan_layer,
    planned,
)


def chain(*layers: Any, **named: Any) -> Layer:
    """Apply layers in order, each to the output of the one before.

    Unnamed children are called ``dense_0``, ``dense_1``, ``conv_0``, ... by kind, where Flax's
    ``Sequential`` numbers by position (``layers_3``), so that inserting an activation renames its
    successors. Bare callables (``jax.nn.relu``) are layers without parameters.

    Args:
        *layers: layers or callables.
        **named: further children under names of their own, after ``layers``.

    Returns:
        A layer with params ``{child: params}`` and state ``{child: state}``.

    Raises:
        ValueError: two children share a name.
        TypeError: a child is neither a layer nor a callable.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> model = nn.chain(nn.dense(8), jax.nn.relu, nn.dense(2).named("head"))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 4)))
        >>> sorted(params), params["head"]["kernel"].shape
        (['dense_0', 'head'], (8, 2))
    """
    children = name_children("chain", layers, named)
    names = tuple(name for name, _ in children)

    def plan(x: PyTree) -> Plan:
        plans: list[tuple[str, Plan]] = []
        y = x
        for name, layer in children:
            with child_scope(name):
                child = plan_layer(layer, y)
            plans.append((name, child))
            y = child.output
        found = tuple(plans)
        return Plan(result, x, y, lambda key: build_children(found, key), found)

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        check_children("chain", params, names, "params")
        check_children("chain", state, names, "state")
        new_state: State = {}
        keys = fold_names(key, "apply", names)
        for (name, layer), child_key in zip(children, keys, strict=True):
            x, child_state = call_child(name, layer, params, state, x, key=child_key, train=train)
            if child_state:
                new_state[name] = child_state
        return x, new_state

    result = planned("chain", plan, apply)
    return result
