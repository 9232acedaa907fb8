"""Descent on a loss by any update rule, with every point on the way."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class Path(NamedTuple):
    """A descent: parameters and losses ``[steps + 1, ...]``, those of the start first."""

    params: Any
    losses: Any


def descend(
    loss: Callable[..., Any],
    rule: optax.GradientTransformation,
    start: Any,
    steps: int,
    data: Callable[[Any], tuple[Any, ...]] = lambda _: (),
) -> Path:
    """Take ``steps`` steps down; a pure function that ``jit``, ``vmap`` and ``fit_many`` take.

    Args:
        loss: ``(params, *data) -> scalar``.
        rule: what turns gradients into steps.
        start: parameters, a pytree.
        steps: number of them.
        data: from the number of a step to the data of its loss; nothing when left out.

    Example:
        >>> from jaxnn import optim
        >>> path = descend(lambda x: x**2 / 2, optim.sgd(0.5), jnp.array(1.0), 3)
        >>> path.params.tolist()
        [1.0, 0.5, 0.25, 0.125]
    """

    def step(carry: tuple[Any, Any], number: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        params, memory = carry
        value, slope = jax.value_and_grad(loss)(params, *data(number))
        change, memory = rule.update(slope, memory, params)
        return (optax.apply_updates(params, change), memory), (params, value)

    numbers = jnp.arange(steps, dtype=jnp.int32)
    (end, _), (passed, values) = jax.lax.scan(step, (start, rule.init(start)), numbers)
    last = loss(end, *data(jnp.int32(steps)))
    joined = jax.tree.map(lambda before, leaf: jnp.concatenate([before, leaf[None]]), passed, end)
    return Path(joined, jnp.append(values, last))
