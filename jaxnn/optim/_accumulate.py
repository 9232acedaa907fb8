"""Accumulating gradients over micro-batches, by the weight of each.

After ``every`` micro-batches with gradients ``g_i`` and weights ``w_i`` (numbers of examples, or of tokens)
the inner rule is given ``sum(w_i * g_i) / sum(w_i)``. If each ``g_i`` is the gradient of a weighted mean
over its micro-batch, that is the gradient of the weighted mean over all of them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves, _trees


class AccumulateState(NamedTuple):
    """The micro-batches since the last step.

    ``seen``, their number, ``[]`` int32; ``weight``, the sum of their weights, ``[]``; ``total``, the
    weighted sum of their gradients, in float32 or wider; ``inner``, the state of the inner rule.
    """

    seen: jax.Array
    weight: jax.Array
    total: optax.Updates
    inner: optax.OptState


def accumulate(inner: optax.GradientTransformation, every: int) -> optax.GradientTransformationExtraArgs:
    """Step once in ``every`` calls, by the weighted mean of the gradients given; the other updates are zero.

    ``optax.MultiSteps`` gives every micro-batch the same weight, which is wrong where they hold different
    numbers of tokens or the last is smaller.

    ``update`` takes ``weight``, a number that is zero or more, 1 if it is not given. The inner rule is given
    the sum of the weights as its own ``weight``, and the other extra arguments of the last call. Gradients of
    weight zero do not count, not even as NaN. If all weights are zero there is nothing to step by: the update
    is zero and the inner state stays.

    Args:
      inner: the update rule that takes the steps.
      every: the number of micro-batches to a step, one or more.

    Raises:
      TypeError: ``inner`` is not a gradient transformation, ``every`` is not an integer, or a leaf is not
        real floating point.
      ValueError: ``every`` is below one, a concrete ``weight`` is negative or not finite, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxnn import optim
      >>> rule = accumulate(optim.sgd(1.0), every=2)
      >>> first, state = rule.update(jnp.asarray(1.0), rule.init(jnp.asarray(0.0)), weight=3)
      >>> second, state = rule.update(jnp.asarray(5.0), state, weight=1)
      >>> print(first, second)
      0.0 -2.0
    """
    if not isinstance(inner, optax.GradientTransformation):
        raise TypeError(f"accumulate: inner must be an optax.GradientTransformation, got {inner!r}")
    period = _hyper.count("accumulate", "every", every, 1)
    rule = optax.with_extra_args_support(inner)

    def init(params: optax.Params) -> AccumulateState:
        total = _leaves.zeros("accumulate", params)
        return AccumulateState(
            jnp.zeros((), jnp.int32), jnp.zeros((), jnp.result_type(float)), total, rule.init(params)
        )

    def update(
        updates: optax.Updates,
        state: AccumulateState,
        params: optax.Params | None = None,
        *,
        weight: _hyper.ScalarLike = 1.0,
        **extra_args: Any,
    ) -> tuple[optax.Updates, AccumulateState]:
        _trees.check_floating("accumulate", "the gradient of", updates)
        _trees.matching("accumulate", "the state", updates, state.total)
        share = jnp.asarray(_hyper.non_negative("accumulate", "weight", weight), state.weight.dtype)

        def add(total: jax.Array, gradient: jax.Array) -> jax.Array:
            # The gradient of a mean over nothing is 0 / 0, and must not count either. It is replaced before
            # the product, whose derivative by the weight is the gradient.
            nothing = (share == 0) & ~jnp.isfinite(gradient)
            return total + share.astype(total.dtype) * jnp.where(nothing, 0, gradient).astype(total.dtype)

        total = jax.tree.map(add, state.total, updates)
        seen, whole = state.seen + 1, state.weight + share

        def step(inner_state: optax.OptState) -> tuple[optax.Updates, optax.OptState]:
            mean = jax.tree.map(lambda t, g: (t / whole.astype(t.dtype)).astype(g.dtype), total, updates)
            return rule.update(mean, inner_state, params, **{**extra_args, "weight": whole})

        def wait(inner_state: optax.OptState) -> tuple[optax.Updates, optax.OptState]:
            shapes, _ = jax.eval_shape(step, inner_state)
            return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes), inner_state

        full = seen == period
        steps, inner_state = jax.lax.cond(full & (whole > 0), step, wait, state.inner)
        total = jax.tree.map(lambda t: jnp.where(full, jnp.zeros_like(t), t), total)
        new = AccumulateState(jnp.where(full, 0, seen), jnp.where(full, 0, whole), total, inner_state)
        return steps, new

    return _leaves.transformation_with_extra_args(init, update)
