"""Binary cross entropy from logits: ``-(y log s(z) + (1 - y) log(1 - s(z)))``, in nats."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import one_of, wide_dtype
from jaxnn.losses._labels import as_targets, check_probabilities, check_same_shape


def binary_cross_entropy(logits: Any, labels: Any, *, reduce: str = "mean") -> Any:
    """Cross entropy of independent yes-or-no outputs: ``[..., outputs] -> [...]``, nats.

    Written as ``y softplus(-z) + (1 - y) softplus(z)`` with absent terms dropped, so that it neither
    overflows nor gives NaN at infinite logits, as Optax's form does (``0 * inf``). Half precision is
    taken to float32.

    Args:
        logits: ``[..., outputs]``, floating point.
        labels: 0, 1 or a probability, of the same shape; booleans and integers are converted. A traced one
            outside [0, 1] costs NaN.
        reduce: ``"mean"`` or ``"sum"`` over the last axis.

    Raises:
        TypeError: ``logits`` are not floating point.
        ValueError: the shapes differ, ``reduce`` is unknown, or concrete labels lie outside [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> binary_cross_entropy(jnp.array([[1e4], [-1e4]]), jnp.array([[1.0], [1.0]])).tolist()
        [0.0, 10000.0]
    """
    one_of("binary_cross_entropy", "reduce", reduce, ("mean", "sum"))
    labels = as_targets(labels)
    check_same_shape("binary_cross_entropy", logits, labels)
    check_probabilities("binary_cross_entropy", labels)
    z = logits.astype(wide_dtype(logits.dtype))
    y = jnp.asarray(labels).astype(z.dtype)
    yes = jnp.where(y == 0, 0, y * jax.nn.softplus(jnp.where(y == 0, 0, -z)))
    no = jnp.where(y == 1, 0, (1 - y) * jax.nn.softplus(jnp.where(y == 1, 0, z)))
    terms = jnp.where((y >= 0) & (y <= 1), yes + no, jnp.nan)
    return jnp.mean(terms, -1) if reduce == "mean" else jnp.sum(terms, -1)
