"""Cross entropy of a softmax: ``-sum_k p_k log softmax(z)_k``, in nats."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import check_floating, check_min_rank, describe, wide_dtype
from jaxnn.losses._labels import check_labels, check_same_shape, is_class_index


def cross_entropy(logits: Any, labels: Any) -> Any:
    """Cross entropy between labels and the softmax of logits: ``[..., classes] -> [...]``, nats.

    Logits in half precision are taken to float32 first. A class of probability 0 contributes 0 even
    where its logit is ``-inf`` (one-hot products in Flax's and Optax's examples give NaN there); a
    label on a ``-inf`` logit costs ``+inf``. Its gradient is ``softmax(logits) - p``. Bridle (1990),
    "Probabilistic interpretation of feedforward classification network outputs".

    Args:
        logits: ``[..., classes]``, floating point.
        labels: integers ``[...]`` in ``[0, classes)``, or probabilities ``[..., classes]`` (one-hot, soft).
            A traced integer outside costs NaN, which weight 0 removes.

    Raises:
        TypeError: ``logits`` are not floating point.
        ValueError: the shapes do not fit; concrete integer labels are out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{cross_entropy(jnp.zeros(10), jnp.asarray(3)):.4f}")
        2.3026
    """
    check_floating("cross_entropy", logits)
    check_min_rank("cross_entropy", logits, 1, "[..., classes]")
    logits = logits.astype(wide_dtype(logits.dtype))
    labels = jnp.asarray(labels)
    if is_class_index(logits, labels):
        check_labels("cross_entropy", labels, logits.shape[-1])
        labels = labels.astype(jnp.int32)
        # A comparison and a sum fuse with what stands around them; a gather's gradient is a scatter.
        classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
        is_label = classes == jnp.broadcast_to(labels[..., None], logits.shape)
        picked = jnp.sum(jnp.where(is_label, logits, 0), axis=-1)
        known = (labels >= 0) & (labels < logits.shape[-1])
        return jnp.where(known, jax.nn.logsumexp(logits, axis=-1) - picked, jnp.nan)
    if jnp.issubdtype(labels.dtype, jnp.integer) and labels.ndim != logits.ndim:
        raise ValueError(
            f"cross_entropy: expected integer labels {list(logits.shape[:-1])} for logits "
            f"{describe(logits)}, got {describe(labels)}"
        )
    check_same_shape("cross_entropy", logits, labels)
    p = labels.astype(logits.dtype)
    log_q = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.sum(jnp.where(p == 0, 0, p * jnp.where(p == 0, 0, log_q)), axis=-1)
