"""AdamW, Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2; https://arxiv.org/abs/1711.05101).

::

    p <- p - rate * (adam(g) + weight_decay * p)

``adam(g)`` is the step of :func:`jaxnn.optim.adam` for a rate of one. As in optax and PyTorch the decay is
multiplied by the rate; the paper multiplies it by the schedule's factor alone.

=====  ============  ====================================================
form   weight_decay  eps
=====  ============  ====================================================
optax  1e-4          1e-8
torch  0.01          1e-8
keras  0.004         1e-7, beside the root of the uncorrected ``nu``
=====  ============  ====================================================
"""

import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves, _trees
from jaxnn.optim._adam import AdamState, corrections

# form: weight_decay, eps
FORMS = {"optax": (1e-4, 1e-8), "torch": (0.01, 1e-8), "keras": (0.004, 1e-7)}


def adamw(
    learning_rate: _hyper.ScalarOrSchedule,
    b1: _hyper.ScalarLike = 0.9,
    b2: _hyper.ScalarLike = 0.999,
    eps: _hyper.ScalarLike | None = None,
    eps_root: _hyper.ScalarLike = 0.0,
    *,
    weight_decay: _hyper.ScalarOrSchedule | None = None,
    mask: _trees.Mask = None,
    form: str = "optax",
) -> optax.GradientTransformationExtraArgs:
    """AdamW. ``update`` needs the parameters.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      b1: decay of the mean of gradients, in ``[0, 1)``.
      b2: decay of the mean of squared gradients, in ``[0, 1)``.
      eps: added to the root, or ``None`` for the form's own.
      eps_root: added under the root.
      weight_decay: the share of a parameter that a step at rate one takes away; a float, a schedule, a
        traced value, or ``None`` for the form's own.
      mask: a tree of bools, a prefix of one, or a function that makes one from the parameters: which of them
        decay.
      form: ``"optax"``, ``"torch"`` or ``"keras"``, the table above.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, ``form`` is unknown, trees differ, or ``update`` is not
        given the parameters.

    Example:
      >>> import jax.numpy as jnp
      >>> rule, p = adamw(0.5, weight_decay=0.1), jnp.ones(2)
      >>> rule.update(jnp.zeros(2), rule.init(p), p)[0]  # without a gradient only the decay is left
      Array([-0.05, -0.05], dtype=float32)
    """
    default_decay, default_eps = FORMS[_hyper.choice("adamw", "form", form, FORMS)]
    rate = _hyper.rate("adamw", learning_rate)
    b1, b2 = _hyper.fraction("adamw", "b1", b1), _hyper.fraction("adamw", "b2", b2)
    eps = _hyper.non_negative("adamw", "eps", default_eps if eps is None else eps)
    eps_root = _hyper.non_negative("adamw", "eps_root", eps_root)
    decay = _hyper.rate("adamw", default_decay if weight_decay is None else weight_decay, "weight_decay")

    def init(params: optax.Params) -> AdamState:
        return AdamState(_leaves.zero_step(), _leaves.zeros("adamw", params), _leaves.zeros("adamw", params))

    def update(
        updates: optax.Updates, state: AdamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdamState]:
        decayed = _trees.masked("adamw", _trees.need_params("adamw", params), mask)
        step = _hyper.increment(state.step)
        factors = corrections(form, _hyper.bias_factors(step, b1, b2))
        rates = (_hyper.at_step(rate, state.step), _hyper.at_step(decay, state.step))
        scalars = (*rates, b1, b2, eps, eps_root, *factors)
        slots = (state.mu, state.nu)
        updates, mu, nu = _leaves.map_leaves("adamw", _leaf, scalars, updates, slots, params, [decayed])
        return updates, AdamState(step, mu, nu)

    return _leaves.transformation(init, update)


def _leaf(g, mu, nu, p, rate, weight_decay, b1, b2, eps, eps_root, factor1, factor2):
    mu = b1 * mu + (1 - b1) * g
    nu = b2 * nu + (1 - b2) * (g * g)
    step = _leaves.divide(mu * factor1, jnp.sqrt(nu * factor2 + eps_root) + eps, eps)
    return -rate * (step if p is None else step + weight_decay * p), mu, nu
