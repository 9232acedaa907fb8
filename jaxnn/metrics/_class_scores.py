"""Precision, recall and their harmonic mean, by class or averaged."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import one_of
from jaxnn.metrics._classes import counted, histogram, labels_and_predictions

_AVERAGES = ("macro", "micro", "binary", None)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ClassScores:
    """Sums by class, which merge by adding, and what is made of them in the end.

    The mean of the F-scores of batches, which loops over batches report, is none of the whole.

    Attributes:
        right: weight of the examples of each class that were predicted so, ``[classes]``.
        predicted: weight of the examples that were predicted as each class.
        actual: weight of the examples of each class.
        kind: ``"precision"``, ``"recall"`` or ``"f1"``.
        average: ``"macro"``, ``"micro"``, ``"binary"`` or ``None``.
    """

    right: Any
    predicted: Any
    actual: Any
    kind: str = field(metadata={"static": True})
    average: str | None = field(metadata={"static": True})

    def compute(self) -> Any:
        """Return the score ``[]``, or ``[classes]`` without an average; 0 where there is nothing to count."""
        right, predicted, actual = self.right, self.predicted, self.actual
        occurs = predicted + actual > 0
        if self.average == "micro":
            right, predicted, actual = (jnp.sum(part) for part in (right, predicted, actual))
        parts = {"precision": (right, predicted), "recall": (right, actual)}
        above, below = parts.get(self.kind, (2 * right, predicted + actual))
        scores = jnp.where(below == 0, 0, above / jnp.where(below == 0, 1, below))
        if self.average == "binary":
            return scores[1]
        if self.average == "macro":
            number = jnp.sum(occurs).astype(scores.dtype)
            return jnp.sum(scores) / jnp.maximum(number, 1)
        return scores


def precision(
    outputs: Any, targets: Any, weights: Any = None, *, average: str | None = "macro"
) -> ClassScores:
    """Share of the examples predicted as a class that are of it.

    Exact over batches of any size: counts merge, not scores. Another average in training is
    ``functools.partial(metrics.precision, average="micro")``.

    Args:
        outputs: logits or probabilities ``[..., classes]``, or one logit ``[..., 1]``, which is two classes.
            An example with a NaN among them is wrong: it counts as the first class that it is not.
        targets: integer labels ``[...]``, or probabilities ``[..., classes]`` whose largest is the label; 0
            or 1 for one logit. A traced integer that is no class makes the score NaN, and so does a traced
            target of one logit outside [0, 1].
        weights: of the shape of the labels, or ``None``. Labels of weight 0 may be anything.
        average: ``"macro"``, the mean over classes that occur in labels or predictions; ``"micro"``, of all
            counts together; ``"binary"``, of class 1 of two; ``None``, each class.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes do not fit, concrete labels that count are out of range, or ``average`` does
            not apply.

    Example:
        >>> import jax.numpy as jnp
        >>> outputs = jnp.array([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]])
        >>> precision(outputs, jnp.array([0, 0, 1]), average=None).compute().tolist()
        [1.0, 0.5]
    """
    return _scores("precision", outputs, targets, weights, average)


def recall(outputs: Any, targets: Any, weights: Any = None, *, average: str | None = "macro") -> ClassScores:
    """Share of the examples of a class that are predicted so; arguments as of ``precision``.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes do not fit, concrete labels that count are out of range, or ``average`` does
            not apply.

    Example:
        >>> import jax.numpy as jnp
        >>> outputs = jnp.array([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]])
        >>> recall(outputs, jnp.array([0, 0, 1]), average=None).compute().tolist()
        [0.5, 1.0]
    """
    return _scores("recall", outputs, targets, weights, average)


def f1(outputs: Any, targets: Any, weights: Any = None, *, average: str | None = "macro") -> ClassScores:
    """Harmonic mean of precision and recall (van Rijsbergen, 1979); arguments as of ``precision``.

    Raises:
        TypeError: ``outputs`` are not floating point.
        ValueError: the shapes do not fit, concrete labels that count are out of range, or ``average`` does
            not apply.

    Example:
        >>> import jax.numpy as jnp
        >>> outputs = jnp.array([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]])
        >>> print(f"{f1(outputs, jnp.array([0, 0, 1])).compute():.4f}")
        0.6667
    """
    return _scores("f1", outputs, targets, weights, average)


def _scores(kind: str, outputs: Any, targets: Any, weights: Any, average: str | None) -> ClassScores:
    one_of(kind, "average", average, _AVERAGES)
    labels, predicted, classes = labels_and_predictions(kind, outputs, targets, weights)
    if average == "binary" and classes != 2:
        raise ValueError(f"{kind}: average='binary' needs two classes, got {classes}; use 'macro' or None")
    weights = counted(kind, weights, labels)
    # A label that is no class counts here too, so that it makes every score NaN.
    counts = (labels == predicted) | (labels < 0) | (labels >= classes)
    return ClassScores(
        histogram(labels, jnp.where(counts, weights, 0), classes),
        histogram(predicted, weights, classes),
        histogram(labels, weights, classes),
        kind,
        average,
    )
