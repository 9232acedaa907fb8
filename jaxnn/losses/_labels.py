"""Checks that losses share: labels that fit, and nothing broadcast by accident."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import as_ids, check_floating, check_min_rank, describe, is_traced


def as_targets(targets: Any) -> Any:
    """Return an array as it is, and lists and numbers as arrays.

    Arrays are not converted before they are checked: inside a trace the conversion alone would hide the
    values of one that the traced function closes over.
    """
    return targets if hasattr(targets, "dtype") and hasattr(targets, "shape") else jnp.asarray(targets)


def is_class_index(outputs: Any, targets: Any) -> bool:
    """Whether ``targets`` are class numbers ``[...]``, integers, for ``outputs`` ``[..., classes]``.

    Booleans are the numbers of two classes. The rank tells, never the values: numbers have an axis less than
    the outputs, one-hot and soft labels have their shape.
    """
    if not outputs.shape or targets.shape != outputs.shape[:-1]:
        return False
    return jnp.issubdtype(targets.dtype, jnp.integer) or (targets.dtype == bool and outputs.shape[-1] == 2)


def is_label(labels: Any, logits: Any) -> Any:
    """Mark the class of each label: booleans of the shape of ``logits`` ``[..., classes]``.

    A comparison and a sum fuse with what stands around them; a gather's gradient is a scatter.
    """
    labels = as_ids(labels)
    classes = jax.lax.broadcasted_iota(labels.dtype, logits.shape, logits.ndim - 1)
    return classes == jnp.broadcast_to(labels[..., None], logits.shape)


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


def check_class_shape(owner: str, outputs: Any, targets: Any) -> None:
    """Raise unless ``targets``, which are no class numbers, are labels of the shape of ``outputs``."""
    if targets.shape == outputs.shape:
        return
    numbers = targets.shape == outputs.shape[:-1]
    if numbers and outputs.shape[-1] == 1:
        remedy = "one output has a column of labels, as in labels[..., None]"
    elif numbers and targets.dtype == bool:
        remedy = "booleans are the numbers of two classes"
    elif numbers:
        remedy = "class numbers are integers, so convert them with labels.astype(jnp.int32)"
    elif targets.shape == (*outputs.shape[:-1], 1):
        remedy = "drop the last axis of class numbers, as in labels[..., 0]"
    else:
        remedy = "class numbers have an axis less than the outputs, one-hot and soft labels have their shape"
    raise ValueError(
        f"{owner}: expected integer labels {list(outputs.shape[:-1])} or probabilities "
        f"{list(outputs.shape)} for outputs {describe(outputs)}, got {describe(targets)}; {remedy}"
    )


def check_labels(owner: str, labels: Any, classes: int) -> None:
    """Raise if concrete integer labels lie outside ``[0, classes)``; traced ones pass.

    Indexing under ``jit`` would silently wrap negative labels and fill the rest with NaN.
    """
    if is_traced(labels) or isinstance(labels, jax.ShapeDtypeStruct) or np.size(labels) == 0:
        return
    values = np.asarray(labels)
    # Integers of 2 and 4 bits know no comparison with larger ones.
    values = values if values.dtype.kind in "biu" else values.astype(np.int32)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"{owner}: labels must be in [0, {classes}), got labels from {low} to {high}; give the model as "
            "many outputs as there are classes, and mask padding by weights"
        )


def check_probabilities(owner: str, labels: Any) -> None:
    """Raise if concrete labels lie outside [0, 1], where a cross entropy has no bound; traced ones pass."""
    if is_traced(labels) or isinstance(labels, jax.ShapeDtypeStruct) or np.size(labels) == 0:
        return
    low, high = _range(labels)
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"{owner}: labels must be in [0, 1], got {low:g} to {high:g}; turn labels of -1 and 1 into "
            "(labels + 1) / 2"
        )


def check_soft_labels(owner: str, labels: Any) -> None:
    """Raise if concrete labels of the outputs' shape are class numbers; traced ones pass."""
    if is_traced(labels) or isinstance(labels, jax.ShapeDtypeStruct) or np.size(labels) == 0:
        return
    low, high = _range(labels)
    if (low < 0 or high > 1) and np.all(np.asarray(labels) == np.round(np.asarray(labels, np.float64))):
        raise ValueError(
            f"{owner}: labels of the shape of the outputs are probabilities (one-hot, soft), got class "
            f"numbers from {low:g} to {high:g} in {describe(labels)}; those have an axis less"
        )


def _range(labels: Any) -> tuple[float, float]:
    values = np.asarray(labels)
    values = values if values.dtype.kind in "biuf" else values.astype(np.float32)
    return float(values.min()), float(values.max())
