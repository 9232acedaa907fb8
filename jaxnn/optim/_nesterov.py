"""Nesterov's accelerated gradient (Nesterov 1983; as momentum, Sutskever et al. 2013, equations 3 and 4).

The paper takes the gradient ahead of the parameters ``x``, at ``p = x - momentum * v``::

    v <- momentum * v + rate * g(p)
    x <- x - v

A transformation is handed the gradient at the point that the caller holds, so that point is ``p``, and every form here
moves ``p``; ``x = p + momentum * v`` is the paper's point. The forms differ in where the rate stands, which shows under
a schedule only:

=================  ==========================================================
form               rule
=================  ==========================================================
optax, torch       ``t <- g + momentum * t; p <- p - rate * (g + momentum * t)``
paper, keras       ``v <- momentum * v + rate * g; p <- p - (rate * g + momentum * v)``
=================  ==========================================================
"""

from typing import NamedTuple

import jax
import optax

from jaxnn.optim import _hyper, _leaves

FORMS = ("optax", "paper", "torch", "keras")


class NesterovState(NamedTuple):
    """The number of updates made, ``[]`` int32, and the trace (``t`` or ``v``), shaped like the parameters."""

    count: jax.Array
    trace: optax.Updates


def nesterov(
    learning_rate: _hyper.LearningRate, momentum: _hyper.ScalarLike = 0.9, *, form: str = "optax"
) -> optax.GradientTransformation:
    """Gradient descent with Nesterov's momentum.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      momentum: the share of the trace that is kept from step to step, in ``[0, 1)``.
      form: ``"optax"``, ``"paper"``, ``"torch"`` or ``"keras"``.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, ``form`` is unknown, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule, p = nesterov(0.1, form="paper"), jnp.asarray(1.0)
      >>> state = rule.init(p)
      >>> for _ in range(4):  # the gradient of p**2 / 2 is p
      ...     step, state = rule.update(p, state)
      ...     p = p + step
      >>> print(f"{p + 0.9 * state.trace:.4f}")  # the paper's point
      0.2946
    """
    learning_rate = _hyper.rate("nesterov", learning_rate)
    decay = _hyper.fraction("nesterov", "momentum", momentum)
    leaf = _rate_outside if _hyper.choice("nesterov", "form", form, FORMS) in ("optax", "torch") else _rate_inside

    def init(params: optax.Params) -> NesterovState:
        return NesterovState(_leaves.zero_count(), _leaves.zeros("nesterov", params))

    def update(updates: optax.Updates, state: NesterovState, params: optax.Params | None = None):
        scalars = (_hyper.at_step(learning_rate, state.count), decay)
        updates, trace = _leaves.map_leaves("nesterov", leaf, scalars, updates, (state.trace,), params)
        return updates, NesterovState(_hyper.increment(state.count), trace)

    return optax.GradientTransformation(init, update)


def _rate_outside(g, trace, rate, decay):
    trace = g + decay * trace
    return -rate * (g + decay * trace), trace


def _rate_inside(g, trace, rate, decay):
    trace = decay * trace + rate * g
    return -(rate * g + decay * trace), trace
