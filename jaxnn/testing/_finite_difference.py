"""Gradients against Richardson-extrapolated central differences in float64.

Along a direction ``v`` the central difference ``D(h) = [f(x + h v) - f(x - h v)] / 2h`` has an error of
order ``h**2``; ``R(h) = (4 D(h/2) - D(h)) / 3`` removes it. Two such values, ``R(h)`` and ``R(h/2)``, say
how far the difference itself can be trusted, so that a kink or a wild function is told apart from a wrong
gradient.
"""

import math
from dataclasses import dataclass

import numpy as np

from jaxnn.testing._program import Leaves, Program, direction
from jaxnn.testing._report import Verdict, failed, inconclusive, passed
from jaxnn.testing._shrink import describe_entry, find_entry
from jaxnn.testing._tolerance import FINITE_DIFFERENCE, norm

_CHECK = "finite difference"
# 2**-11 is near the optimum for smooth functions; the smaller steps fit between the kinks of relu and max.
_STEPS = (2.0**-11, 2.0**-14, 2.0**-17, 2.0**-20)
_TELLING = 1e-3
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Difference:
    """A directional derivative by differences, with the error it may have."""

    value: float
    spread: float
    noise: float


class Directional:
    """Directional derivatives of a program's outputs, contracted with one cotangent."""

    def __init__(self, program: Program, point: Leaves, cotangents: Leaves) -> None:
        self.program, self.point, self.cotangents = program, point, cotangents
        self.result = program.evaluate(point, cotangents)
        products = [norm(u * y) for u, y in zip(cotangents, self.result.outputs, strict=True)]
        self.magnitude = math.sqrt(sum(p * p for p in products))

    def outputs(self, tangent: Leaves, step: float) -> Leaves:
        """The outputs at ``point + step * tangent``."""
        moved = [x + step * v for x, v in zip(self.point, tangent, strict=True)]
        return self.program.evaluate(moved, self.cotangents).outputs

    def central(self, tangent: Leaves, step: float) -> float:
        """The plain central difference."""
        ahead, behind = self.outputs(tangent, step), self.outputs(tangent, -step)
        pairs = zip(self.cotangents, ahead, behind, strict=True)
        return float(sum(np.sum(u * (a - b)) for u, a, b in pairs)) / (2 * step)

    def difference(self, tangent: Leaves, step: float) -> Difference:
        """The extrapolated difference from steps ``step``, ``step/2`` and ``step/4``."""
        coarse, middle, fine = (self.central(tangent, step / k) for k in (1, 2, 4))
        first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
        return Difference(second, abs(first - second), 32 * _EPSILON * self.magnitude / step)

    def exact(self, tangent: Leaves) -> float:
        """The same derivative from the program's own gradient."""
        return float(sum(np.sum(g * v) for g, v in zip(self.result.gradients, tangent, strict=True)))

    def scale(self, tangent: Leaves, difference: Difference) -> float:
        """What a directional derivative of this size would typically be."""
        size = sum(v.size for v in tangent)
        gradient = math.sqrt(
            sum(norm(g * (v != 0)) ** 2 for g, v in zip(self.result.gradients, tangent, strict=True))
        )
        length = math.sqrt(sum(norm(v) ** 2 for v in tangent))
        return max(gradient * length / math.sqrt(max(size, 1)), abs(difference.value), 1e-12)

    def kinked(self, tangent: Leaves) -> bool:
        """Whether one-sided derivatives differ however small the step: the point lies on a kink."""
        jumps = []
        for step in (2.0**-16, 2.0**-18):
            ahead, behind = self.outputs(tangent, step), self.outputs(tangent, -step)
            triples = zip(ahead, self.result.outputs, behind, self.cotangents, strict=True)
            jumps.append(sum(float(np.sum(np.abs(u * (a - 2 * y + b)))) for a, y, b, u in triples) / step)
        noise = 64 * _EPSILON * self.magnitude * 2.0**18
        return jumps[1] > noise and jumps[1] > 0.6 * jumps[0]


