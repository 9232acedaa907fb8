"""The compiled loop over the steps of an epoch."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnn.core import describe, fold_name, is_traced, one_of, positive_int
from jaxnn.metrics import merge
from jaxnn.train._objective import Objective
from jaxnn.train._state import TrainState
from jaxnn.train._step import Record, empty_record, pure_step, record_spec

Epoch = Callable[..., tuple[TrainState, Record]]
CONSUMED = (0, 5)


def make_epoch(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    batch_size: int,
    *,
    ema: float | None = None,
    donate: bool = True,
    last_batch: str = "keep",
) -> Epoch:
    """Return ``epoch(train_state, data, order=None, start=0, stop=None, record=None)``, compiled.

    One call trains on device-resident ``data`` (a pytree of arrays with a common first axis ``n``) from
    batch ``start`` to before batch ``stop`` of ``ceil(n / batch_size)``, every example once, the smaller
    last batch included, and returns ``(train_state, record)``. The bounds are dynamic: one executable
    runs a whole epoch or any piece of it with identical bits, so a loop gets progress, checkpoints and
    signals inside an epoch for nothing. Keras' ``steps_per_execution`` dispatches every step from Python.

    Args:
        objective: what is minimised.
        optimizer: an ``optax.GradientTransformation``.
        batch_size: examples in a batch, at most ``n``.
        ema: decay of the moving average of the parameters, see ``make_step``.
        donate: whether ``train_state`` and ``record`` are consumed, which saves a copy of both.
        last_batch: where ``batch_size`` does not divide ``n``, the examples that are left at the end of the
            order are a smaller batch of their own (``"keep"``), are left out (``"drop"``, Keras'
            ``drop_remainder`` and PyTorch's ``drop_last``), or join the batch before (``"merge"``).

    The arguments of ``epoch`` beyond the state and the data are:

    - ``order``: int32 ``[m]``, the examples in the order of training (any sequence: a fold, a bootstrap, a
      curriculum); ``None`` shuffles all from the run's key and step, as ``epoch_order`` does.
    - ``start``, ``stop``: numbers of batches; ``None`` is to the end.
    - ``record``: sums to continue, from the piece before.

    Raises:
        TypeError, ValueError: ``batch_size`` is not a positive int; at use, it exceeds ``n``, or the
            leaves of ``data`` have unequal first axes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import losses, optim, train
        >>> task, rule = train.supervised(nn.dense(1), losses.squared_error), optim.sgd(0.1)
        >>> data = jnp.ones((10, 2)), jnp.ones((10, 1))
        >>> state = train.TrainState.create(task, rule, jax.random.key(0), data)
        >>> epoch = train.make_epoch(task, rule, batch_size=4)
        >>> state, record = epoch(state, data)
        >>> int(state.step), float(record["loss"].weight)
        (3, 10.0)
    """
    batch_size = positive_int("make_epoch", "batch_size", batch_size)
    one_of("make_epoch", "last_batch", last_batch, LAST_BATCH)
    run = pure_epoch(objective, optimizer, batch_size, ema, last_batch)
    compiled = jax.jit(run, donate_argnums=CONSUMED if donate else ())
    step = pure_step(objective, optimizer, ema)

    def epoch(
        train_state: TrainState,
        data: Any,
        order: Any = None,
        start: Any = 0,
        stop: Any = None,
        record: Any = None,
    ) -> tuple[TrainState, Record]:
        n = examples("make_epoch", data)
        if not is_traced(start) and not start >= 0:
            raise ValueError(f"make_epoch: start is the number of a batch, from 0, got {start}")
        order = epoch_order(train_state, n, start) if order is None else _checked_order(order, n)
        check_batch_size("make_epoch", batch_size, order.shape[0])
        if record is None:
            sample = jax.tree.map(lambda leaf: leaf[:batch_size], data)
            record = empty_record(record_spec(step, train_state, sample))
        stop = steps_per_epoch(order.shape[0], batch_size, last_batch) if stop is None else stop
        return compiled(train_state, data, order, np.int32(start), np.int32(stop), record)

    return epoch


def pure_epoch(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    batch_size: int,
    ema: float | None,
    last_batch: str = "keep",
) -> Epoch:
    """Return ``(train_state, data, order, start, stop, record)`` uncompiled and without checks.

    Compiled, it may be given leave to consume the arguments of the places ``CONSUMED``.
    """
    step = pure_step(objective, optimizer, ema)

    def take(data: Any, chosen: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.at[chosen].get(mode="clip"), data)

    def run(
        train_state: TrainState, data: Any, order: Any, start: Any, stop: Any, record: Any
    ) -> tuple[TrainState, Record]:
        n = order.shape[0]
        full, rest = _full_and_rest(n, batch_size, last_batch)

        def body(size: int) -> Callable[[Any, Any], Any]:
            def one(index: Any, carry: tuple[TrainState, Record]) -> tuple[TrainState, Record]:
                chosen = jax.lax.dynamic_slice(order, (index * batch_size,), (size,))
                state, new = step(carry[0], take(data, chosen))
                return state, merge(carry[1], new)

            return one

        carry = (train_state, record)
        carry = jax.lax.fori_loop(start, jnp.minimum(stop, full), body(batch_size), carry)
        if rest:
            # A loop of one turn or none: unlike cond, it updates the state in place.
            last = jnp.minimum(stop, full + 1)
            try:
                carry = jax.lax.fori_loop(jnp.maximum(start, full), last, body(rest), carry)
            except ValueError as error:
                raise ValueError(_of_the_last_batch(rest, n, batch_size, error)) from error
        return carry

    return run


def _checked_order(order: Any, n: int) -> Any:
    if not hasattr(order, "dtype") or jnp.ndim(order) != 1 or not jnp.issubdtype(order.dtype, jnp.integer):
        raise ValueError(f"make_epoch: order must be a vector of integers, got {describe(order)}")
    if not is_traced(order) and order.size and not 0 <= order.min() <= order.max() < n:
        raise ValueError(
            f"make_epoch: order must hold examples in [0, {n}), got {order.min()} to {order.max()}"
        )
    return jnp.asarray(order, jnp.int32)


def epoch_order(train_state: TrainState, n: int, done: Any = 0) -> Any:
    """Return the shuffled order of ``n`` examples of an epoch with ``done`` steps made: int32 ``[n]``.

    It belongs to the run's key and the step at which the epoch began.

    Sorting random 32-bit keys once takes half the time of ``jax.random.permutation``, which sorts twice;
    two of 60,000 keys coincide in one epoch of three, and then keep the order of the data.
    """
    return _compiled_order(n)(train_state, done)


# Of data of ever new sizes the programs of the last few are kept.
@functools.lru_cache(maxsize=8)
def _compiled_order(n: int) -> Callable[[TrainState, Any], Any]:
    def order(train_state: TrainState, done: Any) -> Any:
        return _order(train_state, n, done)

    return jax.jit(order)


def _order(train_state: TrainState, n: int, done: Any) -> Any:
    key = jax.random.fold_in(fold_name(train_state.key, "draw", "order"), train_state.step - done)
    bits = jax.random.bits(key, (n,), jnp.uint32)
    if n > 1 << 16:
        return jax.lax.sort_key_val(bits, jnp.arange(n, dtype=jnp.int32))[1]
    # The same sort in two passes over 16 bits, each with the index in the low half: XLA sorts one array
    # several times faster than two.
    half, index = jnp.uint32(0xFFFF), jnp.arange(n, dtype=jnp.uint32)
    first = jax.lax.sort((bits << 16) | index) & half
    second = jax.lax.sort(((bits >> 16)[first] << 16) | index) & half
    return first[second].astype(jnp.int32)


LAST_BATCH = ("keep", "drop", "merge")


def steps_per_epoch(n: int, batch_size: int, last_batch: str = "keep") -> int:
    """Return the number of batches that ``n`` examples make, by what becomes of the smaller last one."""
    full, rest = _full_and_rest(n, batch_size, last_batch)
    return full + (rest > 0)


def examples_per_epoch(n: int, batch_size: int, last_batch: str) -> int:
    """Return how many of ``n`` examples are trained."""
    full, rest = _full_and_rest(n, batch_size, last_batch)
    return full * batch_size + rest


def _full_and_rest(n: int, batch_size: int, last_batch: str) -> tuple[int, int]:
    """How many batches hold ``batch_size`` examples, and how many a last one beside them; 0 without one."""
    full, rest = divmod(n, batch_size)
    if not rest or last_batch == "keep" or not full:
        return full, rest
    return (full, 0) if last_batch == "drop" else (full - 1, batch_size + rest)


def _of_the_last_batch(rest: int, n: int, batch_size: int, error: ValueError) -> str:
    """What a model's refusal of the last batch means, which takes batches of ``batch_size``."""
    return (
        f"fit: the last batch of the epoch holds {rest} of {n} examples at batch_size={batch_size}, which "
        f"the model does not take ({error}); pass last_batch='drop' or 'merge', or another batch_size"
    )


def examples(owner: str, data: Any) -> int:
    """Return the common size of the first axis of all leaves."""
    leaves = jax.tree.leaves(data)
    if not leaves or not all(hasattr(leaf, "shape") for leaf in leaves):
        kinds = ", ".join(sorted({type(leaf).__name__ for leaf in leaves})) or "nothing"
        raise TypeError(f"{owner}: data must be arrays in a tuple, dict or other pytree, got {kinds}")
    sizes = {leaf.shape[0] if leaf.ndim else None for leaf in leaves}
    if len(sizes) != 1 or None in sizes:
        listed = ", ".join(
            f"{jax.tree_util.keystr(path) or 'data'}: {list(leaf.shape)}"
            for path, leaf in jax.tree_util.tree_leaves_with_path(data)
        )
        raise ValueError(
            f"{owner}: all arrays of the data must have one number of examples as their first axis, "
            f"got {listed}"
        )
    return sizes.pop() or 0


def check_sliceable(owner: str, data: Any) -> None:
    """Raise if examples lie along an explicit axis of a mesh, where batches can't be sliced from them."""
    for leaf in jax.tree.leaves(data):
        axis = jax.typeof(leaf).sharding.spec[0] if isinstance(leaf, jax.Array) and leaf.ndim else None
        if axis is not None:
            raise ValueError(
                f"{owner}: examples are sharded over {axis!r}, an explicit axis of the mesh, where batches "
                "can't be sliced from them; pass an iterable of sharded batches, or NumPy arrays"
            )


def check_batch_size(owner: str, batch_size: int, n: int) -> None:
    """Raise if there are fewer examples than a batch holds."""
    if n == 0:
        raise ValueError(f"{owner}: there are no examples; pass at least one")
    if batch_size > n:
        raise ValueError(
            f"{owner}: batch_size must be at most the number of examples, got {batch_size} for {n} examples; "
            "use a smaller batch_size"
        )
