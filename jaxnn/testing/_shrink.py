"""From a wrong gradient to the one entry that shows it best, and a hint at what went wrong."""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxnn.testing._finite_difference import Difference, Directional
    from jaxnn.testing._program import Leaves

_STEPS = (2.0**-11, 2.0**-14, 2.0**-17)


def settle(at: "Directional", tangent: "Leaves") -> "Difference":
    """The difference with the smallest doubt among a few steps."""
    return min((at.difference(tangent, step) for step in _STEPS), key=lambda d: d.spread + d.noise)


def _gap(at: "Directional", tangent: "Leaves") -> float:
    gap = abs(at.exact(tangent) - settle(at, tangent).value)
    return gap if math.isfinite(gap) else math.inf


def find_entry(at: "Directional", tangent: "Leaves") -> tuple[int, int]:
    """Leaf and flat position of an entry whose gradient is wrong, in about ``2 log2(n)`` differences."""
    not_finite = [~np.isfinite(g) for g in at.result.gradients]
    for leaf, bad in enumerate(not_finite):
        if bad.any():
            return leaf, int(np.argmax(bad.ravel()))
    parts = [_only(tangent, leaf, slice(None)) for leaf in range(len(tangent))]
    gaps = [_gap(at, part) if np.any(part[leaf]) else -1.0 for leaf, part in enumerate(parts)]
    leaf = int(np.argmax(gaps))
    low, high = 0, tangent[leaf].size
    while high - low > 1:
        middle = (low + high) // 2
        left, right = _only(tangent, leaf, slice(low, middle)), _only(tangent, leaf, slice(middle, high))
        if _gap(at, left) >= _gap(at, right):
            high = middle
        else:
            low = middle
    return leaf, low


def _only(tangent: "Leaves", leaf: int, entries: slice) -> "Leaves":
    """The tangent restricted to some entries of one leaf."""
    part = [np.zeros_like(v) for v in tangent]
    part[leaf].ravel()[entries] = tangent[leaf].ravel()[entries]
    return part


def describe_entry(at: "Directional", entry: tuple[int, int]) -> str:
    """Path, both derivatives, their ratio and a hint, over two lines."""
    leaf, position = entry
    value = at.point[leaf]
    unit = [np.zeros_like(x) for x in at.point]
    scale = abs(float(value.ravel()[position])) or 1.0
    unit[leaf].ravel()[position] = scale
    exact = float(at.result.gradients[leaf].ravel()[position])
    difference = settle(at, unit)
    slope, noise = difference.value / scale, (difference.spread + difference.noise) / scale
    index = ", ".join(str(int(i)) for i in np.unravel_index(position, value.shape))
    path = at.program.moving_paths[leaf] + (f"[{index}]" if index else "")
    ratio = exact / slope if slope else math.inf
    extents = sorted({size for x in at.point for size in x.shape if size > 1})
    return (
        f"{path}: automatic differentiation {exact:.9g}, finite difference {slope:.9g} +- {noise:.1g}\n"
        f"ratio {ratio:.6g}{hint(ratio, exact, extents)}"
    )


def hint(ratio: float, exact: float, extents: list[int]) -> str:
    """What a ratio of derivatives usually means; empty when it means nothing in particular."""
    if not math.isfinite(exact):
        return ": the gradient is not finite (where() needs safe inputs on both sides; 0 * inf is NaN)"
    if abs(ratio) < 1e-6:
        return ": the gradient is stopped (stop_gradient, an integer or a comparison on the path)"
    if math.isinf(ratio):
        return ": the value does not change, yet it has a gradient"
    named = {-1.0: "the sign is wrong", 2.0: "a factor of 2 too much", 0.5: "a factor of 2 is missing"}
    for factor, meaning in named.items():
        if abs(ratio - factor) < 1e-4:
            return f": {meaning}"
    for size in extents:
        if abs(ratio * size - 1) < 1e-4:
            return f": 1/{size}, and an axis has {size} entries: a mean where a sum belongs"
        if abs(ratio / size - 1) < 1e-4:
            return f": an axis has {size} entries: a sum where a mean belongs"
    return ""
