"""The share of examples whose label is among the k largest outputs."""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import positive_int
from jaxnn.losses._labels import is_label
from jaxnn.metrics._classes import class_labels
from jaxnn.metrics._mean import Mean


def top_k_accuracy(outputs: Any, targets: Any, weights: Any = None, *, k: int = 5) -> Mean:
    """Share of examples whose label is among the ``k`` largest outputs.

    Of equal outputs the first ones count as larger, so ``k=1`` is ``accuracy``. Nothing is sorted: the
    label's rank is a count. Another ``k`` in training is ``functools.partial(metrics.top_k_accuracy, k=3)``.

    Args:
        outputs: logits or probabilities ``[..., classes]``.
        targets: integer labels ``[...]``, or probabilities ``[..., classes]`` whose largest is the label. A
            traced label that is no class is never right; a NaN among the outputs counts as larger.
        weights: of the shape of the labels, or ``None``. Labels of weight 0 may be anything.
        k: how many of the largest outputs count, at most the number of classes.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes do not fit, concrete labels that count are out of range, or there are fewer
            than ``k`` classes.

    Example:
        >>> import jax.numpy as jnp
        >>> outputs = jnp.array([[3.0, 2.0, 1.0], [0.0, 1.0, 2.0]])
        >>> float(top_k_accuracy(outputs, jnp.array([1, 0]), k=2).compute())
        0.5
    """
    positive_int("top_k_accuracy", "k", k)
    labels = class_labels("top_k_accuracy", outputs, targets, weights)
    if k > outputs.shape[-1]:
        raise ValueError(
            f"top_k_accuracy: k must be at most the number of classes, {outputs.shape[-1]}, got {k}; "
            "use a smaller k"
        )
    chosen = is_label(labels, outputs)
    own = jnp.sum(jnp.where(chosen, outputs, 0), -1, keepdims=True)
    first = jnp.cumsum(chosen, -1) == 0  # classes before the label
    own = jnp.broadcast_to(own, outputs.shape)
    larger = (outputs > own) | (first & (outputs == own)) | jnp.isnan(outputs)
    right = (jnp.sum(larger, -1) < k) & jnp.any(chosen, -1)
    return Mean.of(right.astype(jnp.float32), weights)
