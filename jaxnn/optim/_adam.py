"""Adam, adaptive moments (Kingma and Ba 2015, algorithm 1; https://arxiv.org/abs/1412.6980).

::

    mu <- b1 * mu + (1 - b1) * g
    nu <- b2 * nu + (1 - b2) * g**2
    p  <- p - rate * (mu / (1 - b1**t)) / (sqrt(nu / (1 - b2**t) + eps_root) + eps)

The paper, optax and PyTorch agree. Keras adds ``eps`` to the root of the uncorrected ``nu`` (the paper's
"epsilon hat"), which at the first step is a thirty times larger ``eps``. With ``c1 = 1 - b1**t`` and
``c2 = 1 - b2**t``:

===================  ===================================================  ====
form                 step                                                 eps
===================  ===================================================  ====
optax, paper, torch  ``rate * (mu / c1) / (sqrt(nu / c2) + eps)``         1e-8
keras                ``rate * mu * sqrt(c2) / c1 / (sqrt(nu) + eps)``     1e-7
===================  ===================================================  ====
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves

# The default eps of each form.
FORMS = {"optax": 1e-8, "paper": 1e-8, "torch": 1e-8, "keras": 1e-7}


class AdamState(NamedTuple):
    """``step``, the number of updates made, ``[]`` int32, and the two moments, shaped like the parameters."""

    step: jax.Array
    mu: optax.Updates
    nu: optax.Updates


def adam(
    learning_rate: _hyper.ScalarOrSchedule,
    b1: _hyper.ScalarLike = 0.9,
    b2: _hyper.ScalarLike = 0.999,
    eps: _hyper.ScalarLike | None = None,
    eps_root: _hyper.ScalarLike = 0.0,
    *,
    form: str = "optax",
) -> optax.GradientTransformationExtraArgs:
    """Adam. Bias corrections keep their digits in float32, where ``1 - b2**t`` loses up to five.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      b1: decay of the mean of gradients, in ``[0, 1)``.
      b2: decay of the mean of squared gradients, in ``[0, 1)``.
      eps: added to the root, or ``None`` for the form's own; with 0 the rule does not depend on the
        gradient's scale.
      eps_root: added under the root, for differentiating through the update.
      form: ``"optax"``, ``"paper"``, ``"torch"`` or ``"keras"``, the table above.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, ``form`` is unknown, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule = adam(0.25)
      >>> step, _ = rule.update(jnp.asarray([3.0, -2.0]), rule.init(jnp.ones(2)))
      >>> print(step.round(3))
      [-0.25  0.25]
    """
    default_eps = FORMS[_hyper.choice("adam", "form", form, FORMS)]
    rate = _hyper.rate("adam", learning_rate)
    b1, b2 = _hyper.fraction("adam", "b1", b1), _hyper.fraction("adam", "b2", b2)
    eps = _hyper.non_negative("adam", "eps", default_eps if eps is None else eps)
    eps_root = _hyper.non_negative("adam", "eps_root", eps_root)

    def init(params: optax.Params) -> AdamState:
        return AdamState(_leaves.zero_step(), _leaves.zeros("adam", params), _leaves.zeros("adam", params))

    def update(
        updates: optax.Updates, state: AdamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdamState]:
        step = _hyper.increment(state.step)
        factors = corrections(form, _hyper.bias_factors(step, b1, b2))
        scalars = (_hyper.at_step(rate, state.step), b1, b2, eps, eps_root, *factors)
        updates, mu, nu = _leaves.map_leaves("adam", _leaf, scalars, updates, (state.mu, state.nu), params)
        return updates, AdamState(step, mu, nu)

    return _leaves.transformation(init, update)


def corrections(form: str, factors: tuple[jax.Array, ...]) -> tuple[jax.Array | float, ...]:
    """Return what ``mu`` and ``nu`` are multiplied with, of the factors that correct their bias."""
    factor1, factor2 = factors
    return (factor1 / jnp.sqrt(factor2), 1.0) if form == "keras" else (factor1, factor2)


def _leaf(g, mu, nu, rate, b1, b2, eps, eps_root, factor1, factor2):
    mu = b1 * mu + (1 - b1) * g
    nu = b2 * nu + (1 - b2) * (g * g)
    root = jnp.sqrt(nu * factor2 + eps_root) + eps
    return -rate * _leaves.divide(mu * factor1, root, eps), mu, nu
