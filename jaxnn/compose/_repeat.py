"""One compiled body for n layers: the children's trees stacked, applied by ``lax.scan``."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    Params,
    Plan,
    PyTree,
    State,
    check_arrays,
    describe,
    fold_index,
    lift,
    plan_layer,
    planned,
    positive_int,
    same_spec,
)


def repeat(layer: Any, n: int, *, unroll: int = 1) -> Layer:
    """Apply ``n`` layers of one kind, each with parameters of its own, as one scanned body.

    Compile time and the number of leaves do not grow with ``n``. Flax needs a lifted ``nn.scan`` with
    variable axes for this, Haiku an experimental ``layer_stack``.

    Args:
        layer: the body; its output must have the spec of its input. Wrap it in ``nn.remat`` to
            recompute instead of store, and put ``nn.cast`` outside.
        n: number of copies.
        unroll: copies inlined in one iteration of the loop.

    Returns:
        A layer with the body's trees, every leaf with a leading axis of ``n``.

    Raises:
        TypeError, ValueError: ``n`` or ``unroll`` is not a positive int, or the body changes the spec.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> deep = nn.repeat(nn.chain(nn.dense(4), jax.nn.relu), 3)
        >>> params, state = deep.init(jax.random.key(0), jnp.ones((1, 4)))
        >>> params["dense_0"]["kernel"].shape
        (3, 4, 4)
    """
    body = lift(layer)
    n = positive_int("repeat", "n", n)
    unroll = positive_int("repeat", "unroll", unroll)

    def plan(x: PyTree) -> Plan:
        child = plan_layer(body, x)
        if not same_spec(child.output, x):
            raise ValueError(
                f"repeat: the body must keep the spec of its input, got {describe(x)} in and "
                f"{describe(child.output)} out; make the sizes equal, or put what changes them outside"
            )

        def build(key: Any) -> tuple[Params, State]:
            return jax.vmap(lambda index: child.build(fold_index(key, index)))(
                jnp.arange(n, dtype=jnp.uint32)
            )

        return Plan(result, x, child.output, build, ((body.name, child),), n)

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        for tree, what in ((params, "params"), (state, "state")):
            check_arrays("repeat", tree, what)
            for leaf in jax.tree.leaves(tree):
                if leaf.shape[:1] != (n,):
                    raise ValueError(
                        f"repeat: expected {what} stacked on a leading axis of {n}, got {describe(leaf)}; "
                        "pass the tree that init returned for this model"
                    )

        def step(carry: PyTree, copy: Any) -> tuple[PyTree, State]:
            copy_params, copy_state, index = copy
            y, new_state = body.apply(copy_params, copy_state, carry, key=fold_index(key, index), train=train)
            if not same_spec(y, carry):
                raise ValueError(
                    f"repeat: the body must keep the spec of its input, got {describe(carry)} in and "
                    f"{describe(y)} out; make the sizes equal, or put what changes them outside"
                )
            return _strong(y), new_state

        copies = (params, state, jnp.arange(n, dtype=jnp.uint32))
        return jax.lax.scan(step, _strong(x), copies, length=n, unroll=unroll)

    result = planned("repeat", plan, apply)
    return result


def _strong(tree: PyTree) -> PyTree:
    """Drop weak types, which a scan's carry may not change."""
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.result_type(leaf)), tree)
