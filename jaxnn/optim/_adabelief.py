"""AdaBelief (Zhuang et al. 2020, algorithm 2; https://arxiv.org/abs/2010.07468).

::

    mu <- b1 * mu + (1 - b1) * g
    nu <- b2 * nu + (1 - b2) * (g - mu)**2 + eps_root
    p  <- p - rate * (mu / (1 - b1**t)) / (sqrt(nu / (1 - b2**t)) + eps)

The step is long where the gradient is as its mean foretold. ``eps_root`` is added at every step and stays in
``nu``.
"""

import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves
from jaxnn.optim._adam import AdamState


def adabelief(
    learning_rate: _hyper.ScalarOrSchedule,
    b1: _hyper.ScalarLike = 0.9,
    b2: _hyper.ScalarLike = 0.999,
    eps: _hyper.ScalarLike = 1e-16,
    eps_root: _hyper.ScalarLike = 1e-16,
) -> optax.GradientTransformationExtraArgs:
    """AdaBelief.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      b1: decay of the mean of gradients, in ``[0, 1)``.
      b2: decay of the mean square of surprises, in ``[0, 1)``.
      eps: added to the root.
      eps_root: added to the mean square at every step.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule = adabelief(0.9)
      >>> step, _ = rule.update(jnp.asarray(3.0), rule.init(jnp.asarray(0.0)))
      >>> print(f"{step:.4f}")  # the first surprise is 0.9 of the gradient
      -1.0000
    """
    rate = _hyper.rate("adabelief", learning_rate)
    b1, b2 = _hyper.fraction("adabelief", "b1", b1), _hyper.fraction("adabelief", "b2", b2)
    eps = _hyper.non_negative("adabelief", "eps", eps)
    eps_root = _hyper.non_negative("adabelief", "eps_root", eps_root)

    def init(params: optax.Params) -> AdamState:
        mu, nu = _leaves.zeros("adabelief", params), _leaves.zeros("adabelief", params)
        return AdamState(_leaves.zero_step(), mu, nu)

    def update(
        updates: optax.Updates, state: AdamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdamState]:
        step = _hyper.increment(state.step)
        factors = _hyper.bias_factors(step, b1, b2)
        scalars = (_hyper.at_step(rate, state.step), b1, b2, eps, eps_root, *factors)
        updates, mu, nu = _leaves.map_leaves(
            "adabelief", _leaf, scalars, updates, (state.mu, state.nu), params
        )
        return updates, AdamState(step, mu, nu)

    return _leaves.transformation(init, update)


def _leaf(g, mu, nu, rate, b1, b2, eps, eps_root, factor1, factor2):
    mu = b1 * mu + (1 - b1) * g
    surprise = g - mu
    nu = b2 * nu + (1 - b2) * (surprise * surprise) + eps_root
    root = jnp.sqrt(nu * factor2) + eps
    return -rate * _leaves.divide(mu * factor1, root, eps), mu, nu
