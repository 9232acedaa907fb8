"""Laws of the derivative as a linear map: pull-backs are linear, and transpose the push-forward."""

import math
from typing import Any

import jax
import numpy as np

from jaxnn.testing._program import Leaves, Program, direction
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._tolerance import DOT_PRODUCT, norm, tolerance, worst_mismatch


def check_linearity(program: Program, point: Leaves, rng: np.random.Generator) -> list[Verdict]:
    """A zero cotangent pulls back to zero, and ``a u + b w`` to ``a`` times and ``b`` times."""
    name = "cotangent linearity"
    paths = program.moving_paths
    zero = program.evaluate(point, [np.zeros(s.shape) for s in program.specs[0]]).gradients
    for path, gradient in zip(paths, zero, strict=True):
        if np.any(gradient != 0):
            largest = float(np.max(np.abs(gradient)))
            return [failed(name, f"{path}: a zero cotangent gives a gradient of up to {largest:.6g}")]
    u, w = program.cotangents(rng), program.cotangents(rng)
    a, b = 1.75, -0.6
    mixed = [a * p + b * q for p, q in zip(u, w, strict=True)]
    of_u, of_w = program.evaluate(point, u).gradients, program.evaluate(point, w).gradients
    expected = [a * p + b * q for p, q in zip(of_u, of_w, strict=True)]
    error, leaf = worst_mismatch(program.evaluate(point, mixed).gradients, expected)
    allowed = tolerance(np.float64, "reduction")
    if error > allowed:
        text = f"{paths[leaf]}: the backward rule is not linear in its cotangent (relative error {error:.3g})"
        return [failed(name, text, error, allowed)]
    return [passed(name, error, allowed)]


def check_dot_product(program: Program, point: Leaves, rng: np.random.Generator) -> tuple[list[Verdict], str]:
    """``<u, J v> = <J^T u, v>`` for one direction over all leaves.

    Returns:
        The verdicts, and a note when a custom rule has no forward mode, which the identity needs.
    """
    name = "dot product"
    tangent = [direction(x, rng) for x in point]
    u = program.cotangents(rng)

    def push(moving: Leaves, fixed: Leaves, tangents: Leaves) -> Any:
        return jax.jvp(lambda leaves: program.call(leaves, fixed)[0], (moving,), (tangents,))[1]

    try:
        with program.precision:
            pushed = program.compiled("push", push)(
                program.cast(point), program.cast(program.fixed), program.cast(tangent)
            )
            pushed = [np.asarray(leaf) for leaf in pushed]
    except (TypeError, NotImplementedError, ValueError) as error:
        if has_custom_vjp(program.jaxpr().jaxpr):
            return [], (
                "dot product: a custom_vjp has no forward mode; finite differences and the undecorated twin "
                "stand in for it"
            )
        return [failed(name, f"forward mode raises {type(error).__name__}: {error}")], ""
    gradients = program.evaluate(point, u).gradients
    left = float(sum(np.sum(a * b) for a, b in zip(u, pushed, strict=True)))
    right = float(sum(np.sum(a * b) for a, b in zip(gradients, tangent, strict=True)))
    length = math.sqrt(sum(norm(a) ** 2 for a in u)) * math.sqrt(sum(norm(a) ** 2 for a in pushed))
    error = abs(left - right) / length if length else abs(left - right)
    if not error <= DOT_PRODUCT:
        text = f"forward mode gives <u, Jv> = {left:.9g}, reverse mode <J^T u, v> = {right:.9g}"
        return [failed(name, text, error, DOT_PRODUCT)], ""
    return [passed(name, error, DOT_PRODUCT)], ""


def inner_jaxprs(equation: Any) -> list[Any]:
    """The jaxprs among an equation's parameters."""
    found = []
    for value in equation.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            inner = getattr(item, "jaxpr", item)
            if hasattr(inner, "eqns"):
                found.append(inner)
    return found


def has_custom_vjp(jaxpr: Any) -> bool:
    """Whether a ``custom_vjp`` stands anywhere in a jaxpr."""
    return _contains(jaxpr, "custom_vjp")


def has_custom_rule(jaxpr: Any) -> bool:
    """Whether a ``custom_vjp`` or a ``custom_jvp`` stands anywhere in a jaxpr."""
    return _contains(jaxpr, "custom_")


def _contains(jaxpr: Any, name: str) -> bool:
    return any(
        name in equation.primitive.name or any(_contains(inner, name) for inner in inner_jaxprs(equation))
        for equation in jaxpr.eqns
    )
