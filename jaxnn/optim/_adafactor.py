"""Adafactor (Shazeer and Stern 2018, algorithm 4; https://arxiv.org/abs/1804.04235), in the variant of optax.

The second moment of a matrix is kept as its row means and column means. With ``d = 1 - t**-decay_rate``::

    row    <- d * row + (1 - d) * mean_over_columns(g**2 + eps)
    column <- d * column + (1 - d) * mean_over_rows(g**2 + eps)
    u      <- g / sqrt(row * column / mean(row))
    u      <- u / max(1, rms(u) / clipping_threshold)
    p      <- p - rate * max(rms(p), 1e-3) * u - weight_decay_rate * p

A leaf whose second largest axis is shorter than ``min_dim_size_to_factor`` keeps its full second moment. As
in optax ``d`` is formed in float32 in every precision, and weight decay is not multiplied by the rate.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnn.optim import _hyper, _leaves, _trees


class AdafactorState(NamedTuple):
    """``step``, the number of updates made, ``[]`` int32, and slots.

    A factored leaf has ``row``, shaped like the leaf without its largest axis, and ``column``, without its
    second largest; another leaf has ``full``, shaped like it. What a leaf has not is ``None``, and so is an
    unused ``trace``.
    """

    step: jax.Array
    row: optax.Updates
    column: optax.Updates
    full: optax.Updates
    trace: optax.Updates | None


def adafactor(
    learning_rate: _hyper.ScalarOrSchedule | None = None,
    min_dim_size_to_factor: int | None = None,
    decay_rate: _hyper.ScalarLike = 0.8,
    decay_offset: int | None = None,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: _hyper.ScalarLike | None = 1.0,
    momentum: _hyper.ScalarLike | None = None,
    weight_decay_rate: _hyper.ScalarOrSchedule | None = None,
    eps: _hyper.ScalarLike = 1e-30,
    factored: bool = True,
    weight_decay_mask: _trees.Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Adafactor. ``update`` needs the parameters. The rule looks at shapes: not with ``optax.flatten``.

    Args:
      learning_rate: a float, a schedule (a callable of the step), a traced value, or ``None`` for one.
      min_dim_size_to_factor: the length that both axes of a factored leaf have at least; ``None`` for 128.
      decay_rate: the exponent of the step in the decay of the second moment, above zero.
      decay_offset: the step from which that decay is counted, as of a run that is continued; ``None`` for 0.
        Until then nothing is remembered, where optax gives NaN.
      multiply_by_parameter_scale: multiply the step by the root mean square of the leaf.
      clipping_threshold: the largest root mean square of a step, above zero, or ``None``.
      momentum: decay of a mean of steps, in ``[0, 1)``, or ``None`` for the steps themselves.
      weight_decay_rate: the share of a parameter that every step takes away; a float, a schedule, a traced
        value, or ``None``.
      eps: added to squared gradients, above zero.
      factored: whether to factor at all.
      weight_decay_mask: a tree of bools, a prefix of one, or a function that makes one from the parameters:
        which of them decay.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, trees differ, or ``update`` is not given the
        parameters.

    Example:
      >>> import jax.numpy as jnp
      >>> rule, p = adafactor(0.5), jnp.full(2, 4.0)
      >>> rule.update(jnp.asarray([3.0, -2.0]), rule.init(p), p)[0]
      Array([-2.,  2.], dtype=float32)
    """
    rate = _hyper.rate("adafactor", 1.0 if learning_rate is None else learning_rate)
    shortest = 128 if min_dim_size_to_factor is None else min_dim_size_to_factor
    shortest = _hyper.count("adafactor", "min_dim_size_to_factor", shortest, 1)
    exponent = _hyper.positive("adafactor", "decay_rate", decay_rate)
    offset = 0 if decay_offset is None else _hyper.count("adafactor", "decay_offset", decay_offset, 0)
    limit = None
    if clipping_threshold is not None:
        limit = _hyper.positive("adafactor", "clipping_threshold", clipping_threshold)
    kept = None if momentum is None else _hyper.fraction("adafactor", "momentum", momentum)
    decay = _hyper.rate(
        "adafactor", 0.0 if weight_decay_rate is None else weight_decay_rate, "weight_decay_rate"
    )
    eps = _hyper.positive("adafactor", "eps", eps)

    def init(params: optax.Params) -> AdafactorState:
        _trees.check_floating("adafactor", "the parameter", params)

        def slot(which: int) -> optax.Params:
            return jax.tree.map(lambda p: _slots(p, shortest if factored else None)[which], params)

        trace = None if kept is None else _leaves.zeros("adafactor", params)
        return AdafactorState(_leaves.zero_step(), slot(0), slot(1), slot(2), trace)

    def update(
        updates: optax.Updates, state: AdafactorState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdafactorState]:
        params = _trees.need_params("adafactor", params)
        leaves = _trees.matching("adafactor", "params", updates, params)
        decayed = (
            [None] * len(leaves)
            if weight_decay_rate is None
            else _trees.masked("adafactor", params, weight_decay_mask, "weight_decay_mask")
        )
        shapes = partial(_slots, shortest=shortest if factored else None)
        _trees.check_slots("adafactor", updates, state[1:4], shapes)
        # Before the offset a power of a negative number, which is NaN, would be taken.
        counted = jnp.maximum(state.step + 1 - offset, 1)
        second_moment_decay = 1 - counted.astype(jnp.float32) ** -exponent
        rates = (_hyper.at_step(rate, state.step), _hyper.at_step(decay, state.step))
        scalars = (*rates, second_moment_decay, eps, limit, kept, multiply_by_parameter_scale)
        updates, *slots = _leaves.map_leaves(
            "adafactor",
            _leaf,
            scalars,
            updates,
            tuple(state[1:]),
            params,
            (leaves, decayed),
            same_shape=False,
        )
        return updates, AdafactorState(_hyper.increment(state.step), *slots)

    return _leaves.transformation(init, update)


