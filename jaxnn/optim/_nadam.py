"""Nadam, Adam with Nesterov's momentum (Dozat 2016, algorithm 2; https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ).

With ``m_t`` the momentum of step ``t`` and ``M_t`` the product of the momenta up to it::

    mu <- b * mu + (1 - b) * g
    nu <- b2 * nu + (1 - b2) * g**2
    p  <- p - rate * (m_{t+1} * mu / (1 - M_{t+1}) + (1 - m_t) * g / (1 - M_t)) / (sqrt(nu_hat) + eps)

Libraries disagree about the momentum and about ``nu_hat``:

=====  ========  ====================================  =========================  ====
form   ``b``     ``m_t``                               ``nu_hat``                 eps
=====  ========  ====================================  =========================  ====
optax  ``b1``    ``b1``                                ``nu / (1 - b2**t)``       1e-8
torch  ``b1``    ``b1 * (1 - 0.96**(t / 250) / 2)``    ``nu / (1 - b2**t)``       1e-8
keras  ``b1``    ``b1 * (1 - 0.96**t / 2)``            ``nu / (1 - b2**t)``       1e-7
paper  ``m_t``   ``b1 * (1 - 0.96**(t / 250) / 2)``    ``b2 * nu / (1 - b2**t)``  1e-8
=====  ========  ====================================  =========================  ====

``b1`` is 0.9, and 0.99 in the paper.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves

# form: b1, eps, the exponent of 0.96 at the first step
FORMS = {
    "optax": (0.9, 1e-8, None),
    "paper": (0.99, 1e-8, 1 / 250),
    "torch": (0.9, 1e-8, 1 / 250),
    "keras": (0.9, 1e-7, 1.0),
}


class NadamState(NamedTuple):
    """``step``, ``[]`` int32; the product of the momenta so far, ``[]`` or ``None``; and the two moments."""

    step: jax.Array
    product: jax.Array | None
    mu: optax.Updates
    nu: optax.Updates


def nadam(
    learning_rate: _hyper.ScalarOrSchedule,
    b1: _hyper.ScalarLike | None = None,
    b2: _hyper.ScalarLike = 0.999,
    eps: _hyper.ScalarLike | None = None,
    eps_root: _hyper.ScalarLike = 0.0,
    *,
    form: str = "optax",
) -> optax.GradientTransformationExtraArgs:
    """Nadam.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      b1: decay of the mean of gradients, in ``[0, 1)``, or ``None`` for the form's own.
      b2: decay of the mean of squared gradients, in ``[0, 1)``.
      eps: added to the root, or ``None`` for the form's own.
      eps_root: added under the root.
      form: ``"optax"``, ``"paper"``, ``"torch"`` or ``"keras"``, the table above.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, ``form`` is unknown, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule = nadam(0.1)
      >>> step, _ = rule.update(jnp.asarray(3.0), rule.init(jnp.asarray(0.0)))
      >>> print(f"{step:.5f}")  # -0.1 * (0.09 / 0.19 + 1)
      -0.14737
    """
    default_b1, default_eps, pace = FORMS[_hyper.choice("nadam", "form", form, FORMS)]
    rate = _hyper.rate("nadam", learning_rate)
    b1 = _hyper.fraction("nadam", "b1", default_b1 if b1 is None else b1)
    b2 = _hyper.fraction("nadam", "b2", b2)
    eps = _hyper.non_negative("nadam", "eps", default_eps if eps is None else eps)
    eps_root = _hyper.non_negative("nadam", "eps_root", eps_root)

    def init(params: optax.Params) -> NadamState:
        product = None if pace is None else jnp.ones((), jnp.result_type(float))
        mu, nu = _leaves.zeros("nadam", params), _leaves.zeros("nadam", params)
        return NadamState(_leaves.zero_step(), product, mu, nu)

    def update(
        updates: optax.Updates, state: NadamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, NadamState]:
        step = _hyper.increment(state.step)
        f1, factor = _hyper.bias_factors(step, b1, b2)
        if pace is None:
            product, decay, (ahead, here) = None, b1, look_ahead(b1, f1)
        else:
            product, now, ahead, here = _scheduled(b1, step, state.product, pace)
            decay = now if form == "paper" else b1
        factor = b2 * factor if form == "paper" else factor
        scalars = (_hyper.at_step(rate, state.step), decay, b2, eps, eps_root, ahead, here, factor)
        updates, mu, nu = _leaves.map_leaves("nadam", _leaf, scalars, updates, (state.mu, state.nu), params)
        return updates, NadamState(step, product, mu, nu)

    return _leaves.transformation(init, update)


def look_ahead(decay: _hyper.Scalar, factor: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the weights of the mean gradient and of the gradient, for ``factor = 1 / (1 - decay**t)``.

    They are ``decay / (1 - decay**(t + 1))``, without cancellation, and ``(1 - decay) / (1 - decay**t)``.
    """
    here = (1 - decay) * factor
    return decay * factor / (decay + here), here


def _scheduled(b1, step, product, pace):
    """Return the new product of the momenta, this step's momentum, and the two weights."""
    t = step.astype(product.dtype)
    now, following = (b1 * (1 - 0.5 * 0.96 ** (pace * (t + later))) for later in (0, 1))
    product = (product * now).astype(product.dtype)
    return product, now, following / (1 - product * following), (1 - now) / (1 - product)


def _leaf(g, mu, nu, rate, decay, b2, eps, eps_root, ahead, here, factor):
    mu = decay * mu + (1 - decay) * g
    nu = b2 * nu + (1 - b2) * (g * g)
    root = jnp.sqrt(nu * factor + eps_root) + eps
    return -rate * _leaves.divide(ahead * mu + here * g, root, eps), mu, nu
