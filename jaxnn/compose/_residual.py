"""``x + f(x)`` (He et al., 2016, "Deep residual learning for image recognition")."""

from typing import Any

from jaxnn.compose._parallel import branch
from jaxnn.core import Layer, Plan, PyTree, describe, lift, plan_layer, planned, same_spec
from jaxnn.layers import add


def residual(body: Any, shortcut: Any = None) -> Layer:
    """Add a layer's output to its input: ``shortcut(x) + body(x)``.

    The children are named ``body`` and ``shortcut``; where Flax and Equinox leave the addition to the
    user, a mismatch is found here at ``init`` and named.

    Args:
        body: layer or callable.
        shortcut: layer that fits the input to the body's output, as a strided 1x1 convolution; the
            identity when ``None``.

    Raises:
        ValueError: the two sides have different shapes or dtypes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> block = nn.residual(nn.chain(nn.dense(4), jax.nn.relu))
        >>> params, state = block.init(jax.random.key(0), jnp.ones((1, 4)))
        >>> sorted(params), block.apply(params, state, jnp.ones((2, 4)))[0].shape
        (['body'], (2, 4))
    """
    sides = branch(body=lift(body), shortcut=lift(_identity if shortcut is None else shortcut))
    merge = add()

    def plan(x: PyTree) -> Plan:
        found = plan_layer(sides, x)
        left, right = found.output
        if not same_spec(left, right):
            raise ValueError(
                f"residual: body and shortcut must give equal shapes and dtypes, got {describe(left)} and "
                f"{describe(right)}; pass a shortcut that fits, as in nn.residual(body, nn.dense(features))"
            )
        return Plan(result, x, left, found.build, found.children)

    def apply(params: Any, state: Any, x: PyTree, *, key: Any = None, train: bool = False) -> Any:
        pair, new_state = sides.apply(params, state, x, key=key, train=train)
        y, _ = merge.apply({}, {}, pair, train=train)
        return y, new_state

    result = planned("residual", plan, apply)
    return result


def _identity(x: PyTree) -> PyTree:
    return x
