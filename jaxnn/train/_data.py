"""Data as ``fit`` takes it: split, weighted, checked, placed on the device."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import describe
from jaxnn.train._epoch import examples


def placed(data: Any) -> Any:
    """Put arrays on the device.

    Raises:
        TypeError: the data hold something else than arrays.
    """
    for leaf in jax.tree.leaves(data):
        if not hasattr(leaf, "shape"):
            raise TypeError(
                f"fit: data must be arrays in a tuple, dict or other pytree, or an iterable of batches, "
                f"got a {type(leaf).__name__} in it; convert lists with np.asarray"
            )
    return jax.tree.map(jnp.asarray, data)


def split_validation(data: Any, share: Any) -> tuple[Any, Any]:
    """Split the last ``share`` of the examples off for validation, as Keras does.

    Raises:
        ValueError: ``share`` is not in (0, 1), or one part would be empty.
    """
    n = examples("fit", data)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise ValueError(f"fit: validation_split is the share of the examples, in (0, 1), got {share!r}")
    kept = n - round(n * share)
    if kept in (0, n):
        raise ValueError(f"fit: validation_split={share} of {n} examples leaves one part empty")
    return jax.tree.map(lambda x: x[:kept], data), jax.tree.map(lambda x: x[kept:], data)


def weigh_classes(data: Any, class_weight: Any) -> Any:
    """Multiply each example's weight by that of its class.

    Raises:
        TypeError: ``data`` is no tuple with integer or one-hot targets.
        ValueError: a class has no weight, or a weight is negative or not finite.
    """
    if not isinstance(data, tuple) or len(data) not in (2, 3):
        raise TypeError(f"fit: class_weight needs data (inputs, targets), got {describe(data)}")
    inputs, targets, *weights = data
    labels = np.asarray(targets)
    if labels.ndim >= 2:
        # One column holds the labels of two classes, several are one-hot.
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(-1)
    if not np.all(labels == np.floor(labels)) or np.any(labels < 0):
        raise TypeError(
            f"fit: class_weight needs targets that are class numbers or one-hot, "
            f"got {describe(targets)} with other values"
        )
    labels = labels.astype(int)
    table = _table(class_weight, int(labels.max()))
    factor = jnp.asarray(table[labels])
    return (inputs, targets, factor * jnp.asarray(weights[0], factor.dtype) if weights else factor)


def _table(class_weight: Any, largest: int) -> np.ndarray:
    pairs = class_weight.items() if isinstance(class_weight, Mapping) else enumerate(np.asarray(class_weight))
    table = np.full(largest + 1, np.nan, np.float32)
    for label, weight in pairs:
        if 0 <= int(label) <= largest:
            table[int(label)] = weight
    if not np.all(np.isfinite(table)) or np.any(table < 0):
        bad = [int(label) for label in np.flatnonzero(~np.isfinite(table) | (table < 0))]
        raise ValueError(
            f"fit: class_weight needs a finite non-negative weight for each class, missing or bad for {bad}"
        )
    return table


def check_rereadable(data: Iterable[Any], epochs: int) -> None:
    """Raise if an iterator, which can be read only once, was given for several epochs."""
    if epochs > 1 and isinstance(data, Iterator):
        raise ValueError(
            f"fit: an iterator can be read once, but epochs={epochs}; pass a list, or an object whose "
            "__iter__ starts afresh"
        )


def first_batch(data: Iterable[Any]) -> tuple[Any, Iterable[Any]]:
    """Return the first batch and an iterable that still holds it."""
    batches = iter(data)
    try:
        first = next(batches)
    except StopIteration:
        raise ValueError("fit: there are no batches in the data; pass at least one") from None
    return placed(first), itertools.chain([first], batches) if isinstance(data, Iterator) else data
