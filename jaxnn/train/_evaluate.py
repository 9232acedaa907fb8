"""Numbers and outputs of a trained model, batch by batch."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import Layer, describe, positive_int
from jaxnn.metrics import merge
from jaxnn.train._data import placed
from jaxnn.train._epoch import examples
from jaxnn.train._objective import Objective, checked_terms, reduce_terms
from jaxnn.train._reuse import is_hashable
from jaxnn.train._step import Record, computed


def evaluate(objective: Objective, params: Any, state: Any, data: Any, batch_size: int = 1024) -> Record:
    """Return the mean loss and the metrics over all of ``data``, by name: floats, or NumPy arrays.

    Batches merge by their sums, so the result does not depend on ``batch_size``.

    Args:
        objective: what is evaluated, with ``train=False`` and no key.
        params: as ``fit`` returns them.
        state: likewise.
        data: a pytree of arrays with a common first axis, or an iterable of batches.
        batch_size: examples at a time.

    Raises:
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
    return make_evaluate(objective, size)(params, state, data)


def make_evaluate(objective: Objective, batch_size: int) -> Any:
    """Return ``(params, state, data) -> record``; what it compiles is kept for all calls.

    Where ``objective`` has no hash, it is kept for all calls of what is returned.
    """
    if is_hashable(objective):
        one = functools.partial(_batch, objective)
        whole = functools.partial(_whole, objective, batch_size)
    else:
        one = jax.jit(functools.partial(sums, objective))
        whole = jax.jit(functools.partial(_sums_of_all, objective, batch_size))

    def run(params: Any, state: Any, data: Any) -> Record:
        if not is_batches(data):
            data = placed(data)
            if examples("evaluate", data) == 0:
                raise ValueError("evaluate: there are no examples; pass at least one")
            return computed(whole(params, state, data))
        records = [one(params, state, placed(batch)) for batch in data]
        if not records:
            raise ValueError("evaluate: there are no batches; an iterator can be read only once")
        return computed(functools.reduce(merge, records))

    return run


def sums(objective: Objective, params: Any, state: Any, batch: Any) -> Record:
    """Return the loss and the metrics of one batch as sums."""
    terms = checked_terms(objective.evaluate(params, state, batch)[0])
    return {"loss": reduce_terms(terms), **terms.aux}


def _sums_of_all(objective: Objective, batch_size: int, params: Any, state: Any, data: Any) -> Record:
    n = jax.tree.leaves(data)[0].shape[0]
    size = min(batch_size, n)
    full, rest = divmod(n, size)

    def part(start: Any, length: int) -> Record:
        batch = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, start, length), data)
        return sums(objective, params, state, batch)

    record = part(0, size)
    record = jax.lax.fori_loop(1, full, lambda i, total: merge(total, part(i * size, size)), record)
    return merge(record, part(full * size, rest)) if rest else record


_batch = jax.jit(sums, static_argnums=0)
_whole = jax.jit(_sums_of_all, static_argnums=(0, 1))


def predict(model: Layer, params: Any, state: Any, inputs: Any, batch_size: int = 1024) -> Any:
    """Return the outputs of ``model`` for all of ``inputs``, computed ``batch_size`` examples at a time.

    Args:
        model: the layer, applied with ``train=False`` and no key.
        params: as ``fit`` returns them.
        state: likewise.
        inputs: a pytree of arrays with a common first axis.
        batch_size: examples at a time.

    Raises:
        TypeError: ``model`` is not a layer.
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
    inputs = placed(inputs)
    n, size = examples("predict", inputs), positive_int("predict", "batch_size", batch_size)
    if n == 0:
        raise ValueError("predict: there are no examples; pass at least one")

    if is_hashable(model):
        run = functools.partial(_compiled_outputs, model)
    else:
        run = jax.jit(functools.partial(_outputs, model))

    def part(start: int) -> Any:
        return run(params, state, jax.tree.map(lambda x: x[start : start + size], inputs))

    parts = [part(start) for start in range(0, n, size)]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def _outputs(model: Layer, params: Any, state: Any, x: Any) -> Any:
    return model.apply(params, state, x)[0]


_compiled_outputs = jax.jit(_outputs, static_argnums=0)


def is_batches(data: Any) -> bool:
    """Whether ``data`` is an iterable of batches rather than a pytree of arrays."""
    trees = isinstance(data, tuple | Mapping) or hasattr(data, "shape")
    return not trees and isinstance(data, Iterable)