def _compare(at: Directional, tangent: Leaves) -> tuple[str, float, Difference]:
    """``"pass"``, ``"fail"`` or ``"noisy"``, the relative error, and the most trusted difference."""
    exact, best = at.exact(tangent), None
    error = math.inf
    for step in _STEPS:
        difference = at.difference(tangent, step)
        scale = at.scale(tangent, difference)
        gap = abs(exact - difference.value)
        error = min(error, gap / scale)
        # Steps that only rounding could let pass decide nothing: the first has the least of it.
        telling = best is None or difference.noise <= _TELLING * scale
        if telling and gap <= FINITE_DIFFERENCE * scale + difference.noise:
            return "pass", error, difference
        doubt = difference.spread + difference.noise
        if best is None or doubt < best.spread + best.noise:
            best = difference
    if best is None or not math.isfinite(exact):
        return "fail", math.inf, best or Difference(math.nan, math.nan, math.nan)
    scale, doubt = at.scale(tangent, best), best.spread + best.noise
    gap = abs(exact - best.value)
    decided = gap > 10 * doubt and (best.spread <= 1e-4 * scale or gap > 100 * doubt)
    return ("fail" if decided else "noisy"), gap / scale, best


@dataclass(frozen=True)
class _Trial:
    at: Directional
    tangent: Leaves
    outcome: str
    error: float
    difference: Difference


def _trial(at: Directional, rng: np.random.Generator, index: int | None, attempts: int = 3) -> _Trial:
    """Compare along fresh tangents of one leaf (of all for ``None``) until one is decided."""
    tangent = [
        direction(x, rng) if index in (None, position) else np.zeros_like(x)
        for position, x in enumerate(at.point)
    ]
    trial = _Trial(at, tangent, *_compare(at, tangent))
    if trial.outcome == "pass" or attempts == 1:
        return trial
    if at.kinked(tangent):
        # The caller's point lies on a kink, where no derivative exists; the hard points cover it.
        moved = [x + 1e-3 * direction(x, rng) for x in at.point]
        return _trial(Directional(at.program, moved, at.cotangents), rng, index, attempts - 1)
    return trial if trial.outcome == "fail" else _trial(at, rng, index, attempts - 1)


def check_finite_difference(
    program: Program, point: Leaves, rng: np.random.Generator, live: tuple[str, ...] | None
) -> list[Verdict]:
    """Compare every leaf's gradient, and the joint gradient, with differences; shrink what disagrees.

    Args:
        program: a float64 program.
        point: values of its moving leaves.
        rng: draws cotangents and tangents.
        live: fragments of the paths of the leaves whose gradient must not vanish; ``None`` for all.
    """
    verdicts: list[Verdict] = []
    dead: list[str] = []
    worst, at = 0.0, Directional(program, point, program.cotangents(rng))
    for index, name in enumerate([*program.moving_paths, "all leaves together"]):
        joint = index == len(point)
        if (joint and verdicts) or (not joint and not point[index].size):
            continue
        trial = _trial(at, rng, None if joint else index)
        if trial.outcome == "fail":
            entry = find_entry(trial.at, trial.tangent)
            text = describe_entry(trial.at, entry)
            verdicts.append(failed(_CHECK, text, trial.error, FINITE_DIFFERENCE))
        elif trial.outcome == "noisy":
            value = f"{trial.difference.value:.6g} +- {trial.difference.spread:.1g}"
            exact = f"automatic differentiation gives {trial.at.exact(trial.tangent):.6g}"
            verdicts.append(
                inconclusive(_CHECK, f"{name}: finite differences do not settle ({value}); {exact}")
            )
        else:
            worst = max(worst, trial.error)
            if (
                not joint
                and _vanishes(trial.at, index)
                and (live is None or any(part in name for part in live))
            ):
                dead.append(name)
    if not verdicts:
        verdicts.append(passed(_CHECK, worst, FINITE_DIFFERENCE))
    if dead:
        text = (
            f"the outputs do not depend on {', '.join(dead)}: the gradient is zero and so are the "
            "differences; if that is meant, name the leaves that matter with live=(...)"
        )
        verdicts.append(failed("live leaves", text))
    else:
        verdicts.append(passed("live leaves"))
    return verdicts


def _vanishes(at: Directional, index: int) -> bool:
    """Whether a leaf's gradient is nothing but rounding beside the others'."""
    sizes = [norm(g * x_scale) for g, x_scale in zip(at.result.gradients, _scales(at.point), strict=True)]
    return sizes[index] <= 1e-12 * max(*sizes, at.magnitude)


def _scales(point: Leaves) -> list[float]:
    return [norm(x) / math.sqrt(x.size) if x.size and norm(x) else 1.0 for x in point]
