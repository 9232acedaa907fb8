"""Checks that losses share: labels that fit, and nothing broadcast by accident."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import check_floating, check_min_rank, describe, is_traced


def is_class_index(outputs: Any, targets: Any) -> bool:
    """Whether ``targets`` are integer class numbers for ``outputs`` ``[..., classes]``."""
    return jnp.issubdtype(targets.dtype, jnp.integer) and targets.shape == outputs.shape[:-1]


def is_label(labels: Any, logits: Any) -> Any:
    """Mark the class of each label: booleans of the shape of ``logits`` ``[..., classes]``.

    A comparison and a sum fuse with what stands around them; a gather's gradient is a scatter.
    """
    classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    return classes == jnp.broadcast_to(labels.astype(jnp.int32)[..., None], logits.shape)


def check_classes(owner: str, outputs: Any, least: int, remedy: str) -> None:
    """Raise unless ``outputs`` are floating point, for at least so many classes."""
    check_floating(owner, outputs)
    if outputs.shape[-1] < least:
        raise ValueError(
            f"{owner}: expected outputs of {least} classes or more, got {describe(outputs)}; {remedy}"
        )


def check_same_shape(owner: str, outputs: Any, targets: Any) -> None:
    """Raise unless both arrays have one shape and ``outputs`` is floating point."""
    check_floating(owner, outputs)
    check_min_rank(owner, outputs, 1, "[..., features]")
    if jnp.shape(targets) != outputs.shape:
        raise ValueError(
            f"{owner}: outputs and targets must have one shape, got {describe(outputs)} and "
            f"{describe(targets)}; nothing is broadcast, so add or drop an axis, as in targets[..., None]"
        )


def check_labels(owner: str, labels: Any, classes: int) -> None:
    """Raise if concrete integer labels lie outside ``[0, classes)``; traced ones pass.

    Indexing under ``jit`` would silently wrap negative labels and fill the rest with NaN.
    """
    if is_traced(labels) or isinstance(labels, jax.ShapeDtypeStruct) or np.size(labels) == 0:
        return
    low, high = int(np.asarray(labels).min()), int(np.asarray(labels).max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"{owner}: labels must be in [0, {classes}), got labels from {low} to {high}; give the model as "
            "many outputs as there are classes, and mask padding by weights"
        )


def check_probabilities(owner: str, labels: Any) -> None:
    """Raise if concrete labels lie outside [0, 1], where a cross entropy has no bound; traced ones pass."""
    if is_traced(labels) or np.size(labels) == 0:
        return
    low, high = float(np.asarray(labels).min()), float(np.asarray(labels).max())
    if low < 0 or high > 1:
        raise ValueError(
            f"{owner}: labels must be in [0, 1], got {low:g} to {high:g}; turn labels of -1 and 1 into "
            "(labels + 1) / 2"
        )
