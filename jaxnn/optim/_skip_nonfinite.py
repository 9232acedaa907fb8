"""Leaving out updates that are infinite or not numbers, and counting them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _leaves


class SkipNonfiniteState(NamedTuple):
    """``skipped``, the number of updates left out, ``[]`` int32, and the state of the inner rule."""

    skipped: jax.Array
    inner: optax.OptState


def skip_nonfinite(inner: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Apply ``inner`` only where nothing that comes of it is infinite or not a number.

    A step is left out, with an update of zero and the inner state as it was, if a gradient or an update is
    not finite, or if a number in the inner state would cease to be: a finite gradient whose square overflows
    would otherwise stop its parameter for good. ``optax.apply_if_finite`` looks at gradients alone, and
    gives in after a number of failures; this rule never does, and ``state.skipped`` says how often it has
    held.

    Args:
      inner: the update rule to guard. It is given all extra arguments.

    Raises:
      TypeError: ``inner`` is not a gradient transformation.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxnn import optim
      >>> rule = skip_nonfinite(optim.sgd(0.5))
      >>> state = rule.init(jnp.ones(2))
      >>> step, state = rule.update(jnp.asarray([1.0, jnp.nan]), state)
      >>> print(step, state.skipped)
      [0. 0.] 1
    """
    if not isinstance(inner, optax.GradientTransformation):
        raise TypeError(f"skip_nonfinite: inner must be an optax.GradientTransformation, got {inner!r}")
    rule = optax.with_extra_args_support(inner)

    def init(params: optax.Params) -> SkipNonfiniteState:
        return SkipNonfiniteState(jnp.zeros((), jnp.int32), rule.init(params))

    def update(
        updates: optax.Updates,
        state: SkipNonfiniteState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, SkipNonfiniteState]:
        steps, after = rule.update(updates, state.inner, params, **extra_args)
        sound = [jnp.all(jnp.isfinite(x)) for x in _inexact(updates) + _inexact(steps)]
        # A rule may start from infinity, as a running minimum does: what counts is what ceases to be finite.
        for old, new in zip(_inexact(state.inner), _inexact(after), strict=True):
            sound.append(jnp.all(jnp.isfinite(new) | ~jnp.isfinite(old)))
        finite = jnp.all(jnp.stack(sound)) if sound else jnp.asarray(True)
        steps = jax.tree.map(lambda u: jnp.where(finite, u, jnp.zeros_like(u)), steps)
        kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state.inner)
        return steps, SkipNonfiniteState(state.skipped + (~finite).astype(state.skipped.dtype), kept)

    return _leaves.transformation_with_extra_args(init, update)


def all_finite(tree: Any) -> jax.Array:
    """Whether no leaf holds an infinity or a NaN, ``[]`` bool."""
    sound = [jnp.all(jnp.isfinite(x)) for x in _inexact(tree)]
    return jnp.all(jnp.stack(sound)) if sound else jnp.asarray(True)


def _inexact(tree: Any) -> list[Any]:
    """Return the leaves that can be infinite."""
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
