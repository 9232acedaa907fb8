"""Several layers side by side: one input each (``parallel``), or the same input (``branch``)."""

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
    describe,
    fold_names,
    plan_layer,
    planned,
)


def parallel(*layers: Any, **named: Any) -> Layer:
    """Apply layer ``i`` to entry ``i`` of a tuple; a tuple comes out.

    Keras needs its graph of symbolic inputs for this; here a two-tower model is one expression.

    Args:
        *layers: layers or callables, one for each entry of the input.
        **named: further children under names of their own, after ``layers``.

    Raises:
        TypeError: the input is not a tuple or list.
        ValueError: it has another length than there are layers, or two children share a name.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> towers = nn.chain(nn.parallel(nn.dense(3), nn.dense(5)), nn.concatenate())
        >>> params, state = towers.init(jax.random.key(0), (jnp.ones((1, 2)), jnp.ones((1, 7))))
        >>> towers.apply(params, state, (jnp.ones((4, 2)), jnp.ones((4, 7))))[0].shape
        (4, 8)
    """
    count = len(layers) + len(named)

    def inputs(x: PyTree) -> tuple[PyTree, ...]:
        if not isinstance(x, tuple | list):
            raise TypeError(
                f"parallel: expected a tuple of {count} inputs, got {describe(x)}; "
                "nn.branch gives one input to all"
            )
        if len(x) != count:
            raise ValueError(f"parallel: expected {count} inputs, one for each layer, got {len(x)}")
        return tuple(x)

    return _side_by_side("parallel", layers, named, inputs)


def branch(*layers: Any, **named: Any) -> Layer:
    """Apply every layer to the same input; a tuple comes out.

    Args:
        *layers: layers or callables.
        **named: further children under names of their own, after ``layers``.

    Raises:
        ValueError: two children share a name.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> heads = nn.branch(price=nn.dense(1), kind=nn.dense(16))
        >>> params, state = heads.init(jax.random.key(0), jnp.ones((1, 28)))
        >>> [y.shape for y in heads.apply(params, state, jnp.ones((4, 28)))[0]]
        [(4, 1), (4, 16)]
    """
    count = len(layers) + len(named)
    return _side_by_side("branch", layers, named, lambda x: (x,) * count)


def _side_by_side(owner: str, layers: tuple[Any, ...], named: dict[str, Any], inputs: Any) -> Layer:
    children = name_children(owner, layers, named)
    names = tuple(name for name, _ in children)

    def plan(x: PyTree) -> Plan:
        plans: list[tuple[str, Plan]] = []
        for (name, layer), entry in zip(children, inputs(x), strict=True):
            with child_scope(name):
                plans.append((name, plan_layer(layer, entry)))
        found = tuple(plans)
        output = tuple(child.output for _, child in found)
        return Plan(result, x, output, lambda key: build_children(found, key), found)

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        check_children(owner, params, names, "params")
        check_children(owner, state, names, "state")
        outputs: list[PyTree] = []
        new_state: State = {}
        keys = fold_names(key, "apply", names)
        for (name, layer), entry, child_key in zip(children, inputs(x), keys, strict=True):
            y, child_state = call_child(name, layer, params, state, entry, key=child_key, train=train)
            outputs.append(y)
            if child_state:
                new_state[name] = child_state
        return tuple(outputs), new_state

    result = planned(owner, plan, apply)
    return result
