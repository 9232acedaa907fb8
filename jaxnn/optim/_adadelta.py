"""Adadelta (Zeiler 2012, algorithm 1; https://arxiv.org/abs/1212.5701).

::

    e_g <- rho * e_g + (1 - rho) * g**2
    d   <- sqrt(e_x + eps) / sqrt(e_g + eps) * g
    e_x <- rho * e_x + (1 - rho) * d**2
    p   <- p - rate * d

Libraries agree on the rule and disagree on its constants, so that a rule of the same name with nothing given
is a thousand times slower in one than in another:

=====  =====  ====  ====
form   rate   rho   eps
=====  =====  ====  ====
optax  1      0.9   1e-6
paper  1      0.95  1e-6
torch  1      0.9   1e-6
keras  0.001  0.95  1e-7
=====  =====  ====  ====

(Keras by itself, before it became a part of TensorFlow, had ``rate=1``, and much published code was written
for that.)
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves

# form: rate, rho, eps
FORMS = {
    "optax": (1.0, 0.9, 1e-6),
    "paper": (1.0, 0.95, 1e-6),
    "torch": (1.0, 0.9, 1e-6),
    "keras": (0.001, 0.95, 1e-7),
}


class AdadeltaState(NamedTuple):
    """``step``, the updates made, ``[]`` int32 or ``None``, and the two mean squares."""

    step: jax.Array | None
    e_g: optax.Updates
    e_x: optax.Updates


def adadelta(
    learning_rate: _hyper.ScalarOrSchedule | None = None,
    rho: _hyper.ScalarLike | None = None,
    eps: _hyper.ScalarLike | None = None,
    *,
    form: str = "optax",
) -> optax.GradientTransformationExtraArgs:
    """Adadelta.

    Args:
      learning_rate: a float, a schedule (a callable of the step), a traced value, or ``None`` for the form's
        own.
      rho: decay of both mean squares, in ``[0, 1)``, or ``None`` for the form's own.
      eps: added under both roots, or ``None`` for the form's own.
      form: ``"optax"``, ``"paper"``, ``"torch"`` or ``"keras"``, the table above.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, ``form`` is unknown, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule = adadelta(1.0, form="keras")
      >>> step, _ = rule.update(jnp.asarray(1.0), rule.init(jnp.asarray(0.0)))
      >>> print(f"{step:.7f}")
      -0.0014142
    """
    default_rate, default_rho, default_eps = FORMS[_hyper.choice("adadelta", "form", form, FORMS)]
    rate = _hyper.rate("adadelta", default_rate if learning_rate is None else learning_rate)
    rho = _hyper.fraction("adadelta", "rho", default_rho if rho is None else rho)
    eps = _hyper.non_negative("adadelta", "eps", default_eps if eps is None else eps)

    def init(params: optax.Params) -> AdadeltaState:
        e_g, e_x = _leaves.zeros("adadelta", params), _leaves.zeros("adadelta", params)
        return AdadeltaState(_hyper.counter(rate), e_g, e_x)

    def update(
        updates: optax.Updates, state: AdadeltaState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdadeltaState]:
        scalars = (_hyper.at_step(rate, state.step), rho, eps)
        slots = (state.e_g, state.e_x)
        updates, e_g, e_x = _leaves.map_leaves("adadelta", _leaf, scalars, updates, slots, params)
        return updates, AdadeltaState(_hyper.increment_if_any(state.step), e_g, e_x)

    return _leaves.transformation(init, update)


def _leaf(g, e_g, e_x, rate, rho, eps):
    e_g = rho * e_g + (1 - rho) * (g * g)
    step = _leaves.divide(jnp.sqrt(e_x + eps), jnp.sqrt(e_g + eps), eps) * g
    return -rate * step, e_g, rho * e_x + (1 - rho) * (step * step)
