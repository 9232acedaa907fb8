"""The share of right answers."""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import check_floating, check_min_rank, describe
from jaxnn.losses._labels import as_targets
from jaxnn.metrics._classes import binary_labels, class_labels
from jaxnn.metrics._mean import Mean


def accuracy(outputs: Any, targets: Any, weights: Any = None) -> Mean:
    """Share of examples whose largest output is at the label.

    Args:
        outputs: logits or probabilities ``[..., classes]``; the first of equal largest ones counts.
        targets: integer labels ``[...]``, or probabilities ``[..., classes]`` whose largest is the label. A
            traced label that is no class is never right, and neither are outputs with a NaN.
        weights: of the shape of the labels, or ``None``. Labels of weight 0 may be anything.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes do not fit, or concrete labels that count are out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> float(accuracy(jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0])).compute())
        0.5
    """
    check_floating("accuracy", outputs)
    check_min_rank("accuracy", outputs, 1, "[..., classes]")
    if outputs.shape[-1] == 1:
        raise ValueError(
            f"accuracy: expected outputs of at least 2 classes, got {describe(outputs)}; one logit has "
            "metrics.binary_accuracy"
        )
    labels = class_labels("accuracy", outputs, targets, weights)
    # argmax of a row with NaN is where the NaN stands, which may be the label.
    right = (jnp.argmax(outputs, -1).astype(jnp.int32) == labels) & ~jnp.any(jnp.isnan(outputs), -1)
    return Mean.of(right, weights)


def binary_accuracy(outputs: Any, targets: Any, weights: Any = None) -> Mean:
    """Share of logits on the right side of 0 (probability 1/2).

    Args:
        outputs: logits ``[..., outputs]``.
        targets: 0 or 1, of the same shape; a probability is 1 above 1/2. A traced one outside [0, 1] is never
            met, and neither is any by an output that is NaN.
        weights: of the shape ``[...]`` without the last axis, or ``None``. Targets of weight 0 may be
            anything.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes differ, or concrete targets that count lie outside [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> float(binary_accuracy(jnp.array([[2.0], [1.0]]), jnp.array([[1], [0]])).compute())
        0.5
    """
    check_floating("binary_accuracy", outputs)
    check_min_rank("binary_accuracy", outputs, 1, "[..., outputs]")
    targets = as_targets(targets)
    if targets.shape != outputs.shape:
        raise ValueError(
            f"binary_accuracy: outputs and targets must have one shape, got {describe(outputs)} and "
            f"{describe(targets)}"
        )
    labels = binary_labels("binary_accuracy", targets, weights)
    right = ((outputs > 0).astype(jnp.int32) == labels) & ~jnp.isnan(outputs)
    return Mean.of(jnp.mean(right.astype(jnp.float32), -1), weights)
