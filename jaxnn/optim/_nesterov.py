"""Nesterov's accelerated gradient (Nesterov 1983; as momentum in Sutskever et al. 2013, equations 3 and 4).

The paper takes the gradient ahead of its parameters ``x``, at ``p = x - momentum * v``::

    v <- momentum * v + rate * g(p)
    x <- x - v

A transformation is handed the gradient at the point that its caller holds, so that point is ``p``, and every
form moves ``p``. The paper's point is ``x = p + momentum * v``, with ``v`` from the state of that form. The
forms differ in where the rate stands, which shows under a schedule only:

============  =========================================================================
form          rule
============  =========================================================================
optax, torch  ``t <- g + momentum * t;  p <- p - rate * (g + momentum * t)``
paper, keras  ``v <- momentum * v + rate * g;  p <- p - (rate * g + momentum * v)``
============  =========================================================================
"""

from typing import NamedTuple

import jax
import optax

from jaxnn.optim import _hyper, _leaves

FORMS = ("optax", "paper", "torch", "keras")


class NesterovState(NamedTuple):
    """``step``, the updates made, ``[]`` int32 or ``None``, and ``t`` or ``v`` of the form."""

    step: jax.Array | None
    trace: optax.Updates


def nesterov(
    learning_rate: _hyper.ScalarOrSchedule, momentum: _hyper.ScalarLike = 0.9, *, form: str = "optax"
) -> optax.GradientTransformationExtraArgs:
    """Gradient descent with Nesterov's momentum.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      momentum: the share of the trace that is kept from step to step, in ``[0, 1)``.
      form: ``"optax"``, ``"paper"``, ``"torch"`` or ``"keras"``, the table above.

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
    rate = _hyper.rate("nesterov", learning_rate)
    decay = _hyper.fraction("nesterov", "momentum", momentum)
    rate_inside = _hyper.choice("nesterov", "form", form, FORMS) in ("paper", "keras")

    def init(params: optax.Params) -> NesterovState:
        return NesterovState(_hyper.counter(rate), _leaves.zeros("nesterov", params))

    def update(
        updates: optax.Updates, state: NesterovState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, NesterovState]:
        scalars = (_hyper.at_step(rate, state.step), decay, rate_inside)
        updates, trace = _leaves.map_leaves("nesterov", _leaf, scalars, updates, (state.trace,), params)
        return updates, NesterovState(_hyper.increment_if_any(state.step), trace)

    return _leaves.transformation(init, update)


def _leaf(g, trace, rate, decay, rate_inside):
    if rate_inside:
        trace = decay * trace + rate * g
        return -(rate * g + decay * trace), trace
    trace = g + decay * trace
    return -rate * (g + decay * trace), trace
