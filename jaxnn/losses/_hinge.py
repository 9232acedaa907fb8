"""The hinge loss: ``max(0, 1 - y z)``, and its form for more than two classes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import check_floating, check_min_rank, is_traced, wide_dtype
from jaxnn.losses._labels import (
    as_targets,
    check_class_shape,
    check_classes,
    check_labels,
    is_class_index,
    is_label,
)


def hinge(outputs: Any, targets: Any) -> Any:
    """Hinge loss of margins (Cortes and Vapnik, 1995, "Support-vector networks"): ``[..., k] -> [...]``.

    Targets of -1 and 1 for each output give the mean of ``max(0, 1 - target * output)``. Integer labels
    ``[...]`` give ``max(0, 1 + z_k - z_y)`` with the largest output ``z_k`` of another class (Crammer and
    Singer, 2001, "On the algorithmic implementation of multiclass kernel-based vector machines"). At the
    margin itself the gradient is 0; equal largest outputs share theirs. A label on an output of ``-inf``
    costs ``+inf``, whatever the others are. Half precision is taken to float32.

    Args:
        outputs: ``[..., outputs]`` or ``[..., classes]``, floating point.
        targets: -1 or 1, of the same shape; or integers ``[...]`` in ``[0, classes)``, where a traced one
            outside costs NaN.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes do not fit, concrete targets are neither -1 nor 1 or are no class, or there is
            one class.

    Example:
        >>> import jax.numpy as jnp
        >>> hinge(jnp.array([[0.5, -3.0]]), jnp.array([[1.0, 1.0]])).tolist()
        [2.25]
        >>> hinge(jnp.array([[0.5, 1.0, 3.0]]), jnp.array([1])).tolist()
        [3.0]
    """
    check_floating("hinge", outputs)
    check_min_rank("hinge", outputs, 1, "[..., k]")
    targets = as_targets(targets)
    if is_class_index(outputs, targets):
        return _of_classes(outputs, targets)
    check_class_shape("hinge", outputs, targets)
    _check_signs(targets)
    wide = wide_dtype(outputs.dtype)
    return jnp.mean(jax.nn.relu(1 - jnp.asarray(targets).astype(wide) * outputs.astype(wide)), -1)


def _of_classes(outputs: Any, labels: Any) -> Any:
    check_classes("hinge", outputs, 2, "give one output a target of -1 or 1")
    check_labels("hinge", labels, outputs.shape[-1])
    z = outputs.astype(wide_dtype(outputs.dtype))
    chosen = is_label(labels, z)
    own = jnp.sum(jnp.where(chosen, z, 0), -1)
    others = jnp.max(jnp.where(chosen, -jnp.inf, z), -1)
    # -inf beside -inf has no difference: the label's own logit decides, as in cross_entropy.
    impossible = own == -jnp.inf
    margin = jnp.where(impossible, jnp.inf, 1 + (others - jnp.where(impossible, 0, own)))
    return jnp.where(jnp.any(chosen, -1), jax.nn.relu(margin), jnp.nan)


def _check_signs(targets: Any) -> None:
    if is_traced(targets):
        return
    strange = np.asarray(targets)[np.abs(np.asarray(targets, np.float64)) != 1]
    if strange.size:
        raise ValueError(
            f"hinge: targets must be -1 or 1, got {strange.flat[0]}; "
            "turn labels of 0 and 1 into 2 * labels - 1"
        )
