"""LARS, layerwise adaptive rate scaling (You, Gitman and Ginsburg 2017, algorithm 1; https://arxiv.org/abs/1708.03888).

For each leaf of parameters ``p``::

    u <- g + weight_decay * p
    t <- momentum * t + rate * trust_coefficient * norm(p) / (norm(u) + eps) * u
    p <- p - t

Where either norm is zero the factor of ``rate`` is one. The paper has the sum of the two norms, ``norm(g) +
weight_decay * norm(p)``, for ``norm(u)``. The rule looks at whole leaves, and so does not go with
``optax.flatten``.
"""

from typing import NamedTuple

import jax
import optax

from jaxnn.optim import _hyper, _leaves, _trees


class LarsState(NamedTuple):
    """``step``, the updates made, ``[]`` int32 or ``None``, and the trace, shaped like the parameters."""

    step: jax.Array | None
    trace: optax.Updates


def lars(
    learning_rate: _hyper.ScalarOrSchedule,
    weight_decay: _hyper.ScalarOrSchedule = 0.0,
    weight_decay_mask: _trees.Mask = None,
    trust_coefficient: _hyper.ScalarLike = 0.001,
    eps: _hyper.ScalarLike = 0.0,
    trust_ratio_mask: _trees.Mask = None,
    momentum: _hyper.ScalarLike = 0.9,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """LARS. ``update`` needs the parameters. Norms of float16 and bfloat16 leaves are float32.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      weight_decay: weight of the parameters in the step; a float, a schedule or a traced value.
      weight_decay_mask: a tree of bools, a prefix of one, or a function that makes one from the parameters:
        which of them decay.
      trust_coefficient: the length of a step at rate one, as a share of the parameters' norm.
      eps: added to the norm of the step.
      trust_ratio_mask: the same for which leaves are scaled by their norms; the others take the plain step.
      momentum: the share of past steps that is kept, in ``[0, 1)``.
      nesterov: look ahead.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, trees differ, or ``update`` is not given the
        parameters.

    Example:
      >>> import jax.numpy as jnp
      >>> rule, p = lars(0.5, trust_coefficient=0.1), jnp.asarray([3.0, 4.0])
      >>> rule.update(jnp.asarray([7.0, 0.0]), rule.init(p), p)[0]  # a tenth of the norm, times a half
      Array([-0.25, -0.  ], dtype=float32)
    """
    rate = _hyper.rate("lars", learning_rate)
    decay = _hyper.rate("lars", weight_decay, "weight_decay")
    trust = _hyper.non_negative("lars", "trust_coefficient", trust_coefficient)
    eps = _hyper.non_negative("lars", "eps", eps)
    kept = _hyper.fraction("lars", "momentum", momentum)

    def init(params: optax.Params) -> LarsState:
        return LarsState(_hyper.counter(rate, decay), _leaves.zeros("lars", params))

    def update(
        updates: optax.Updates, state: LarsState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, LarsState]:
        params = _trees.need_params("lars", params)
        columns = (
            _trees.masked("lars", params, weight_decay_mask, "weight_decay_mask"),
            _trees.masked("lars", params, trust_ratio_mask, "trust_ratio_mask"),
        )
        scalars = (
            _hyper.at_step(rate, state.step),
            _hyper.at_step(decay, state.step),
            trust,
            eps,
            kept,
            nesterov,
        )
        updates, trace = _leaves.map_leaves("lars", _leaf, scalars, updates, (state.trace,), params, columns)
        return updates, LarsState(_hyper.increment_if_any(state.step), trace)

    return _leaves.transformation(init, update)


def _leaf(g, trace, decayed, scaled, rate, weight_decay, trust, eps, momentum, nesterov):
    step = g if decayed is None else g + weight_decay * decayed
    step = rate * (step if scaled is None else _leaves.trust_ratio(scaled, step, eps, trust) * step)
    trace = step + momentum * trace
    return -(step + momentum * trace if nesterov else trace), trace
