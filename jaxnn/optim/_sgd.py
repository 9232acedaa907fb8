"""Gradient descent, ``p <- p - rate * g``, ``g`` taken on a sample (Robbins and Monro 1951)."""

from typing import NamedTuple

import jax
import optax

from jaxnn.optim import _hyper, _leaves, _trees
from jaxnn.optim._momentum import momentum as momentum_rule
from jaxnn.optim._nesterov import nesterov as nesterov_rule


class SgdState(NamedTuple):
    """``step``, the updates made, ``[]`` int32 or ``None``."""

    step: jax.Array | None


def sgd(
    learning_rate: _hyper.ScalarOrSchedule,
    momentum: _hyper.ScalarLike | None = None,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Stochastic gradient descent.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      momentum: with a number, the rule is :func:`jaxnn.optim.momentum`.
      nesterov: with ``momentum``, the rule is :func:`jaxnn.optim.nesterov`.

    Raises:
      TypeError: ``learning_rate`` is not a number, or a leaf is not real floating point.
      ValueError: a concrete ``learning_rate`` is negative or not finite; or ``nesterov`` without
        ``momentum``.

    Example:
      >>> import jax.numpy as jnp
      >>> rule = sgd(0.5)
      >>> rule.update(jnp.ones(2), rule.init(jnp.ones(2)))[0]
      Array([-0.5, -0.5], dtype=float32)
    """
    if momentum is not None:
        return (nesterov_rule if nesterov else momentum_rule)(learning_rate, momentum)
    if nesterov:
        raise ValueError("sgd: nesterov=True needs momentum; pass momentum=0.9")
    rate = _hyper.rate("sgd", learning_rate)

    def init(params: optax.Params) -> SgdState:
        _trees.check_floating("sgd", "the parameter", params)
        return SgdState(_hyper.counter(rate))

    def update(
        updates: optax.Updates, state: SgdState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, SgdState]:
        scalars = (-_hyper.at_step(rate, state.step),)  # negated once, not once a leaf
        (updates,) = _leaves.map_leaves("sgd", _leaf, scalars, updates, params=params)
        return updates, SgdState(_hyper.increment_if_any(state.step))

    return _leaves.transformation(init, update)


def _leaf(g, slope):
    return (slope * g,)
