"""Lion, evolved sign momentum (Chen et al. 2023, algorithm 2; https://arxiv.org/abs/2302.06675).

::

    p  <- p - rate * (sign(b1 * mu + (1 - b1) * g) + weight_decay * p)
    mu <- b2 * mu + (1 - b2) * g
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves, _trees


class LionState(NamedTuple):
    """``step``, the updates made, ``[]`` int32 or ``None``, and the mean, shaped like the parameters."""

    step: jax.Array | None
    mu: optax.Updates


def lion(
    learning_rate: _hyper.ScalarOrSchedule,
    b1: _hyper.ScalarLike = 0.9,
    b2: _hyper.ScalarLike = 0.99,
    *,
    weight_decay: _hyper.ScalarOrSchedule = 1e-3,
    mask: _trees.Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Lion. ``update`` needs the parameters, which decay.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value. Every coordinate moves
        by the whole of it, so that it is three to ten times smaller than Adam's.
      b1: share of the mean gradient in the step, in ``[0, 1)``.
      b2: decay of the mean gradient, in ``[0, 1)``.
      weight_decay: the share of a parameter that a step at rate one takes away; a float, a schedule or a
        traced value.
      mask: a tree of bools, a prefix of one, or a function that makes one from the parameters: which of them
        decay.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, trees differ, or ``update`` is not given the
        parameters.

    Example:
      >>> import jax.numpy as jnp
      >>> rule, p = lion(0.5, weight_decay=0.0), jnp.ones(2)
      >>> rule.update(jnp.asarray([3.0, -0.1]), rule.init(p), p)[0]
      Array([-0.5,  0.5], dtype=float32)
    """
    rate = _hyper.rate("lion", learning_rate)
    b1, b2 = _hyper.fraction("lion", "b1", b1), _hyper.fraction("lion", "b2", b2)
    decay = _hyper.rate("lion", weight_decay, "weight_decay")

    def init(params: optax.Params) -> LionState:
        return LionState(_hyper.counter(rate, decay), _leaves.zeros("lion", params))

    def update(
        updates: optax.Updates, state: LionState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, LionState]:
        decayed = _trees.masked("lion", _trees.need_params("lion", params), mask)
        scalars = (_hyper.at_step(rate, state.step), _hyper.at_step(decay, state.step), b1, b2)
        updates, mu = _leaves.map_leaves("lion", _leaf, scalars, updates, (state.mu,), params, [decayed])
        return updates, LionState(_hyper.increment_if_any(state.step), mu)

    return _leaves.transformation(init, update)


def _leaf(g, mu, p, rate, weight_decay, b1, b2):
    step = jnp.sign((1 - b1) * g + b1 * mu)
    return -rate * (step if p is None else step + weight_decay * p), b2 * mu + (1 - b2) * g
