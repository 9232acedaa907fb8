"""Weights of classes, made weights of examples or positions."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxnn.core import Masked, as_array, describe

_REMEDY = "multiply the weights of (inputs, targets, weights) by those of the classes"


def weigh_classes(data: Any, class_weight: Any, outputs: Any = None) -> Any:
    """Multiply the weight of each label by that of its class.

    A label that counts for nothing already, by its weight or a mask, may be anything.

    Args:
        data: ``(inputs, targets)`` or ``(inputs, targets, weights)``, where weights may be ``None``.
        class_weight: a mapping from class numbers, or an array by them.
        outputs: spec of the model's outputs for one example, ``[1, ..., classes]``: targets of its shape are
            one-hot, with an axis less class numbers. Where it is ``None``, floats and booleans with a
            single 1 in each row are one-hot.

    Raises:
        TypeError: ``data`` is no tuple with class numbers or one-hot targets in one array, or without
            ``outputs`` nobody can tell which of the two they are.
        ValueError: a class has no weight, a weight is negative or not finite, or the weights do not fit.
    """
    if not isinstance(data, tuple) or len(data) not in (2, 3):
        raise TypeError(f"fit: class_weight needs data (inputs, targets), got {describe(data)}")
    inputs, targets, *rest = data
    weights = rest[0] if rest else None
    table = _table(class_weight)
    values = _one_array(targets)
    parts = [part.mask for part in (targets, inputs) if isinstance(part, Masked)]
    parts += [] if weights is None else [np.asarray(weights) != 0]
    if outputs is None:
        form = _form_of_values(targets, values, counted(values.shape[:-1], parts), len(table))
    else:
        form = _form_of_shapes(targets, values, outputs)
    shape = values.shape if form == "numbers" else values.shape[:-1]
    counts = counted(shape, parts)
    labels = _class_numbers(targets, values, counts, form)
    factor = _looked_up(labels, counts, table)
    if weights is None:
        return inputs, targets, as_array(factor)
    if shape[: weights.ndim] != weights.shape:
        raise ValueError(
            f"fit: class_weight multiplies weights, whose shape must be that of the labels {list(shape)} or "
            f"their first axes, got {describe(weights)}"
        )
    dtype = weights.dtype if weights.dtype == np.float64 else factor.dtype
    weights = np.expand_dims(np.asarray(weights).astype(dtype), tuple(range(weights.ndim, len(shape))))
    return inputs, targets, as_array(factor.astype(dtype) * weights)


def counted(shape: tuple[int, ...], parts: Iterable[Any]) -> np.ndarray:
    """Return where every mask in ``parts`` whose shape begins ``shape`` is true."""
    counts = np.ones(shape, bool)
    for part in parts:
        if shape[: part.ndim] == part.shape:
            counts &= np.asarray(part).reshape(*part.shape, *[1] * (len(shape) - part.ndim))
    return counts


def _one_array(targets: Any) -> np.ndarray:
    targets = targets.value if isinstance(targets, Masked) else targets
    if not hasattr(targets, "shape") or not targets.shape:
        raise TypeError(
            f"fit: class_weight needs targets that are one array of labels, got {describe(targets)}; "
            f"{_REMEDY}"
        )
    values = np.asarray(targets)
    # NumPy does not count integers of 4 bits and bfloat16 among its numbers.
    return values if values.dtype.kind in "biuf" else values.astype(np.float32)


def _form_of_shapes(targets: Any, values: np.ndarray, outputs: Any) -> str:
    outputs = outputs.value if isinstance(outputs, Masked) else outputs
    if not hasattr(outputs, "shape"):
        raise TypeError(f"fit: class_weight needs a model of one output, got {describe(outputs)}; {_REMEDY}")
    whole = outputs.shape[1:]
    if whole:
        shape = values.shape[1:]
        if shape == whole[:-1]:
            return "numbers"
        if shape == (*whole[:-1], 1):
            return "column"
        if shape == whole:
            return "one-hot"
    raise TypeError(
        f"fit: class_weight needs class numbers of the shape of the outputs {describe(outputs)} (of one "
        f"example) without the last axis, or one-hot targets of their shape, got {describe(targets)}; "
        f"{_REMEDY}"
    )


def _form_of_values(targets: Any, values: np.ndarray, counts: np.ndarray, classes: int) -> str:
    if values.ndim == 1:
        return "numbers"
    if values.shape[-1] == 1:
        return "column"
    if not _are_one_hot(values[counts]):
        return "numbers"
    if values.dtype.kind in "bf":
        return "one-hot"
    if values.shape[-1] != classes:
        return "numbers"
    raise TypeError(
        f"fit: class_weight can't tell whether {describe(targets)} holds class numbers or one-hot targets, "
        "since the objective doesn't say what its model returns; give it outputs=, as train.supervised does, "
        f"or {_REMEDY}"
    )


def _are_one_hot(rows: np.ndarray) -> bool:
    return bool(np.all((rows == 0) | (rows == 1)) and np.all(np.count_nonzero(rows, -1) == 1))


def _class_numbers(targets: Any, values: np.ndarray, counts: np.ndarray, form: str) -> np.ndarray:
    if form == "one-hot":
        if not _are_one_hot(values[counts]):
            raise TypeError(
                f"fit: class_weight needs one class for each label, got {describe(targets)} with rows that "
                f"are not one-hot; {_REMEDY}"
            )
        return values.astype(bool).argmax(-1)
    labels = values[..., 0] if form == "column" else values
    labels = np.where(counts, labels, np.zeros((), labels.dtype))
    if not np.all(labels == np.floor(labels)):
        raise TypeError(
            f"fit: class_weight needs targets that are class numbers or one-hot, got {describe(targets)} "
            f"with other values; {_REMEDY}"
        )
    return labels


def _looked_up(labels: np.ndarray, counts: np.ndarray, table: Mapping[int, float]) -> np.ndarray:
    found, places = np.unique(labels, return_inverse=True)
    there = np.bincount(places.ravel(), counts.ravel().astype(float), len(found)) > 0
    missing = [
        int(label) for label, needed in zip(found, there, strict=True) if needed and label not in table
    ]
    if missing:
        raise _bad(missing)
    factors = np.array([table.get(int(label), 1.0) for label in found], np.float32)
    return factors[places].reshape(labels.shape)


def _table(class_weight: Any) -> dict[int, float]:
    if isinstance(class_weight, Mapping):
        pairs = list(class_weight.items())
    elif np.ndim(class_weight) == 1:
        pairs = list(enumerate(class_weight))
    else:
        raise TypeError(
            f"fit: class_weight must be a mapping from class numbers, as in {{0: 1, 1: 5}}, or one weight "
            f"a class, got {describe(class_weight)}"
        )
    strange = [label for label, _ in pairs if isinstance(label, str) or label != int(label)]
    if strange:
        raise TypeError(f"fit: class_weight must be keyed by class numbers, got {strange[0]!r}; write ints")
    table = {int(label): float(weight) for label, weight in pairs}
    bad = [label for label, weight in table.items() if not (math.isfinite(weight) and weight >= 0)]
    if bad:
        raise _bad(bad)
    return table


def _bad(labels: list[int]) -> ValueError:
    shown = f"{labels[:10]}" if len(labels) <= 10 else f"{labels[:10]} and {len(labels) - 10} more"
    return ValueError(
        f"fit: class_weight needs a finite non-negative weight for each class, missing or bad for {shown}; "
        "give it, or give labels that are no class weight 0"
    )
