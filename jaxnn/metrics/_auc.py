"""The area under the ROC curve, from two histograms of the score."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import check_floating, check_min_rank, describe, positive_int
from jaxnn.losses._labels import as_targets
from jaxnn.metrics._classes import binary_labels, counted, histogram


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Auc:
    """Histograms of the scores of positive and negative examples, which merge by adding.

    Attributes:
        positive: weights of positive examples by bin, ``[bins]``.
        negative: of negative ones.
    """

    positive: Any
    negative: Any

    def compute(self) -> Any:
        """Return the area: pairs in one bin count as half; 0.5 where there are no pairs."""
        positive, negative = _share(self.positive), _share(self.negative)
        below = jnp.cumsum(negative) - negative
        area = jnp.sum(positive * (below + negative / 2))
        return jnp.where(self._no_pairs(), 0.5, area)

    def error_bound(self) -> Any:
        """Return how far ``compute()`` can be from the exact area: half the share of pairs in one bin."""
        bound = jnp.sum(_share(self.positive) * _share(self.negative)) / 2
        return jnp.where(self._no_pairs(), 0.5, bound)

    def _no_pairs(self) -> Any:
        return (jnp.sum(self.positive) == 0) | (jnp.sum(self.negative) == 0)


def auc(outputs: Any, targets: Any, weights: Any = None, *, bins: int = 1024) -> Auc:
    """Area under the ROC curve: the probability that a positive example scores above a negative one.

    Scores are probabilities, counted in ``bins`` of equal width. The order within a bin is unknown, so the
    result is wrong by at most half the share of pairs of a positive and a negative that fall into one bin:
    ``auc(...).error_bound()`` says how much for these data. Hanley and McNeil (1982), "The meaning and use of
    the area under a ROC curve".

    Args:
        outputs: one logit ``[..., 1]``, or logits of two classes ``[..., 2]``.
        targets: 0 or 1, ``[...]`` or of the shape of the outputs; a probability is 1 above 1/2. A traced one
            outside [0, 1] makes the area NaN, unless it weighs nothing; so does an output that is NaN.
        weights: ``[...]``, or ``None``. Targets of weight 0 may be anything.
        bins: how many there are; the error falls as their number rises.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: there are more than two classes, the shapes do not fit, or concrete labels that count are
            out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> found = auc(jnp.array([[2.0], [0.5], [1.0], [-3.0]]), jnp.array([1, 1, 0, 0]))
        >>> float(found.compute()), float(found.error_bound())
        (0.75, 0.0)
    """
    positive_int("auc", "bins", bins)
    check_floating("auc", outputs)
    check_min_rank("auc", outputs, 1, "[..., 1] or [..., 2]")
    targets = as_targets(targets)
    lead = outputs.shape[:-1]
    if outputs.shape[-1] not in (1, 2) or targets.shape not in (lead, outputs.shape):
        raise ValueError(
            f"auc: expected logits [..., 1] or [..., 2] and labels [...], got {describe(outputs)} and "
            f"{describe(targets)}; take the logits of one class against the rest"
        )
    each = binary_labels("auc", targets, weights)
    if targets.shape == lead:
        label = each
    else:
        two = outputs.shape[-1] == 2
        label = (
            jnp.where(jnp.any(each < 0, -1), -1, jnp.argmax(jnp.asarray(targets), -1))
            if two
            else each[..., 0]
        )
    score = jax.nn.sigmoid(outputs[..., -1] if outputs.shape[-1] == 1 else outputs[..., 1] - outputs[..., 0])
    places = jnp.minimum(jnp.floor(score.astype(jnp.float32) * bins), bins - 1)
    places = jnp.where(jnp.isnan(score) | (label < 0), -1, places).astype(jnp.int32)
    weights = counted("auc", weights, label)
    return Auc(
        histogram(places, jnp.where(label == 1, weights, 0), bins),
        histogram(places, jnp.where(label == 1, 0, weights), bins),
    )


def _share(weights: Any) -> Any:
    total = jnp.sum(weights)
    return weights / jnp.where(total == 0, 1, total)
