"""Scaling the loss so that gradients in float16 neither vanish nor overflow.

The loss is multiplied by a power of two before it is differentiated, and the gradients are divided by it
afterwards, in float32. Where they overflow, the step is left out and the scale halved; after many steps
without that it is doubled (Micikevicius et al., 2018, arXiv:1710.03740, section 3.2).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves
from jaxnn.optim._skip_nonfinite import SkipNonfiniteState, all_finite, skip_nonfinite


class DynamicLossScaleState(NamedTuple):
    """What is multiplied, and how it has gone.

    ``loss_scale``, by which the loss must be multiplied for the next gradients, ``[]`` float32; ``steady``,
    the steps since it last changed, ``[]`` int32; ``guarded``, the number of steps left out and the state of
    the inner rule.
    """

    loss_scale: jax.Array
    steady: jax.Array
    guarded: SkipNonfiniteState

    @property
    def skipped(self) -> jax.Array:
        """The number of steps left out so far, ``[]`` int32."""
        return self.guarded.skipped

    @property
    def inner(self) -> optax.OptState:
        """The state of the inner rule."""
        return self.guarded.inner


def dynamic_loss_scale(
    inner: optax.GradientTransformation,
    *,
    initial: _hyper.ScalarLike = 2.0**15,
    growth_interval: int = 2000,
    factor: _hyper.ScalarLike = 2.0,
) -> optax.GradientTransformationExtraArgs:
    """Train a model in float16: keep a loss scale, undo it in the gradients, leave out what overflows.

    With ``train.make_step``, ``make_epoch`` and ``fit`` there is nothing else to do: they find the scale in
    the optimizer's state, multiply the loss by it and report ``skipped_steps`` in each record. It is part of
    the optimizer, so it is saved and resumed with it, and runs inside ``scan`` and ``vmap``; jmp and
    Flax's ``DynamicScale`` leave the threading to the user. In a loop of your own, differentiate
    ``state.loss_scale * loss``.

    A step is left out as by ``skip_nonfinite``: no update, and the inner state as it was. bfloat16 has the
    range of float32 and needs none of this.

    Args:
      inner: the whole update rule, clipping included: it is given unscaled gradients, in float32 or wider.
      initial: the first scale.
      growth_interval: steps without overflow after which the scale is multiplied by ``factor``.
      factor: by which it grows, and by which it is divided (to 1 at least) after an overflow; above 1.

    Raises:
      TypeError: ``inner`` is not a gradient transformation.
      ValueError: a hyper-parameter is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxnn import optim
      >>> rule = optim.dynamic_loss_scale(optim.sgd(0.5), initial=8.0)
      >>> state = rule.init(jnp.ones(2))
      >>> step, state = rule.update(jnp.asarray([8.0, 16.0]), state)  # of 8 * loss
      >>> print(step, state.loss_scale, state.skipped)
      [-0.5 -1. ] 8.0 0
      >>> step, state = rule.update(jnp.asarray([jnp.inf, 0.0]), state)
      >>> print(step, state.loss_scale, state.skipped)
      [0. 0.] 4.0 1
    """
    if not isinstance(inner, optax.GradientTransformation):
        raise TypeError(f"dynamic_loss_scale: inner must be an optax.GradientTransformation, got {inner!r}")
    first = _hyper.positive("dynamic_loss_scale", "initial", initial)
    period = _hyper.count("dynamic_loss_scale", "growth_interval", growth_interval, 1)
    ratio = _hyper.positive("dynamic_loss_scale", "factor", factor)
    if not isinstance(ratio, jax.Array) and ratio <= 1:
        raise ValueError(f"dynamic_loss_scale: factor must be above 1, got {ratio}; 2 is usual")
    rule = skip_nonfinite(inner)

    def init(params: optax.Params) -> DynamicLossScaleState:
        # A leaf is never the caller's own array, which a compiled loop would consume.
        scale = jnp.array(first, jnp.float32)
        guarded: Any = rule.init(params)
        return DynamicLossScaleState(scale, jnp.zeros((), jnp.int32), guarded)

    def update(
        updates: optax.Updates,
        state: DynamicLossScaleState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, DynamicLossScaleState]:
        scale = state.loss_scale

        def unscaled(gradient: Any) -> Any:
            wide = gradient.astype(_leaves.state_dtype(gradient))
            return wide / scale.astype(wide.dtype)

        gradients = jax.tree.map(unscaled, updates)
        if "grad" in extra_args:
            extra_args["grad"] = gradients
        guarded: Any
        steps, guarded = rule.update(gradients, state.guarded, params, **extra_args)
        sound = all_finite(gradients)
        steady = jnp.where(sound, state.steady + 1, 0)
        grown = scale * jnp.asarray(ratio, scale.dtype)
        full = steady == period
        grown = jnp.where(full & jnp.isfinite(grown), grown, scale)
        shrunk = jnp.maximum(scale / jnp.asarray(ratio, scale.dtype), 1)
        new = DynamicLossScaleState(jnp.where(sound, grown, shrunk), jnp.where(full, 0, steady), guarded)
        return steps, new

    return _leaves.transformation_with_extra_args(init, update)
