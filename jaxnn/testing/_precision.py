"""Low precision against float64 at the same rounded inputs: rounding of the inputs is not held against it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._linear import inner_jaxprs
from jaxnn.testing._program import Leaves, Program, is_float
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._tolerance import tolerance, worst_mismatch


def check_precision(
    program: Program, low: Program, point: Leaves, rng: np.random.Generator, at: str = ""
) -> list[Verdict]:
    """Values and gradients of ``low`` (float32, bfloat16 or float16) against the float64 ``program``."""
    name = f"{jnp.dtype(low.dtype).name} = float64{at}"
    rounded = [np.asarray(x, np.float64) for x in low.cast(point)]
    u = [np.asarray(np.asarray(c, low.dtype), np.float64) for c in program.cotangents(rng)]
    fixed = low.cast(low.fixed, low.statistics)
    expected = program.evaluate(rounded, u, [np.asarray(x, np.float64) if is_float(x) else x for x in fixed])
    with jax.default_matmul_precision("highest"):
        actual = low.evaluate(rounded, u, fixed)
    allowed, largest = tolerance(low.dtype, "reduction"), 0.0
    for what, left, right in (
        ("output leaf ", actual.outputs, expected.outputs),
        ("gradient of ", actual.gradients, expected.gradients),
    ):
        error, leaf = worst_mismatch([np.asarray(x, np.float64) for x in left], right)
        largest = max(largest, error)
        if error > allowed:
            where = program.moving_paths[leaf] if what == "gradient of " else str(leaf)
            return [failed(name, f"{what}{where}: relative error {error:.3g}", error, allowed)]
    return [passed(name, largest, allowed)]


def check_double_inside(program: Program) -> list[Verdict]:
    """A float64 program rounds nothing to a lower precision on its way."""
    name = "float64 inside"
    lower = _roundings(program.jaxpr().jaxpr)
    if lower:
        text = f"float64 values are rounded to {', '.join(sorted(lower))} on the way, and nothing says so"
        return [failed(name, text)]
    return [passed(name)]


def _roundings(jaxpr: Any) -> set[str]:
    found: set[str] = set()
    for equation in jaxpr.eqns:
        if equation.primitive.name == "convert_element_type":
            source, target = equation.invars[0].aval.dtype, equation.outvars[0].aval.dtype
            if source == np.float64 and jnp.issubdtype(target, jnp.floating) and target != np.float64:
                found.add(jnp.dtype(target).name)
        for inner in inner_jaxprs(equation):
            found |= _roundings(inner)
    return found


def check_dtype_kept(program: Program) -> list[Verdict]:
    """Floating inputs of one dtype give floating outputs of that dtype, none of them weakly typed."""
    name = f"{jnp.dtype(program.dtype).name} kept"
    for index, spec in enumerate(program.specs[0]):
        if spec.dtype != jnp.dtype(program.dtype):
            return [
                failed(
                    name, f"inputs are {jnp.dtype(program.dtype).name}, output leaf {index} is {spec.dtype}"
                )
            ]
        if spec.weak_type:
            text = (
                f"output leaf {index} is weakly typed: it was made from a Python number, not from the inputs"
            )
            return [failed(name, text)]
    return [passed(name)]
