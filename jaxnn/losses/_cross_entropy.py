"""Cross entropy of a softmax: ``-sum_k p_k log softmax(z)_k``, in nats."""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import as_ids, check_floating, check_min_rank, describe, is_traced, wide_dtype
from jaxnn.losses._exact import label_cost, largest_of, log_total
from jaxnn.losses._labels import (
    as_targets,
    check_class_shape,
    check_labels,
    check_soft_labels,
    is_class_index,
    is_label,
)


def cross_entropy(logits: Any, labels: Any, *, label_smoothing: Any = 0.0) -> Any:
    """Cross entropy between labels and the softmax of logits: ``[..., classes] -> [...]``, nats.

    Logits in half precision are taken to float32 first. A class of probability 0 contributes 0 even
    where its logit is ``-inf`` (one-hot products in Flax's and Optax's examples give NaN there); a
    label on a ``-inf`` logit costs ``+inf``. A small loss keeps its digits and is never below 0, where
    ``log(sum(exp(z))) - z_y`` of large logits is 0 or less. Its gradient is ``softmax(logits) - p``. Bridle
    (1990), "Probabilistic interpretation of feedforward classification network outputs".

    Args:
        logits: ``[..., classes]``, floating point.
        labels: integers ``[...]`` in ``[0, classes)``, of any integer dtype (booleans for two classes), or
            probabilities ``[..., classes]`` (one-hot, soft). The shape tells which. A traced integer outside
            costs NaN, which weight 0 removes.
        label_smoothing: share in [0, 1) of each label's probability that is given to all classes alike,
            ``p (1 - s) + s / classes`` (Szegedy et al., 2016, arXiv:1512.00567); may be traced. Every class
            then has probability, so a logit of ``-inf`` costs ``+inf``.

    Raises:
        TypeError: ``logits`` are not floating point.
        ValueError: the shapes do not fit; concrete integer labels or ``label_smoothing`` are out of range, or
            concrete labels of the logits' shape are class numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{cross_entropy(jnp.zeros(10), jnp.asarray(3)):.4f}")
        2.3026
    """
    check_floating("cross_entropy", logits)
    check_min_rank("cross_entropy", logits, 1, "[..., classes]")
    smooth = is_traced(label_smoothing) or _checked_share(label_smoothing) > 0
    logits = logits.astype(wide_dtype(logits.dtype))
    labels = as_targets(labels)
    if is_class_index(logits, labels):
        check_labels("cross_entropy", labels, logits.shape[-1])
        labels = as_ids(labels)
        if smooth:
            p = is_label(labels, logits).astype(logits.dtype)
            values = _of_probabilities(logits, _smoothed(p, label_smoothing))
        else:
            values = label_cost(logits, labels)
        known = (labels >= 0) & (labels < logits.shape[-1])
        return jnp.where(known, values, jnp.nan)
    check_class_shape("cross_entropy", logits, labels)
    check_soft_labels("cross_entropy", labels)
    p = jnp.asarray(labels).astype(logits.dtype)
    return _of_probabilities(logits, _smoothed(p, label_smoothing) if smooth else p)


def _of_probabilities(logits: Any, p: Any) -> Any:
    away = largest_of(logits) - logits
    rest = log_total(logits) * jnp.sum(p, -1)
    return jnp.sum(jnp.where(p == 0, 0, p * jnp.where(p == 0, 0, away)), -1) + rest


def _smoothed(p: Any, share: Any) -> Any:
    share = jnp.broadcast_to(jnp.asarray(share, p.dtype), p.shape)
    return (1 - share) * p + share / p.shape[-1]


def _checked_share(value: Any) -> float:
    if isinstance(value, bool | str) or jnp.shape(value) != ():
        raise TypeError(f"cross_entropy: label_smoothing must be a number, got {describe(value)}; pass 0.1")
    if not 0 <= float(value) < 1:
        raise ValueError(
            f"cross_entropy: label_smoothing is the share of probability taken from the label and must be in "
            f"[0, 1), got {float(value)}; 0.1 is usual"
        )
    return float(value)
