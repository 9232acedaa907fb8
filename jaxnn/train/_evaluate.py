"""Numbers and outputs of a trained model, batch by batch."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import Layer, check_key, describe, fold_index, fold_name, kept, positive_int
from jaxnn.metrics import merge
from jaxnn.train._data import is_empty, placed
from jaxnn.train._epoch import check_sliceable, examples
from jaxnn.train._objective import Objective, checked_terms, reduce_terms
from jaxnn.train._step import Record, computed


def evaluate(
    objective: Objective, params: Any, state: Any, data: Any, batch_size: int = 1024, *, key: Any = None
) -> Record:
    """Return the mean loss and the metrics over all of ``data``, by name: floats, or NumPy arrays.

    Batches merge by their sums, so the result does not depend on ``batch_size``, except for what a model
    draws: each batch has a key of its own, folded with its number.

    Args:
        objective: what is evaluated, with ``train=False``.
        params: as ``fit`` returns them.
        state: likewise.
        data: a pytree of arrays with a common first axis, or an iterable of batches.
        batch_size: examples at a time.
        key: typed key, for a model that draws in evaluation too; that of ``fit``'s ``train_state`` makes the
            draws of its validation.

    Raises:
        TypeError: ``key`` is not a typed key.
        ValueError: there are no examples, or arrays have unequal first axes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import losses, train
        >>> task = train.supervised(nn.dense(1), losses.squared_error)
        >>> data = jnp.zeros((10, 2)), jnp.ones((10, 1))
        >>> params, state = task.init(jax.random.key(0), data)
        >>> train.evaluate(task, params, state, data, batch_size=4)
        {'loss': 1.0}
    """
    size = positive_int("evaluate", "batch_size", batch_size)
    if objective.check is not None and not is_batches(data):
        objective.check(params, state, placed(data))
    if key is not None:
        check_key("evaluate", key)
    return make_evaluate(objective, size)(params, state, data, key)


def make_evaluate(objective: Objective, batch_size: int) -> Any:
    """Return ``(params, state, data, key=None) -> record``; what it compiles is kept with ``objective``.

    Where ``objective`` has no hash, it is kept for all calls of what is returned.
    """
    one = kept(objective, _sums, most=64)
    whole = kept(objective, _sums_of_all, batch_size)

    def run(params: Any, state: Any, data: Any, key: Any = None) -> Record:
        key = fold_name(key, "draw", "evaluate")
        if not is_batches(data):
            data = placed(data)
            if examples("evaluate", data) == 0:
                raise ValueError("evaluate: there are no examples; pass at least one")
            if examples("evaluate", data) > batch_size:
                check_sliceable("evaluate", data)
            return computed(whole(params, state, data, key))
        records, real = [], False
        for i, batch in enumerate(map(placed, data)):
            real = real or not is_empty(batch)
            records.append(one(params, state, batch, fold_index(key, np.uint32(i))))
        if not records:
            raise ValueError("evaluate: there are no batches; an iterator can be read only once")
        if not real:
            raise ValueError("evaluate: there are no examples; pass at least one")
        return computed(functools.reduce(merge, records))

    return run


def sums(objective: Objective, params: Any, state: Any, batch: Any, key: Any = None) -> Record:
    """Return the loss and the metrics of one batch as sums."""
    terms = checked_terms(objective.evaluate(params, state, batch, key=key)[0])
    return {"loss": reduce_terms(terms), **terms.aux}


def _sums(objective: Objective) -> Callable[..., Record]:
    def sums_of_batch(params: Any, state: Any, batch: Any, key: Any) -> Record:
        return sums(objective, params, state, batch, key)

    return sums_of_batch


def _sums_of_all(objective: Objective, batch_size: int) -> Callable[..., Record]:
    def sums_of_all(params: Any, state: Any, data: Any, key: Any) -> Record:
        n = jax.tree.leaves(data)[0].shape[0]
        size = min(batch_size, n)
        full, rest = divmod(n, size)

        def part(index: Any, length: int) -> Record:
            batch = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, index * size, length), data)
            return sums(objective, params, state, batch, fold_index(key, index))

        record = part(0, size)
        record = jax.lax.fori_loop(1, full, lambda i, total: merge(total, part(i, size)), record)
        return merge(record, part(full, rest)) if rest else record

    return sums_of_all


def predict(
    model: Layer, params: Any, state: Any, inputs: Any, batch_size: int = 1024, *, key: Any = None
) -> Any:
    """Return the outputs of ``model`` for all of ``inputs``, computed ``batch_size`` examples at a time.

    Args:
        model: the layer, applied with ``train=False``.
        params: as ``fit`` returns them.
        state: likewise.
        inputs: a pytree of arrays with a common first axis.
        batch_size: examples at a time.
        key: typed key, for a model that draws in evaluation too; the batch of number ``i`` has
            ``fold_in(key, i)``.

    Raises:
        TypeError: ``model`` is not a layer, or ``key`` is not a typed key.
        ValueError: there are no examples, or arrays have unequal first axes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import train
        >>> params, state = nn.dense(3).init(jax.random.key(0), jnp.ones((1, 2)))
        >>> train.predict(nn.dense(3), params, state, jnp.ones((10, 2)), batch_size=4).shape
        (10, 3)
    """
    if not isinstance(model, Layer):
        raise TypeError(f"predict: model must be a Layer, got {describe(model)}")
    if key is not None:
        check_key("predict", key)
    inputs = placed(inputs)
    n, size = examples("predict", inputs), positive_int("predict", "batch_size", batch_size)
    if n == 0:
        raise ValueError("predict: there are no examples; pass at least one")
    if n > size:
        check_sliceable("predict", inputs)

    run, take, join = kept(model, _outputs), kept(model, _slice, static_argnums=2), kept(model, _join)

    def part(start: int) -> Any:
        batch = inputs if n <= size else take(inputs, np.int32(start), min(size, n - start))
        return run(params, state, batch, fold_index(key, np.uint32(start // size)))

    parts = [part(start) for start in range(0, n, size)]
    return parts[0] if len(parts) == 1 else join(parts)


def _outputs(model: Layer) -> Callable[..., Any]:
    def outputs(params: Any, state: Any, x: Any, key: Any) -> Any:
        return model.apply(params, state, x, key=key)[0]

    return outputs


# What is called outside of a compiled function leaves a program for each shape, which nobody lets go.
def _slice(_model: Layer) -> Callable[..., Any]:
    def part(inputs: Any, start: Any, length: int) -> Any:
        return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, start, length), inputs)

    return part


def _join(_model: Layer) -> Callable[..., Any]:
    def whole(parts: list[Any]) -> Any:
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)

    return whole


def is_batches(data: Any) -> bool:
    """Whether ``data`` is an iterable of batches rather than a pytree of arrays."""
    trees = isinstance(data, tuple | Mapping) or hasattr(data, "shape")
    return not trees and isinstance(data, Iterable)
