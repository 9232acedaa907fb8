"""RMSprop (Hinton 2012, "Neural networks for machine learning", lecture 6e).

::

    nu <- decay * nu + (1 - decay) * g**2
    p  <- p - rate * g / root(nu)

The lecture divides by ``sqrt(nu)`` and says nothing of zeros. Libraries disagree about ``eps``, about the
decay, and about the side of the rate on which momentum stands (which shows under a schedule):

=====  ==================  =====  ====  ============================================
form   root(nu)            decay  eps   with momentum, where ``d = g / root(nu)``
=====  ==================  =====  ====  ============================================
optax  ``sqrt(nu + eps)``  0.9    1e-8  ``t <- momentum * t + rate * d; p <- p - t``
keras  ``sqrt(nu + eps)``  0.9    1e-7  ``t <- momentum * t + rate * d; p <- p - t``
torch  ``sqrt(nu) + eps``  0.99   1e-8  ``t <- momentum * t + d; p <- p - rate * t``
paper  ``sqrt(nu) + eps``  0.9    0     ``t <- momentum * t + rate * d; p <- p - t``
=====  ==================  =====  ====  ============================================

(Keras by itself, before it became a part of TensorFlow, had ``eps`` outside the root.) Centred, the square
of the mean gradient, ``mean <- decay * mean + (1 - decay) * g``, is taken from ``nu`` under the root (Graves
2013, equations 38 to 45; https://arxiv.org/abs/1308.0850).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves

# form: decay, eps
FORMS = {"optax": (0.9, 1e-8), "paper": (0.9, 0.0), "torch": (0.99, 1e-8), "keras": (0.9, 1e-7)}


class RmspropState(NamedTuple):
    """``step``, the updates made, ``[]`` int32 or ``None``, and slots; the last two may be ``None``."""

    step: jax.Array | None
    nu: optax.Updates
    mean: optax.Updates | None
    trace: optax.Updates | None


def rmsprop(
    learning_rate: _hyper.ScalarOrSchedule,
    decay: _hyper.ScalarLike | None = None,
    eps: _hyper.ScalarLike | None = None,
    *,
    centered: bool = False,
    momentum: _hyper.ScalarLike | None = None,
    nesterov: bool = False,
    form: str = "optax",
) -> optax.GradientTransformationExtraArgs:
    """RMSprop.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      decay: decay of the mean of squared gradients, in ``[0, 1)``, or ``None`` for the form's own.
      eps: added under or to the root, or ``None`` for the form's own.
      centered: divide by the deviation from the mean gradient.
      momentum: the share of past steps that is kept, in ``[0, 1)``; ``None`` keeps no trace of them.
      nesterov: with ``momentum``, look ahead.
      form: ``"optax"``, ``"paper"``, ``"torch"`` or ``"keras"``, the table above.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, ``form`` is unknown, trees differ; or ``nesterov``
        without ``momentum``.

    Example:
      >>> import jax.numpy as jnp
      >>> rule = rmsprop(1.0)
      >>> step, _ = rule.update(jnp.asarray(7.0), rule.init(jnp.asarray(0.0)))
      >>> print(f"{step:.5f}")  # 1 / sqrt(0.1)
      -3.16228
    """
    default_decay, default_eps = FORMS[_hyper.choice("rmsprop", "form", form, FORMS)]
    rate = _hyper.rate("rmsprop", learning_rate)
    decay = _hyper.fraction("rmsprop", "decay", default_decay if decay is None else decay)
    eps = _hyper.non_negative("rmsprop", "eps", default_eps if eps is None else eps)
    kept = 0.0 if momentum is None else _hyper.fraction("rmsprop", "momentum", momentum)
    if nesterov and momentum is None:
        raise ValueError("rmsprop: nesterov=True needs momentum; pass momentum=0.9")
    switches = (form in ("optax", "keras"), form == "torch", nesterov)

    def init(params: optax.Params) -> RmspropState:
        nu = _leaves.zeros("rmsprop", params)
        mean = _leaves.zeros("rmsprop", params) if centered else None
        trace = None if momentum is None else _leaves.zeros("rmsprop", params)
        return RmspropState(_hyper.counter(rate), nu, mean, trace)

    def update(
        updates: optax.Updates, state: RmspropState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, RmspropState]:
        scalars = (_hyper.at_step(rate, state.step), decay, eps, kept, *switches)
        slots = (state.nu, state.mean, state.trace)
        updates, *slots = _leaves.map_leaves("rmsprop", _leaf, scalars, updates, slots, params)
        return updates, RmspropState(_hyper.increment_if_any(state.step), *slots)

    return _leaves.transformation(init, update)


def _leaf(g, nu, mean, trace, rate, decay, eps, momentum, eps_under_root, rate_after, nesterov):
    nu = decay * nu + (1 - decay) * (g * g)
    spread = nu
    if mean is not None:
        mean = decay * mean + (1 - decay) * g
        # A mean of squares is at least the square of the mean; rounding can say otherwise, and the root
        # would be nan.
        spread = jnp.maximum(nu - mean * mean, 0)
    root = jnp.sqrt(spread + eps) if eps_under_root else jnp.sqrt(spread) + eps
    step = _leaves.divide(g, root, eps)
    if trace is None:
        return -rate * step, nu, mean, trace
    step = step if rate_after else rate * step
    trace = step + momentum * trace
    ahead = step + momentum * trace if nesterov else trace
    return -rate * ahead if rate_after else -ahead, nu, mean, trace
