"""Rprop, resilient propagation (Riedmiller and Braun 1993).

Each coordinate has a step size of its own, and only the sign of its gradient counts. With ``g'`` the last
gradient::

    size <- size * eta_plus    if g has the sign of g'
    size <- size * eta_minus   if it has the other sign; g then counts as zero at the next step
    size <- min(max(size, min_step_size), max_step_size)
    p    <- p - size * sign(g)

Sources disagree about what to do where the sign has changed, and optax 0.2.8 takes its steps one call late:

=====  ============================================================
form   step
=====  ============================================================
paper  ``size * sign(g)``; undo the last step if the sign changed
torch  ``size * sign(g)``; stay if the sign changed
optax  the last call's step of torch; stay if the sign changed
=====  ============================================================

In PyTorch the bounds hold from the first step on, so that a first size of 100 is 50 there, and one of 1e-7 is
1e-6; in the other forms they hold for sizes that have changed.

It is a rule for whole batches: the sign of a noisy gradient changes for reasons that are not the surface's.
"""

from typing import NamedTuple

import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves

FORMS = ("optax", "paper", "torch")


class RpropState(NamedTuple):
    """The step sizes, and the last steps against the gradient, both shaped like the parameters."""

    step_sizes: optax.Updates
    previous: optax.Updates


def rprop(
    learning_rate: _hyper.ScalarOrSchedule,
    eta_minus: _hyper.ScalarLike = 0.5,
    eta_plus: _hyper.ScalarLike = 1.2,
    min_step_size: _hyper.ScalarLike = 1e-6,
    max_step_size: _hyper.ScalarLike = 50.0,
    *,
    form: str = "optax",
) -> optax.GradientTransformationExtraArgs:
    """Rprop. Signs are compared, not products of gradients, so that small ones do not underflow.

    Args:
      learning_rate: the first step size: a float, a traced value, or a schedule, of which the value at 0 is
        taken.
      eta_minus: factor of a step whose gradient changed sign, in ``[0, 1)``.
      eta_plus: factor of a step whose gradient kept its sign, above zero.
      min_step_size: the smallest step that a coordinate shrinks to, zero or more.
      max_step_size: the largest step that a coordinate grows to, above zero.
      form: ``"optax"``, ``"paper"`` or ``"torch"``, the table above.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, ``form`` is unknown, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule, g = rprop(0.5, form="torch"), jnp.asarray([3.0, -2.0])
      >>> first, state = rule.update(g, rule.init(jnp.ones(2)))
      >>> second, state = rule.update(g, state)
      >>> print(first, second)
      [-0.5  0.5] [-0.6  0.6]
    """
    rate = _hyper.rate("rprop", learning_rate)
    shrink, grow = (
        _hyper.fraction("rprop", "eta_minus", eta_minus),
        _hyper.positive("rprop", "eta_plus", eta_plus),
    )
    smallest = _hyper.non_negative("rprop", "min_step_size", min_step_size)
    largest = _hyper.positive("rprop", "max_step_size", max_step_size)
    _hyper.choice("rprop", "form", form, FORMS)

    def init(params: optax.Params) -> RpropState:
        first = _hyper.at_step(rate, _leaves.zero_step())
        return RpropState(_leaves.zeros("rprop", params, first), _leaves.zeros("rprop", params))

    def update(
        updates: optax.Updates, state: RpropState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, RpropState]:
        scalars = (shrink, grow, smallest, largest, form)
        updates, *slots = _leaves.map_leaves("rprop", _leaf, scalars, updates, tuple(state), params)
        return updates, RpropState(*slots)

    return _leaves.transformation(init, update)


def _leaf(g, size, previous, shrink, grow, smallest, largest, form):
    sign = jnp.sign(g)
    agreement = sign * jnp.sign(previous)
    moved = jnp.clip(size * jnp.where(agreement > 0, grow, shrink), smallest, largest)
    if form == "torch":
        size = jnp.where(agreement == 0, jnp.clip(size, smallest, largest), moved)
    else:
        size = jnp.where(agreement == 0, size, moved)
    step = jnp.where(agreement < 0, 0, size * sign)
    if form == "paper":
        return -jnp.where(agreement < 0, -previous, step), size, step
    return -(jnp.where(agreement < 0, 0, previous) if form == "optax" else step), size, step
