"""The gradient of every example on its own."""

from collections.abc import Callable
from typing import Any

import jax

from jaxnn.core import fold_index, positive_int
from jaxnn.inspect._scalar_loss import scalar_loss
from jaxnn.train._epoch import examples


def per_example_gradients(
    objective: Any,
    params: Any,
    batch: Any,
    *,
    state: Any = None,
    key: Any = None,
    train: bool = False,
    chunk: int = 32,
    measure: Callable[[Any], Any] | None = None,
) -> Any:
    """Return the gradient of each example's loss: the tree of ``params`` with a leading axis of examples.

    Entry ``i`` is the gradient of the loss of a batch that holds example ``i`` alone, so that the mean over
    examples of equal weight is the gradient of the batch. It is one ``vmap`` of ``grad``; PyTorch needs hooks
    or a functional copy of the model for it. Layers that mix examples (``batch_norm`` in training) see one
    example.

    Args:
        objective: an ``Objective``, or a function ``(params, batch) -> scalar``.
        params: where the gradients are taken.
        batch: a pytree of arrays with a common first axis.
        state: state of an objective that has one.
        key: random key; example ``i`` draws from ``fold_in(key, i)``.
        train: whether an objective runs as in training.
        chunk: how many examples are differentiated at a time, which bounds the memory of their activations.
        measure: what to keep of each gradient, as ``optax.tree.norm``, so that no more than ``chunk`` of
            them are held at a time; all of it when ``None``.

    Raises:
        TypeError: the loss is not a scalar.
        ValueError: ``chunk`` is not a positive int, or the arrays disagree in their number of examples.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxnn import inspect
        >>> def loss(params, batch):
        ...     x, y = batch
        ...     return jnp.mean((x * params - y) ** 2)
        >>> inspect.per_example_gradients(loss, jnp.array(1.0), (jnp.array([1.0, 2]), jnp.zeros(2))).tolist()
        [2.0, 8.0]
    """
    chunk = positive_int("per_example_gradients", "chunk", chunk)
    each = example_gradient("per_example_gradients", objective, state, key, train)

    def one(indexed: tuple[Any, Any]) -> Any:
        gradient, _ = each(params, *indexed)
        return gradient if measure is None else measure(gradient)

    return jax.lax.map(one, numbered("per_example_gradients", batch), batch_size=chunk)


def example_gradient(
    owner: str, objective: Any, state: Any, key: Any, train: bool
) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """Return ``(params, index, example) -> (gradient, weight)``."""
    loss = scalar_loss(owner, objective, state, key, train)

    def each(params: Any, index: Any, example: Any) -> tuple[Any, Any]:
        alone = jax.tree.map(lambda leaf: leaf[None], example)
        return jax.grad(loss, has_aux=True)(params, alone, fold_index(key, index))

    return each


def numbered(owner: str, batch: Any) -> tuple[Any, Any]:
    """Return ``batch`` with the numbers of its examples before it."""
    batch = jax.tree.map(jax.numpy.asarray, batch)
    return jax.numpy.arange(examples(owner, batch), dtype=jax.numpy.uint32), batch
