"""Which classes are taken for which."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.metrics._classes import counted, histogram, labels_and_predictions


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts of labels and predictions, which merge by adding.

    Attributes:
        counts: float32 ``[classes, classes]``: the weight of examples of class ``row`` that were taken for
            ``column``; exact up to 2^24 examples an entry.
    """

    counts: Any

    def compute(self) -> Any:
        """Return the counts."""
        return self.counts


def confusion_matrix(outputs: Any, targets: Any, weights: Any = None) -> ConfusionMatrix:
    """Count how often each class (row) was predicted as each (column).

    In ``train.fit`` and ``train.evaluate`` a record then holds the matrix of an epoch as a NumPy array.

    Args:
        outputs: logits or probabilities ``[..., classes]``, or one logit ``[..., 1]``, which is two classes.
            An example with a NaN among them is wrong: it counts as the first class that it is not.
        targets: integer labels ``[...]``, or probabilities ``[..., classes]`` whose largest is the label; 0
            or 1 for one logit. A traced integer that is no class makes the counts NaN, and so does a traced
            target of one logit outside [0, 1].
        weights: of the shape of the labels, or ``None``. Labels of weight 0 may be anything.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes do not fit, or concrete labels that count are out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> outputs = jnp.array([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]])
        >>> confusion_matrix(outputs, jnp.array([0, 0, 1])).compute().tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """
    labels, predicted, classes = labels_and_predictions("confusion_matrix", outputs, targets, weights)
    weights = counted("confusion_matrix", weights, labels)
    # A label outside must not become another pair.
    places = jnp.where((labels >= 0) & (labels < classes), labels * classes + predicted, -1)
    return ConfusionMatrix(histogram(places, weights, classes * classes).reshape(classes, classes))