def _axes(shape: tuple[int, ...], shortest: int | None) -> tuple[int, int] | None:
    """Return the second largest and the largest axis of a leaf that is factored, and ``None`` for another."""
    if shortest is None or len(shape) < 2:
        return None
    second, first = (int(axis) for axis in np.argsort(shape)[-2:])
    return None if shape[second] < shortest else (second, first)


def _slots(p: jax.Array, shortest: int | None) -> tuple[jax.Array | None, ...]:
    """Return the first ``row``, ``column`` and ``full`` of one leaf."""
    dtype, axes = _leaves.state_dtype(p), _axes(jnp.shape(p), shortest)
    if axes is None:
        return None, None, jnp.zeros_like(p, dtype)
    second, first = axes
    # Sums, so that the slots of a sharded leaf are sharded as it is.
    return jnp.zeros_like(jnp.sum(p, first), dtype), jnp.zeros_like(jnp.sum(p, second), dtype), None


def _rms(x):
    return jnp.sqrt(jnp.mean(x * x))


def _leaf(
    g, row, column, full, trace, p, decayed, rate, weight_decay, d, eps, limit, kept, scale_by_parameter
):
    square = g * g + eps
    if full is None:
        second, first = (int(axis) for axis in np.argsort(g.shape)[-2:])
        row = d * row + (1 - d) * jnp.mean(square, first)
        column = d * column + (1 - d) * jnp.mean(square, second)
        mean = jnp.mean(row, second - (second > first), keepdims=True)
        # Two roots: the product of the means would underflow where gradients are near zero.
        step = g / jnp.expand_dims(jnp.sqrt(row / mean), first) / jnp.expand_dims(jnp.sqrt(column), second)
    else:
        full = d * full + (1 - d) * square
        step = g / jnp.sqrt(full)
    if limit is not None:
        step = step / jnp.maximum(1, _rms(step) / limit)
    step = rate * step * (jnp.maximum(_rms(p), 1e-3) if scale_by_parameter else 1)
    if trace is not None:
        step = trace = kept * trace + (1 - kept) * step
    return -(step if decayed is None else step + weight_decay * decayed), row, column, full, trace
