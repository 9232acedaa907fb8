"""Momentum, the heavy ball: ``t <- g + momentum * t; p <- p - rate * t`` (Polyak 1964).

With a constant rate this is ``v <- momentum * v + rate * g; p <- p - v``, as the rule is often written and
as Keras has it. Under a schedule the two differ: there the past steps keep the rates with which they were
taken, here (optax, PyTorch) today's rate scales all of them.
"""

from typing import NamedTuple

import jax
import optax

from jaxnn.optim import _hyper, _leaves


class MomentumState(NamedTuple):
    """``step``, the updates made, ``[]`` int32 or ``None``, and the trace, shaped like the parameters."""

    step: jax.Array | None
    trace: optax.Updates


def momentum(
    learning_rate: _hyper.ScalarOrSchedule, momentum: _hyper.ScalarLike = 0.9
) -> optax.GradientTransformationExtraArgs:
    """Gradient descent with momentum.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      momentum: the share of the trace that is kept from step to step, in ``[0, 1)``.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule, p = momentum(0.1), jnp.asarray(1.0)
      >>> state = rule.init(p)
      >>> for _ in range(4):  # the gradient of p**2 / 2 is p
      ...     step, state = rule.update(p, state)
      ...     p = p + step
      >>> print(f"{p:.4f}")
      0.2268
    """
    rate = _hyper.rate("momentum", learning_rate)
    decay = _hyper.fraction("momentum", "momentum", momentum)

    def init(params: optax.Params) -> MomentumState:
        return MomentumState(_hyper.counter(rate), _leaves.zeros("momentum", params))

    def update(
        updates: optax.Updates, state: MomentumState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, MomentumState]:
        scalars = (-_hyper.at_step(rate, state.step), decay)  # negated once, not once a leaf
        updates, trace = _leaves.map_leaves("momentum", _leaf, scalars, updates, (state.trace,), params)
        return updates, MomentumState(_hyper.increment_if_any(state.step), trace)

    return _leaves.transformation(init, update)


def _leaf(g, trace, slope, decay):
    trace = g + decay * trace
    return slope * trace, trace
