"""What metrics of classes share: which class was meant, and which was predicted."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnn.core import as_ids, check_floating, check_min_rank, describe, is_traced
from jaxnn.losses._labels import (
    as_targets,
    check_class_shape,
    check_labels,
    check_probabilities,
    check_soft_labels,
    is_class_index,
)


def class_labels(owner: str, outputs: Any, targets: Any, weights: Any) -> Any:
    """Return int32 labels ``[...]`` of integers, or of probabilities whose largest is the label.

    Raises if concrete integers that weigh something are no classes; others are returned as they are.
    """
    check_floating(owner, outputs)
    check_min_rank(owner, outputs, 1, "[..., classes]")
    targets = as_targets(targets)
    if is_class_index(outputs, targets):
        check_labels(owner, known_to_count(targets, weights), outputs.shape[-1])
        return _short(as_ids(targets))
    check_class_shape(owner, outputs, targets)
    check_soft_labels(owner, known_to_count(targets, weights))
    return jnp.argmax(jnp.asarray(targets), -1).astype(jnp.int32)


def _short(labels: Any) -> Any:
    """Return int32 labels; what does not fit becomes -1, which is no class."""
    if labels.dtype == jnp.int32:
        return labels
    return jnp.where((labels >= 0) & (labels < 2**31), labels, -1).astype(jnp.int32)


def labels_and_predictions(owner: str, outputs: Any, targets: Any, weights: Any) -> tuple[Any, Any, int]:
    """Return int32 labels and predictions ``[...]``, and the number of classes: 2 for one logit.

    Outputs with a NaN predict the first class that the label is not: they are wrong, as for ``accuracy``.
    """
    targets = as_targets(targets)
    if outputs.shape[-1:] == (1,) and targets.shape in (outputs.shape, outputs.shape[:-1]):
        check_floating(owner, outputs)
        labels = binary_labels(owner, targets.reshape(outputs.shape[:-1]), weights)
        predicted, classes = (outputs[..., 0] > 0).astype(jnp.int32), 2
    else:
        labels, classes = class_labels(owner, outputs, targets, weights), outputs.shape[-1]
        predicted = jnp.argmax(outputs, -1).astype(jnp.int32)
    unknown = jnp.any(jnp.isnan(outputs), -1)
    return labels, jnp.where(unknown, (labels == 0).astype(jnp.int32), predicted), classes


def binary_labels(owner: str, targets: Any, weights: Any) -> Any:
    """Return 0 or 1, int32, of booleans, integers or probabilities, which are 1 above 1/2.

    Raises if concrete targets that weigh something lie outside [0, 1]; others that do become -1, which is no
    class.
    """
    if targets.dtype == bool:
        return jnp.asarray(targets).astype(jnp.int32)
    if jnp.issubdtype(targets.dtype, jnp.integer):
        check_labels(owner, known_to_count(targets, weights), 2)
        targets = as_ids(targets)
        yes = targets > 0
    else:
        check_probabilities(owner, known_to_count(targets, weights))
        targets = jnp.asarray(targets)
        yes = targets > 0.5
    return jnp.where((targets >= 0) & (targets <= 1), yes.astype(jnp.int32), -1)


def known_to_count(targets: Any, weights: Any) -> Any:
    """Return the ``targets`` that weigh something, flat; none where tracing hides which these are.

    ``weights`` are of the shape of the first axes of ``targets``. Others fit nothing, which raises later.
    """
    if is_traced(targets) or is_traced(weights):
        return np.zeros(0)
    if weights is None:
        return np.asarray(targets)
    if weights.shape != targets.shape[: weights.ndim]:
        return np.zeros(0)
    return np.asarray(targets)[np.asarray(weights) != 0]


def counted(owner: str, weights: Any, like: Any) -> Any:
    """Return float32 weights of the shape of ``like``; ones for ``None``."""
    if weights is None:
        return jnp.ones(like.shape, jnp.float32)
    if weights.shape != like.shape:
        raise ValueError(
            f"{owner}: weights must have the shape of the labels, {list(like.shape)}, got "
            f"{describe(weights)}; broadcast the weights first, along the axes that you mean"
        )
    return weights.astype(jnp.float32)


def histogram(places: Any, weights: Any, size: int) -> Any:
    """Add up ``weights`` by ``places`` in ``[0, size)``: float32 ``[size]``.

    A place outside makes every sum NaN, unless it weighs nothing: indexing would wrap or forget it.
    """
    places, weights = places.ravel(), weights.ravel()
    known = (places >= 0) & (places < size)
    sums = jnp.zeros(size, jnp.float32).at[jnp.where(known, places, 0)].add(jnp.where(known, weights, 0))
    return jnp.where(jnp.any(~known & (weights != 0)), jnp.nan, sums)
