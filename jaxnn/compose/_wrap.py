"""Wrappers that keep their child's name, tree and keys: ``remat``, ``cast``, and ``mode``."""

from collections.abc import Callable
from dataclasses import replace
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
    check_train,
    lift,
    plan_layer,
    spec_of,
)


def remat(layer: Any, *, policy: Callable[..., bool] | None = None) -> Layer:
    """Recompute a layer's activations in the backward pass instead of storing them.

    Values, gradients and random numbers are those of ``layer``; memory falls, time rises. A thin name
    for ``jax.checkpoint`` that binds ``train``, which Flax's ``nn.remat`` asks for by argument number.

    Args:
        layer: layer or callable.
        policy: what may be stored all the same, from ``jax.checkpoint_policies``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> model = nn.remat(nn.chain(nn.dense(4), jnp.tanh, nn.dense(1)))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 2)))
        >>> sorted(params)
        ['dense_0', 'dense_1']
    """
    child = lift(layer)

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        check_arrays("remat", params)
        return jax.checkpoint(mode(child, train=train), policy=policy)(params, state, x, key)

    def plan(x: PyTree) -> Plan:
        return plan_layer(child, x)._replace(layer=result)

    result = replace(child, apply=apply, plan=plan)
    return result


def cast(layer: Any, compute_dtype: Any = jnp.bfloat16) -> Layer:
    """Compute a layer in another floating-point dtype; its parameters and state stay as they are.

    Floating-point parameters and inputs are cast on the way in, so gradients arrive in the parameters'
    own dtype. The output has ``compute_dtype``; losses and statistics upcast by themselves, and state
    is never cast.

    Args:
        layer: layer or callable.
        compute_dtype: floating-point dtype of the computation.

    Raises:
        TypeError: ``compute_dtype`` is not a floating-point dtype.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> model = nn.cast(nn.dense(4))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 2)))
        >>> y, _ = model.apply(params, state, jnp.ones((3, 2)))
        >>> params["kernel"].dtype, y.dtype
        (dtype('float32'), dtype(bfloat16))
    """
    child = lift(layer)
    try:
        dtype = jnp.dtype(compute_dtype)
    except TypeError:
        dtype = jnp.dtype(int)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"cast: compute_dtype must be a floating-point dtype, got {compute_dtype!r}; use jnp.bfloat16"
        )

    def lower(tree: PyTree) -> PyTree:
        def one(leaf: Any) -> Any:
            return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

        return jax.tree.map(one, tree)

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        check_arrays("cast", params)
        return child.apply(lower(params), state, lower(x), key=key, train=train)

    def plan(x: PyTree) -> Plan:
        found = plan_layer(child, x)
        trees = jax.eval_shape(found.build, jax.eval_shape(jax.random.key, 0))
        key = jax.eval_shape(jax.random.key, 0)
        output, _ = jax.eval_shape(lambda p, s, v, k: apply(p, s, v, key=k), *trees, x, key)
        return found._replace(layer=result, output=spec_of(output))

    result = replace(child, apply=apply, plan=plan)
    return result


def mode(model: Layer, *, train: bool) -> Callable[..., tuple[PyTree, State]]:
    """Bind ``train`` and return ``apply`` in the positional form ``(params, state, x, key=None)``.

    ``vmap``, ``checkpoint`` and ``shard_map`` map positional arguments alone.

    Raises:
        TypeError: ``train`` is not a Python bool.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> model = nn.chain(nn.dense(3), nn.dropout(0.5))
        >>> keys = jax.random.split(jax.random.key(0), 8)
        >>> params, state = jax.vmap(lambda key: model.init(key, jnp.ones((1, 2))))(keys)
        >>> run = jax.vmap(nn.mode(model, train=True), in_axes=(0, 0, None, 0))
        >>> run(params, state, jnp.ones((4, 2)), keys)[0].shape
        (8, 4, 3)
    """
    check_train("mode", train)

    def positional(params: Params, state: State, x: PyTree, key: Any = None) -> tuple[PyTree, State]:
        return model.apply(params, state, x, key=key, train=train)

    return positional
