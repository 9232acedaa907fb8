"""Hard points: zeros, ties, constants, large values.

Gradients there are finite, and lie between the one-sided derivatives.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxnn.testing._program import Leaves, Program, Result
from jaxnn.testing._report import Verdict, failed, passed

_EPSILON = float(np.finfo(np.float64).eps)
_COORDINATES = 6
_STEPS = (2.0**-11, 2.0**-19, 2.0**-27, 2.0**-35)


def standard_points(x: np.ndarray) -> dict[str, np.ndarray]:
    """The hard points of a shape, by name."""
    ramp = np.linspace(-1.0, 1.0, max(x.shape[0], 1)).reshape((-1,) + (1,) * (x.ndim - 1)) if x.ndim else x
    # A checkerboard: signs that alternate in memory order would be constant along all axes but the last.
    signs = np.where(np.indices(x.shape).sum(0) % 2, -1.0, 1.0) if x.ndim else np.ones_like(x)
    return {
        "zeros": np.zeros_like(x),
        "negative zeros": np.full_like(x, -0.0),
        "ties (all ones)": np.ones_like(x),
        "constant rows": np.broadcast_to(ramp, x.shape).copy(),
        "alternating +-1e4": 1e4 * signs,
    }


def check_points(
    program: Program,
    point: Leaves,
    rng: np.random.Generator,
    movable: Sequence[bool],
    points: Mapping[str, Any] | None = None,
    lenient: bool = False,
) -> list[Verdict]:
    """Finite values and gradients at hard points, and every sampled derivative within its bracket.

    Along one coordinate each output has a left and a right derivative; a subgradient lies between them. At
    smooth points the two agree and the bracket closes.

    Args:
        program: a float64 program.
        point: values of its moving leaves.
        rng: draws cotangents and coordinates.
        movable: which of the leaves the hard points replace.
        points: name and value (one array, or one for each movable leaf) of other points.
        lenient: whether a point outside the domain (an output that is not finite) and an infinite slope are
            let go; NaN as the gradient of a finite value never is.
    """
    indices = [index for index, on in enumerate(movable) if on and point[index].size]
    if not indices:
        return []
    if points is None:
        names = standard_points(point[indices[0]])
        values = {name: [standard_points(point[i])[name] for i in indices] for name in names}
    else:
        values = {name: list(v) if isinstance(v, tuple | list) else [v] for name, v in points.items()}
    verdicts = []
    for name, arrays in values.items():
        at = list(point)
        for index, array in zip(indices, arrays, strict=True):
            at[index] = np.asarray(array, np.float64)
        verdicts.append(_check_point(f"hard point: {name}", program, at, rng, indices, lenient))
    return verdicts


def _check_point(
    name: str, program: Program, at: Leaves, rng: np.random.Generator, indices: Sequence[int], lenient: bool
) -> Verdict:
    u = program.cotangents(rng)
    base = program.evaluate(at, u)
    for leaf, y in enumerate(base.outputs):
        if not np.isfinite(y).all():
            if lenient:
                return passed(name)
            return failed(name, f"output leaf {leaf} is not finite")
    for path, gradient in zip(program.moving_paths, base.gradients, strict=True):
        if lenient and np.isinf(gradient).any() and not np.isnan(gradient).any():
            return passed(name)
        if not np.isfinite(gradient).all():
            where = [int(i) for i in np.argwhere(~np.isfinite(gradient))[0]]
            return failed(name, f"gradient of {path} at {where} is {gradient[tuple(where)]}, not finite")
    for index in indices:
        size = at[index].size
        chosen = rng.choice(size, min(_COORDINATES, size), replace=False)
        tangents = [(_coordinate(at[index], int(p)), at[index].shape, int(p)) for p in chosen]
        # All entries at once: the shares of tied entries add up, which no single coordinate shows.
        for tangent, shape, position in [*tangents, (np.ones_like(at[index]), (), -1)]:
            text = _outside_bracket(program, at, u, base, index, tangent)
            if text:
                where = "" if position < 0 else str([int(i) for i in np.unravel_index(position, shape)])
                all_entries = " along all its entries together" if position < 0 else ""
                return failed(name, f"{program.moving_paths[index]}{where}{all_entries}: {text}")
    return passed(name)


def _coordinate(leaf: np.ndarray, position: int) -> np.ndarray:
    tangent = np.zeros_like(leaf)
    tangent.ravel()[position] = 1.0
    return tangent


def _outside_bracket(
    program: Program, at: Leaves, u: Leaves, base: Result, index: int, tangent: np.ndarray
) -> str:
    """Why a directional derivative cannot be right, or nothing."""
    places = np.abs(at[index][tangent != 0])
    if not np.isfinite(places).all():
        return ""  # no step leads away from infinity
    exact = float(np.sum(base.gradients[index] * tangent))
    magnitude = sum(float(np.sum(np.abs(c * y))) for c, y in zip(u, base.outputs, strict=True))
    # A power of two, so that a step of 2**-35 beside 1e4 is still taken without rounding.
    size = 2.0 ** math.ceil(math.log2(max(float(np.max(places)), 1.0)))
    brackets, h = [], size
    for step in _STEPS:
        h = step * size
        sides = []
        for sign in (1.0, -1.0):
            # One-sided derivatives, extrapolated once: 2 D(h/2) - D(h) has an error of order h**2.
            slopes = []
            for k in (1.0, 2.0):
                moved = list(at)
                moved[index] = at[index] + sign * h / k * tangent
                outputs = program.evaluate(moved, u).outputs
                slopes.append([sign * (y - y0) * k / h for y, y0 in zip(outputs, base.outputs, strict=True)])
            sides.append([2 * fine - coarse for coarse, fine in zip(*slopes, strict=True)])
        # Where the domain ends, the derivative from within it is all that there is.
        right, left = sides
        sides = [
            [np.where(np.isfinite(a), a, b) for a, b in zip(right, left, strict=True)],
            [np.where(np.isfinite(b), b, a) for a, b in zip(right, left, strict=True)],
        ]
        pairs = list(zip(u, *sides, strict=True))
        middle = sum(float(np.sum(c * (a + b))) for c, a, b in pairs) / 2
        half = sum(float(np.sum(np.abs(c * (a - b)))) for c, a, b in pairs) / 2
        slack = 1e-5 * max(abs(exact), abs(middle)) + 64 * _EPSILON * magnitude / h + 1e-10
        if abs(exact - middle) <= half + slack:
            return ""
        brackets.append((middle, half))
    # A jump gives quotients that never settle, and a softmax of scores near 1e8 changes within less than any
    # step that rounding leaves usable: there is nothing to compare with unless the finest quotients agree.
    (coarse, coarse_half), (middle, half) = brackets[-2:]
    doubt = abs(middle - coarse) + abs(half - coarse_half) + 8 * _rounding(program, at, u, base) / h
    if doubt > 0.1 * (abs(exact - middle) - half):
        return ""
    bracket = f"[{middle - half:.6g}, {middle + half:.6g}]"
    return f"automatic differentiation gives {exact:.6g}, the one-sided derivatives allow {bracket}"


def _rounding(program: Program, at: Leaves, u: Leaves, base: Result) -> float:
    """How much the outputs' product with ``u`` moves when inputs change in their last bits."""
    rng, worst = np.random.default_rng(0), 0.0
    for _ in range(3):
        moved = [x * (1 + 4 * _EPSILON * rng.choice((-1.0, 1.0), x.shape)) for x in at]
        outputs = program.evaluate(moved, u).outputs
        triples = zip(u, outputs, base.outputs, strict=True)
        worst = max(worst, sum(float(np.sum(np.abs(c * (y - y0)))) for c, y, y0 in triples))
    return worst
