"""Second derivatives: those of a gradient are symmetric, and agree with differences of it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._program import Leaves, Program, direction, to_host
from jaxnn.testing._report import Verdict, failed, inconclusive, passed
from jaxnn.testing._tolerance import norm

_SYMMETRY = 1e-9
_DIFFERENCE = 1e-6
_STEP = 2.0**-12


def check_second_order(program: Program, point: Leaves, rng: np.random.Generator) -> list[Verdict]:
    """``<a, H b> = <b, H a>``, and ``H b`` equals the change of the gradient along ``b``.

    ``H`` is the Hessian of the outputs' product with one cotangent, applied in reverse over reverse mode,
    which custom rules without a forward mode have too.
    """
    u = program.cotangents(rng)
    a, b = ([direction(x, rng) for x in point] for _ in range(2))

    def applied(moving: Leaves, fixed: Leaves, tangent: Leaves) -> Leaves:
        def slope(leaves: Leaves) -> Any:
            gradients = program.value_and_pullback(leaves, fixed, u)[2]
            return sum(jnp.sum(g * v) for g, v in zip(gradients, tangent, strict=True))

        return jax.grad(slope)(list(moving))

    with program.precision:
        run = program.compiled("second order", applied)
        of_a, of_b = (
            jax.tree.map(to_host, run(program.cast(point), program.cast(program.fixed), program.cast(v)))
            for v in (a, b)
        )
    name = "symmetric Hessian"
    left, right = _dot(a, of_b), _dot(b, of_a)
    size = max(_length(a) * _length(of_b), _length(b) * _length(of_a), 1e-300)
    error = abs(left - right) / size
    if not error <= _SYMMETRY:
        text = (
            f"<a, H b> = {left:.9g}, <b, H a> = {right:.9g}: the rule of some derivative has none of its own"
        )
        return [failed(name, text, error, _SYMMETRY)]
    return [passed(name, error, _SYMMETRY), _differences(program, point, u, b, of_b)]


def _differences(program: Program, point: Leaves, u: Leaves, tangent: Leaves, exact: Leaves) -> Verdict:
    """Reverse over reverse mode against extrapolated differences of the gradient."""
    name = "second difference"

    def central(step: float) -> Leaves:
        ahead, behind = (
            program.evaluate([x + sign * step * v for x, v in zip(point, tangent, strict=True)], u).gradients
            for sign in (1.0, -1.0)
        )
        return [(p - q) / (2 * step) for p, q in zip(ahead, behind, strict=True)]

    coarse, middle, fine = (central(_STEP / k) for k in (1, 2, 4))
    first = [(4 * m - c) / 3 for c, m in zip(coarse, middle, strict=True)]
    second = [(4 * f - m) / 3 for m, f in zip(middle, fine, strict=True)]
    scale = max(_length(exact), _length(second), 1e-6)
    spread = _length([p - q for p, q in zip(first, second, strict=True)]) / scale
    error = _length([e - d for e, d in zip(exact, second, strict=True)]) / scale
    if error <= _DIFFERENCE:
        return passed(name, error, _DIFFERENCE)
    if error > 10 * spread:
        text = f"the derivative of the gradient is off by {error:.3g} of its length (+- {spread:.1g})"
        return failed(name, text, error, _DIFFERENCE)
    return inconclusive(name, f"differences of the gradient do not settle (+- {spread:.1g})")


def _dot(left: Leaves, right: Leaves) -> float:
    return float(sum(np.sum(x * y) for x, y in zip(left, right, strict=True)))


def _length(leaves: Leaves) -> float:
    return float(np.sqrt(sum(norm(x) ** 2 for x in leaves)))
