"""AMSGrad, Adam with a second moment that never shrinks (Reddi, Kale and Kumar 2018, algorithm 2).

::

    mu <- b1 * mu + (1 - b1) * g
    nu <- b2 * nu + (1 - b2) * g**2

Libraries disagree about whether the maximum is taken before or after the bias correction, and about ``eps``.
With ``c1 = 1 - b1**t`` and ``c2 = 1 - b2**t``:

=====  ==========================  ========================================================  ====
form   largest second moment       step                                                      eps
=====  ==========================  ========================================================  ====
optax  ``top <- max(top, nu/c2)``  ``rate * (mu / c1) / (sqrt(top + eps_root) + eps)``       1e-8
torch  ``top <- max(top, nu)``     ``rate * (mu / c1) / (sqrt(top / c2 + eps_root) + eps)``  1e-8
keras  ``top <- max(top, nu)``     ``rate * mu * sqrt(c2) / c1 / (sqrt(top) + eps)``         1e-7
paper  ``top <- max(top, nu)``     ``rate * mu / sqrt(top)``                                 0
=====  ==========================  ========================================================  ====

The first gradient weighs most in ``nu / c2``, so that the maximum of optax remembers it for good.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves

# The default eps of each form.
FORMS = {"optax": 1e-8, "paper": 0.0, "torch": 1e-8, "keras": 1e-7}


class AmsgradState(NamedTuple):
    """``step``, the number of updates made, ``[]`` int32, the two moments, and the largest second moment."""

    step: jax.Array
    mu: optax.Updates
    nu: optax.Updates
    nu_max: optax.Updates


def amsgrad(
    learning_rate: _hyper.ScalarOrSchedule,
    b1: _hyper.ScalarLike = 0.9,
    b2: _hyper.ScalarLike = 0.999,
    eps: _hyper.ScalarLike | None = None,
    eps_root: _hyper.ScalarLike = 0.0,
    *,
    form: str = "optax",
) -> optax.GradientTransformationExtraArgs:
    """AMSGrad. The PyTorch form is one that optax's flags cannot be set to.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      b1: decay of the mean of gradients, in ``[0, 1)``.
      b2: decay of the mean of squared gradients, in ``[0, 1)``.
      eps: added to the root, or ``None`` for the form's own.
      eps_root: added under the root.
      form: ``"optax"``, ``"paper"``, ``"torch"`` or ``"keras"``, the table above.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, ``form`` is unknown, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule = amsgrad(0.25, form="torch")
      >>> step, _ = rule.update(jnp.asarray([3.0, -2.0]), rule.init(jnp.ones(2)))
      >>> print(step.round(3))
      [-0.25  0.25]
    """
    default_eps = FORMS[_hyper.choice("amsgrad", "form", form, FORMS)]
    rate = _hyper.rate("amsgrad", learning_rate)
    b1, b2 = _hyper.fraction("amsgrad", "b1", b1), _hyper.fraction("amsgrad", "b2", b2)
    eps = _hyper.non_negative("amsgrad", "eps", default_eps if eps is None else eps)
    eps_root = _hyper.non_negative("amsgrad", "eps_root", eps_root)

    def init(params: optax.Params) -> AmsgradState:
        return AmsgradState(_leaves.zero_step(), *(_leaves.zeros("amsgrad", params) for _ in range(3)))

    def update(
        updates: optax.Updates, state: AmsgradState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AmsgradState]:
        step = _hyper.increment(state.step)
        f1, f2 = _hyper.bias_factors(step, b1, b2)
        alpha, one = _hyper.at_step(rate, state.step), 1.0
        # The step, the factor of nu before the maximum, and the one after it.
        alpha, before, after = {
            "optax": (alpha * f1, f2, one),
            "torch": (alpha * f1, one, f2),
            "keras": (alpha * f1 / jnp.sqrt(f2), one, one),
            "paper": (alpha, one, one),
        }[form]
        scalars = (alpha, b1, b2, eps, eps_root, before, after)
        updates, *slots = _leaves.map_leaves("amsgrad", _leaf, scalars, updates, tuple(state[1:]), params)
        return updates, AmsgradState(step, *slots)

    return _leaves.transformation(init, update)


def _leaf(g, mu, nu, nu_max, alpha, b1, b2, eps, eps_root, before, after):
    mu = b1 * mu + (1 - b1) * g
    nu = b2 * nu + (1 - b2) * (g * g)
    nu_max = jnp.maximum(nu_max, nu * before)
    root = jnp.sqrt(nu_max * after + eps_root) + eps
    return -alpha * _leaves.divide(mu, root, eps), mu, nu, nu_max
