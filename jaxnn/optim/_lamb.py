"""LAMB, layerwise adaptive moments (You et al. 2020, algorithm 2; https://arxiv.org/abs/1904.00962).

For each leaf of parameters ``p``, with the step ``adam(g)`` of :func:`jaxnn.optim.adam` for a rate of one::

    u <- adam(g) + weight_decay * p
    p <- p - rate * norm(p) / norm(u) * u

Where either norm is zero the ratio is one. The rule looks at whole leaves, and so does not go with
``optax.flatten``.
"""

import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves, _trees
from jaxnn.optim._adam import AdamState


def lamb(
    learning_rate: _hyper.ScalarOrSchedule,
    b1: _hyper.ScalarLike = 0.9,
    b2: _hyper.ScalarLike = 0.999,
    eps: _hyper.ScalarLike = 1e-6,
    eps_root: _hyper.ScalarLike = 0.0,
    weight_decay: _hyper.ScalarOrSchedule = 0.0,
    mask: _trees.Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """LAMB. ``update`` needs the parameters. Norms of float16 and bfloat16 leaves are float32.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      b1: decay of the mean of gradients, in ``[0, 1)``.
      b2: decay of the mean of squared gradients, in ``[0, 1)``.
      eps: added to the root.
      eps_root: added under the root.
      weight_decay: weight of the parameters in the step; a float, a schedule or a traced value.
      mask: a tree of bools, a prefix of one, or a function that makes one from the parameters: which of them
        decay.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, trees differ, or ``update`` is not given the
        parameters.

    Example:
      >>> import jax.numpy as jnp
      >>> rule, p = lamb(0.1), jnp.asarray([3.0, 4.0])
      >>> step, _ = rule.update(jnp.asarray([1.0, 0.0]), rule.init(p), p)
      >>> print(f"{step[0]:.3f} {step[1]:.3f}")  # as long as the rate times the norm of p, which is 5
      -0.500 -0.000
    """
    rate = _hyper.rate("lamb", learning_rate)
    b1, b2 = _hyper.fraction("lamb", "b1", b1), _hyper.fraction("lamb", "b2", b2)
    eps, eps_root = _hyper.non_negative("lamb", "eps", eps), _hyper.non_negative("lamb", "eps_root", eps_root)
    decay = _hyper.rate("lamb", weight_decay, "weight_decay")

    def init(params: optax.Params) -> AdamState:
        return AdamState(_leaves.zero_step(), _leaves.zeros("lamb", params), _leaves.zeros("lamb", params))

    def update(
        updates: optax.Updates, state: AdamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdamState]:
        params = _trees.need_params("lamb", params)
        columns = (_trees.matching("lamb", "params", updates, params), _trees.masked("lamb", params, mask))
        step = _hyper.increment(state.step)
        factors = _hyper.bias_factors(step, b1, b2)
        rates = (_hyper.at_step(rate, state.step), _hyper.at_step(decay, state.step))
        scalars = (*rates, b1, b2, eps, eps_root, *factors)
        slots = (state.mu, state.nu)
        updates, mu, nu = _leaves.map_leaves("lamb", _leaf, scalars, updates, slots, params, columns)
        return updates, AdamState(step, mu, nu)

    return _leaves.transformation(init, update)


def _leaf(g, mu, nu, p, decayed, rate, weight_decay, b1, b2, eps, eps_root, factor1, factor2):
    mu = b1 * mu + (1 - b1) * g
    nu = b2 * nu + (1 - b2) * (g * g)
    step = _leaves.divide(mu * factor1, jnp.sqrt(nu * factor2 + eps_root) + eps, eps)
    if decayed is not None:
        step = step + weight_decay * decayed
    return -rate * _leaves.trust_ratio(p, step, 0.0) * step, mu, nu
