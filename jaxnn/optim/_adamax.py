"""Adamax, Adam in the infinity norm (Kingma and Ba 2015, algorithm 2; https://arxiv.org/abs/1412.6980).

::

    mu <- b1 * mu + (1 - b1) * g
    nu <- max(b2 * nu, abs(g))
    p  <- p - rate / (1 - b1**t) * mu / nu

The paper has no ``eps``; where no gradient was ever seen it divides zero by zero. Libraries disagree:

============  ====================================  ============  ====
form          nu                                    divided by    eps
============  ====================================  ============  ====
optax, torch  ``max(b2 * nu, abs(g) + eps)``        ``nu``        1e-8
keras         ``max(b2 * nu, abs(g))``              ``nu + eps``  1e-7
paper         ``max(b2 * nu, abs(g))``              ``nu``        0
============  ====================================  ============  ====
"""

import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves
from jaxnn.optim._adam import AdamState

# The default eps of each form.
FORMS = {"optax": 1e-8, "paper": 0.0, "torch": 1e-8, "keras": 1e-7}


def adamax(
    learning_rate: _hyper.ScalarOrSchedule,
    b1: _hyper.ScalarLike = 0.9,
    b2: _hyper.ScalarLike = 0.999,
    eps: _hyper.ScalarLike | None = None,
    *,
    form: str = "optax",
) -> optax.GradientTransformationExtraArgs:
    """Adamax.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      b1: decay of the mean of gradients, in ``[0, 1)``.
      b2: decay of the largest gradient, in ``[0, 1)``.
      eps: added to the size of each gradient, or to the largest; ``None`` for the form's own.
      form: ``"optax"``, ``"paper"``, ``"torch"`` or ``"keras"``, the table above.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, ``form`` is unknown, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule = adamax(0.25)
      >>> step, _ = rule.update(jnp.asarray([3.0, -2.0]), rule.init(jnp.ones(2)))
      >>> print(step.round(3))
      [-0.25  0.25]
    """
    default_eps = FORMS[_hyper.choice("adamax", "form", form, FORMS)]
    rate = _hyper.rate("adamax", learning_rate)
    b1, b2 = _hyper.fraction("adamax", "b1", b1), _hyper.fraction("adamax", "b2", b2)
    eps = _hyper.non_negative("adamax", "eps", default_eps if eps is None else eps)

    def init(params: optax.Params) -> AdamState:
        return AdamState(
            _leaves.zero_step(), _leaves.zeros("adamax", params), _leaves.zeros("adamax", params)
        )

    def update(
        updates: optax.Updates, state: AdamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdamState]:
        step = _hyper.increment(state.step)
        scalars = (
            _hyper.at_step(rate, state.step),
            b1,
            b2,
            eps,
            form == "keras",
            *_hyper.bias_factors(step, b1),
        )
        updates, mu, nu = _leaves.map_leaves("adamax", _leaf, scalars, updates, (state.mu, state.nu), params)
        return updates, AdamState(step, mu, nu)

    return _leaves.transformation(init, update)


def _leaf(g, mu, nu, rate, b1, b2, eps, eps_outside, factor):
    mu = b1 * mu + (1 - b1) * g
    if eps_outside:
        nu = jnp.maximum(jnp.abs(g), b2 * nu)
        return -rate * _leaves.divide(mu * factor, nu + eps, eps), mu, nu
    nu = jnp.maximum(jnp.abs(g) + eps, b2 * nu)
    return -rate * _leaves.divide(mu * factor, nu, eps), mu, nu
