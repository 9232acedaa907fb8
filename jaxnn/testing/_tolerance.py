"""One table of tolerances: by dtype and by kind of comparison, never by the size of an array."""

import math

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

_EXACT = {"float64": 1e-12, "float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}
_REDUCED = {"float64": 1e-11, "float32": 1e-4, "float16": 1e-2, "bfloat16": 6e-2}

FINITE_DIFFERENCE = 1e-7
DOT_PRODUCT = 1e-11
TWIN = 1e-10
ORACLE = 1e-10


def tolerance(dtype: DTypeLike, kind: str = "same") -> float:
    """The relative error, in the Euclidean norm of a leaf, that two computations may differ by.

    Args:
        dtype: the dtype in which the less precise of the two was computed.
        kind: ``"same"`` when both evaluate the same expressions (compiled against eager, mapped
            against looped); ``"reduction"`` when sums may have been taken in another order or precision.

    Raises:
        ValueError: for another dtype or kind.
    """
    table = {"same": _EXACT, "reduction": _REDUCED}.get(kind)
    name = jnp.dtype(dtype).name
    if table is None:
        raise ValueError(f"tolerance: expected kind 'same' or 'reduction', got {kind!r}")
    if name not in table:
        raise ValueError(f"tolerance: expected one of {', '.join(table)}, got {name}")
    return table[name]


def norm(array: np.ndarray) -> float:
    """The Euclidean norm in float64."""
    return float(np.linalg.norm(np.asarray(array, np.float64).ravel()))


def worst_mismatch(actual: list[np.ndarray], expected: list[np.ndarray]) -> tuple[float, int]:
    """The largest relative error over leaves, and the leaf that has it.

    The error of a leaf is measured against the leaf's own norm. A leaf whose expected value is nothing but
    rounding (a gradient that is zero by symmetry, say) is measured against the group's root mean square.
    Entries that are not finite, in either, count as an infinite error: NaN never equals NaN.
    """
    total = sum(np.size(leaf) for leaf in expected)
    group = math.sqrt(sum(norm(leaf) ** 2 for leaf in expected) / total) if total else 0.0
    worst, where = 0.0, 0
    for index, (a, b) in enumerate(zip(actual, expected, strict=True)):
        if np.shape(a) != np.shape(b):
            return math.inf, index
        if not np.size(b):
            continue
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return math.inf, index
        scale = norm(b)
        typical = group * math.sqrt(np.size(b))
        if not scale > 1e-9 * typical:
            scale = typical
        difference = norm(np.asarray(a, np.float64) - np.asarray(b, np.float64))
        error = difference / scale if scale else (math.inf if difference else 0.0)
        if error > worst:
            worst, where = error, index
    return worst, where
