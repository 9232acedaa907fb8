"""Data as ``fit`` takes it: split, checked, placed on the device."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax

from jaxnn.core import as_array
from jaxnn.train._class_weight import weigh_classes as weigh_classes
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
    return jax.tree.map(as_array, data)


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
    return _parted(kept)(data)


# Of data of ever new sizes the programs of the last few are kept.
@functools.lru_cache(maxsize=4)
def _parted(kept: int) -> Callable[[Any], tuple[Any, Any]]:
    def parted(data: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda x: x[:kept], data), jax.tree.map(lambda x: x[kept:], data)

    return jax.jit(parted)


def check_rereadable(data: Iterable[Any], epochs: int) -> None:
    """Raise if an iterator, which can be read only once, was given for several epochs."""
    if epochs > 1 and isinstance(data, Iterator):
        raise ValueError(
            f"fit: an iterator can be read once, but epochs={epochs}; pass a list, or an object whose "
            "__iter__ starts afresh"
        )


def is_empty(batch: Any) -> bool:
    """Whether all arrays of a batch have a first axis of size 0."""
    return all(leaf.shape[:1] == (0,) for leaf in jax.tree.leaves(batch))


def first_batch(data: Iterable[Any]) -> tuple[Any, Iterable[Any]]:
    """Return the first batch and an iterable that still holds it."""
    batches = iter(data)
    try:
        first = next(batches)
    except StopIteration:
        raise ValueError("fit: there are no batches in the data; pass at least one") from None
    first_placed = placed(first)
    if is_empty(first_placed):
        raise ValueError("fit: there are no examples in the first batch; leave out batches without any")
    return first_placed, itertools.chain([first], batches) if isinstance(data, Iterator) else data
