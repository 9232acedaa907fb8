"""Yogi (Zaheer et al. 2018, algorithm 2).

::

    mu <- b1 * mu + (1 - b1) * g
    nu <- nu - (1 - b2) * sign(nu - g**2) * g**2
    p  <- p - rate * (mu / (1 - b1**t)) / (sqrt(nu / (1 - b2**t)) + eps)

The second moment moves by an amount that does not depend on its size, so that it does not forget fast.

The paper starts ``nu`` at the square of a first gradient, libraries at 1e-6. optax starts ``mu`` at 1e-6
too, by which a parameter moves that never had a gradient. Here a coordinate waits for its first gradient,
and from then on its steps are those of optax: the state holds ``mu`` without its start, which is added where
``mu`` is not zero.
"""

import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves
from jaxnn.optim._adam import AdamState

START = 1e-6


def yogi(
    learning_rate: _hyper.ScalarOrSchedule,
    b1: _hyper.ScalarLike = 0.9,
    b2: _hyper.ScalarLike = 0.999,
    eps: _hyper.ScalarLike = 1e-3,
) -> optax.GradientTransformationExtraArgs:
    """Yogi. A parameter without a gradient stays where it is.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      b1: decay of the mean of gradients, in ``[0, 1)``.
      b2: one less the speed of the second moment, in ``[0, 1)``.
      eps: added to the root.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule = yogi(0.1)
      >>> step, _ = rule.update(jnp.asarray([3.0, 0.0]), rule.init(jnp.zeros(2)))
      >>> print(f"{step[0]:.3f} {abs(step[1]):.3f}")
      -0.100 0.000
    """
    rate = _hyper.rate("yogi", learning_rate)
    b1, b2 = _hyper.fraction("yogi", "b1", b1), _hyper.fraction("yogi", "b2", b2)
    eps = _hyper.non_negative("yogi", "eps", eps)

    def init(params: optax.Params) -> AdamState:
        mu, nu = _leaves.zeros("yogi", params), _leaves.zeros("yogi", params, START)
        return AdamState(_leaves.zero_step(), mu, nu)

    def update(
        updates: optax.Updates, state: AdamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdamState]:
        step = _hyper.increment(state.step)
        factors = _hyper.bias_factors(step, b1, b2)
        scalars = (_hyper.at_step(rate, state.step), b1, b2, eps, *factors)
        updates, mu, nu = _leaves.map_leaves("yogi", _leaf, scalars, updates, (state.mu, state.nu), params)
        return updates, AdamState(step, mu, nu)

    return _leaves.transformation(init, update)


def _leaf(g, mu, nu, rate, b1, b2, eps, factor1, factor2):
    mu = b1 * mu + (1 - b1) * g
    nu = nu - (1 - b2) * jnp.sign(nu - g * g) * (g * g)
    # What is left of the start of ``mu``: START * b1**t, corrected as mu is.
    mean = mu * factor1 + jnp.where(mu == 0, 0, START * (factor1 - 1))
    return -rate * _leaves.divide(mean, jnp.sqrt(nu * factor2) + eps, eps), mu, nu
