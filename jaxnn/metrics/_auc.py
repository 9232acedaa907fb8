"""The area under the ROC curve, from sums of the scores by their leading digits."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import check_floating, check_min_rank, describe, positive_int, wide_dtype
from jaxnn.losses._labels import as_targets
from jaxnn.metrics._classes import binary_labels, counted, histogram
from jaxnn.metrics._score_order import area, places, tables


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Auc:
    """Histograms of the scores of positive and negative examples, which merge by adding.

    Attributes:
        positive: weights of positive examples by table of digits and bin, ``[tables, bins]``.
        negative: of negative ones.
    """

    positive: Any
    negative: Any

    def compute(self) -> Any:
        """Return the area: pairs that can't be told apart count as half; 0.5 where there are no pairs."""
        return jnp.where(self._no_pairs(), 0.5, area(_share(self.positive), _share(self.negative))[0])

    def error_bound(self) -> Any:
        """Return how far ``compute()`` can be from the exact area of the scores in float32."""
        return jnp.where(self._no_pairs(), 0.5, area(_share(self.positive), _share(self.negative))[1])

    def _no_pairs(self) -> Any:
        return (jnp.sum(self.positive) == 0) | (jnp.sum(self.negative) == 0)


def auc(outputs: Any, targets: Any, weights: Any = None, *, bins: int = 16384) -> Auc:
    """Area under the ROC curve: the probability that a positive example scores above a negative one.

    Equal scores count as half. Only the order of scores matters, so logits, probabilities and scores of any
    scale and offset will do; logits keep the digits that a probability near 1 has lost. They are counted by
    their digits in float32, in sums of one size that add up over batches (0.7 MB with the default ``bins``).
    Pairs that such sums can't tell apart count as half: ``auc(...).error_bound()`` says how far off that can
    be for these data. It is below 0.001 for normal and uniform scores about any number with any spread. Many
    equal scores make it larger than the error, as they count as half rightly.
    Hanley and McNeil (1982), "The meaning and use of the area under a ROC curve".

    Args:
        outputs: one score ``[..., 1]``, or logits of two classes ``[..., 2]``, whose difference is the score.
        targets: 0 or 1, ``[...]`` or of the shape of the outputs; a probability is 1 above 1/2. A traced one
            outside [0, 1] makes the area NaN, unless it weighs nothing; so does an output that is NaN.
        weights: ``[...]``, or ``None``. Targets of weight 0 may be anything.
        bins: how many there are for each of some groups of digits, rounded down to a power of two, 2**20 at
            most; the error falls as their number rises. Below 1024 the leading digits alone are counted.

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
    bins = min(1 << (bins.bit_length() - 1), 1 << 20)
    wide = outputs.astype(wide_dtype(outputs.dtype))
    score = wide[..., 0] if wide.shape[-1] == 1 else wide[..., 1] - wide[..., 0]
    place = places(score, bins)
    known = jnp.broadcast_to(label >= 0, place.shape) & (place >= 0)
    weights = counted("auc", weights, label)
    # One scatter counts the examples of both kinds in all tables, side by side.
    size = tables(bins) * bins
    place = place + jax.lax.broadcasted_iota(jnp.int32, place.shape, 0) * bins
    place = jnp.where(jnp.broadcast_to(label == 1, place.shape), place, place + size)
    place = jnp.where(known, place, -1)
    sums = histogram(place, jnp.broadcast_to(weights, place.shape), 2 * size).reshape(2, -1, bins)
    return Auc(sums[0], sums[1])


def _share(weights: Any) -> Any:
    return weights / jnp.where(jnp.sum(weights[0]) == 0, 1, jnp.sum(weights[0]))
