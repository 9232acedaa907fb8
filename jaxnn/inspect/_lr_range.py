"""The learning-rate range test (Smith, 2017, "Cyclical learning rates for training neural networks")."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.core import check_key, fold_name, is_traced, non_negative, positive_int
from jaxnn.train import Objective, TrainState
from jaxnn.train._epoch import check_batch_size, examples
from jaxnn.train._step import check_parts, pure_step

_KEEP = 0.9
_DIVERGED = 4.0


class LrRange(NamedTuple):
    """What ``lr_range`` returns; rates and losses ``[steps]``.

    Attributes:
        rates: the learning rate of each step.
        losses: the loss of each step's batch, before the step.
        smoothed: their exponential moving average, corrected for its start.
        suggestion: the rate at which ``smoothed`` falls most steeply against the logarithm of the rate,
            before its minimum and after the first tenth of the steps; NaN if it never falls.
        diverged: the first rate at which ``smoothed`` has risen to four times its minimum, or is not finite;
            ``inf`` if it never has. That is late: a loss takes steps to grow.
    """

    rates: Any
    losses: Any
    smoothed: Any
    suggestion: Any
    diverged: Any


def lr_range(
    objective: Objective,
    optimizer: Callable[[Any], Any],
    data: Any,
    *,
    key: Any,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
) -> LrRange:
    """Train while the learning rate grows from ``low`` to ``high``, and see where the loss falls.

    The rate grows exponentially, by the same factor at each step. The run is one ``scan``, compiled once,
    from fresh parameters, and leaves nothing changed; under ``vmap`` over ``key`` it tests many starts at a
    time. Keras and Flax leave this to callbacks and loops of one's own.

    Args:
        objective: what is minimised.
        optimizer: ``rate -> gradient transformation`` for a schedule, such as ``optim.adam`` itself.
        data: any pytree of arrays with a common first axis.
        key: the run's typed key: initial parameters, order of examples, dropout.
        low: first rate.
        high: last rate.
        steps: number of steps; at least 2.
        batch_size: examples in a batch.

    Raises:
        TypeError: ``optimizer`` is not a function of the rate, or ``key`` is not a typed key.
        ValueError: ``steps``, ``batch_size``, ``low`` or ``high`` does not fit.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import inspect, losses, optim, train
        >>> x = jax.random.normal(jax.random.key(1), (64, 3))
        >>> task = train.supervised(nn.dense(1), losses.squared_error)
        >>> found = inspect.lr_range(task, optim.sgd, (x, x[:, :1]), key=jax.random.key(0), batch_size=64)
        >>> bool(0.01 < found.suggestion < 1 < found.diverged)
        True
    """
    check_key("lr_range", key)
    low = non_negative("lr_range", "low", low, positive=True)
    high = non_negative("lr_range", "high", high, positive=True)
    steps = positive_int("lr_range", "steps", steps)
    if steps < 2 or (not (is_traced(low) or is_traced(high)) and low >= high):
        raise ValueError(
            f"lr_range: needs at least 2 steps and low below high, got {steps} steps, {low} to {high}"
        )
    if not callable(optimizer) or hasattr(optimizer, "update"):
        raise TypeError(
            f"lr_range: optimizer must be a function of the learning rate, got {optimizer!r}; pass the "
            "factory itself, as in optim.adam, or lambda rate: optim.sgd(rate)"
        )
    n = examples("lr_range", data)
    check_batch_size("lr_range", positive_int("lr_range", "batch_size", batch_size), n)
    powers = jnp.arange(steps, dtype=jnp.float32) / (steps - 1)
    rates = low * (high / low) ** powers
    rule = optimizer(lambda count: rates[count])
    check_parts("lr_range", objective, rule)
    order = _order(key, n, steps * batch_size).reshape(steps, batch_size)
    step = pure_step(objective, rule, None)

    def run(data: Any, order: Any, key: Any) -> Any:
        state = TrainState.create(objective, rule, key, jax.tree.map(lambda leaf: leaf[:1], data))

        def one(state: TrainState, chosen: Any) -> tuple[TrainState, Any]:
            state, record = step(state, jax.tree.map(lambda leaf: leaf[chosen], data))
            return state, record["loss"].compute()

        return jax.lax.scan(one, state, order)[1]

    losses = jax.jit(run)(jax.tree.map(jnp.asarray, data), order, key)
    return LrRange(rates, losses, *_judged(rates, losses))


def _order(key: Any, n: int, count: int) -> Any:
    """Numbers of ``count`` examples in shuffled passes over ``n``."""
    keys = jax.random.split(fold_name(key, "draw", "order"), -(-count // n))
    passes = jax.vmap(lambda k: jax.random.permutation(k, jnp.arange(n, dtype=jnp.int32)))(keys)
    return passes.reshape(-1)[:count]


# Outside of a compilation each call of a scan would be compiled anew, and kept.
@jax.jit
def _judged(rates: Any, losses: Any) -> tuple[Any, Any, Any]:
    def blend(old: Any, new: Any) -> tuple[Any, Any]:
        kept = _KEEP * old + (1 - _KEEP) * new
        return kept, kept

    _, kept = jax.lax.scan(blend, jnp.zeros((), losses.dtype), losses)
    count = jnp.arange(1, losses.size + 1, dtype=losses.dtype)
    smoothed = kept / (1 - _KEEP**count)
    finite = jnp.isfinite(smoothed)
    least = jax.lax.cummin(jnp.where(finite, smoothed, jnp.inf))
    lost = jax.lax.cummax((~finite | (smoothed > _DIVERGED * jnp.abs(least))).astype(jnp.int32)) > 0
    diverged = jnp.where(jnp.any(lost), rates[jnp.argmax(lost)], jnp.inf)
    alive = jnp.where(lost, jnp.inf, smoothed)
    index = jnp.arange(losses.size, dtype=jnp.int32)
    # The moving average of the first few losses is as noisy as they are.
    falling = (index >= losses.size // 10) & (index <= jnp.argmin(alive)) & ~lost
    change: Any = jnp.gradient(jnp.where(lost, 0, smoothed))
    slope = jnp.where(falling, change, jnp.inf)
    steepest = jnp.argmin(slope)
    return smoothed, jnp.where(slope[steepest] < 0, rates[steepest], jnp.nan), diverged
