"""Integer inputs of layers: class or token ids, checked where their values are known."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnn.core import Masked, as_ids, describe, is_traced


def check_ids(owner: str, ids: Any, count: int, mask: Any = None) -> None:
    """Raise unless ``ids`` are integers and, where concrete and real, lie in ``[0, count)``."""
    if not hasattr(ids, "dtype") or not jnp.issubdtype(ids.dtype, jnp.integer):
        raise TypeError(
            f"{owner}: expected integer ids, got {describe(ids)}; convert them with ids.astype(jnp.int32)"
        )
    if is_traced(ids) or is_traced(mask):
        return
    values = np.asarray(ids)
    # Integers of 2 and 4 bits know no comparison with larger ones.
    values = values if values.dtype.kind in "iu" else values.astype(np.int32)
    values = values if mask is None else values[np.asarray(mask)]
    wrong = values[(values < 0) | (values >= count)]
    if wrong.size:
        raise ValueError(
            f"{owner}: ids must be in [0, {count}), got {wrong.flat[0]} (and {wrong.size - 1} more) in "
            f"{describe(ids)}; map unknown ids to one of their own, and mark padding with nn.Masked"
        )


def split_ids(owner: str, x: Any, count: int) -> tuple[Any, Any]:
    """Return checked ids, int32 at least, and their mask, or ``None``.

    Padding becomes id 0, whatever stands there.
    """
    if not isinstance(x, Masked):
        check_ids(owner, x, count)
        return as_ids(x), None
    check_ids(owner, x.value, count, x.mask)
    if x.mask.shape != x.value.shape:
        raise ValueError(f"{owner}: the mask of ids must have their shape, got {describe(x)}")
    return jnp.where(x.mask, as_ids(x.value), 0), x.mask
