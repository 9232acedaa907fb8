"""The undecorated twin: the same program with every custom derivative rule taken off.

A custom rule and plain automatic differentiation of its primal must give the same gradient wherever both are
defined. The twin is made by evaluating the traced program anew, with ``custom_vjp`` and ``custom_jvp`` calls
replaced by their bodies, inside ``jit``, ``scan``, ``cond`` and ``while`` too.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jax.extend import core as jex

from jaxnn.testing._program import Leaves, Program
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._tolerance import TWIN, worst_mismatch


def undecorated(closed: Any) -> Any:
    """A closed jaxpr without custom derivative rules."""
    avals = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in closed.jaxpr.invars]
    return jax.make_jaxpr(lambda *values: evaluate(closed.jaxpr, closed.consts, values))(*avals)


def _is_closed(value: Any) -> bool:
    """Whether it is a jaxpr with its constants; newer versions of JAX have no class of its own for one."""
    return hasattr(value, "jaxpr") and hasattr(value, "consts")


def _rebuilt(value: Any) -> Any:
    """A parameter with its closed jaxprs undecorated."""
    if _is_closed(value):
        return undecorated(value)
    if isinstance(value, tuple) and any(_is_closed(item) for item in value):
        return tuple(_rebuilt(item) for item in value)
    return value


def evaluate(jaxpr: Any, consts: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Evaluate a jaxpr, entering custom rules through their primal body only."""
    known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *values], strict=True))
    for equation in jaxpr.eqns:
        inputs = [v.val if isinstance(v, jex.Literal) else known[v] for v in equation.invars]
        name, params = equation.primitive.name, equation.params
        if name in (
            "custom_vjp_call",
            "custom_vjp_call_jaxpr",
            "custom_jvp_call",
            "jit",
            "pjit",
            "closed_call",
        ):
            closed = next(params[k] for k in ("call_jaxpr", "fun_jaxpr", "jaxpr") if k in params)
            outputs = evaluate(closed.jaxpr, closed.consts, inputs)
        elif name in ("remat", "remat2", "checkpoint"):
            outputs = evaluate(params["jaxpr"], (), inputs)
        else:
            rebuilt = {key: _rebuilt(value) for key, value in params.items()}
            outputs = equation.primitive.bind(*inputs, **rebuilt)
            outputs = outputs if equation.primitive.multiple_results else [outputs]
        known.update(zip(equation.outvars, outputs, strict=True))
    return [v.val if isinstance(v, jex.Literal) else known[v] for v in jaxpr.outvars]


def check_twin(program: Program, point: Leaves, rng: np.random.Generator) -> tuple[list[Verdict], str]:
    """The gradient with custom rules equals the gradient of the undecorated twin.

    Returns:
        The verdicts, and a note where the primal itself cannot be differentiated in reverse.
    """
    closed = program.jaxpr()
    count = len(program.specs[0])

    def twin(moving: Leaves, fixed: Leaves, cotangents: Leaves) -> Leaves:
        def plain(leaves: Leaves) -> Leaves:
            return evaluate(closed.jaxpr, closed.consts, [*leaves, *fixed])[:count]

        return jax.vjp(plain, list(moving))[1](list(cotangents))[0]

    u = program.cotangents(rng)
    try:
        with program.precision:
            gradients = program.compiled("twin", twin)(program.cast(point), program.cast(program.fixed), u)
            expected = [np.asarray(g) for g in gradients]
    except (ValueError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        return [], f"twin: the body of a custom rule has no reverse mode of its own ({reason})"
    if not all(np.isfinite(g).all() for g in expected):
        return [], "twin: plain automatic differentiation is not finite at this point"
    name = "undecorated twin"
    error, leaf = worst_mismatch(program.evaluate(point, u).gradients, expected)
    if error > TWIN:
        text = (
            f"{program.moving_paths[leaf]}: the custom rule's gradient differs from that of the function it "
            f"decorates (relative error {error:.3g})"
        )
        return [failed(name, text, error, TWIN)], ""
    return [passed(name, error, TWIN)], ""


def check_declared_twin(
    program: Program, twin: Callable[..., tuple[Any, Any]], point: Leaves, rng: np.random.Generator
) -> list[Verdict]:
    """Values and gradients equal those of another formulation, which takes the same arguments."""
    other = replace(program, function=twin)
    u, name = program.cotangents(rng), "declared twin"
    actual, expected = program.evaluate(point, u), other.evaluate(point, u)
    error, leaf = worst_mismatch(actual.outputs, expected.outputs)
    if error > TWIN:
        text = f"output leaf {leaf} differs from the twin's (relative error {error:.3g})"
        return [failed(name, text, error, TWIN)]
    error, leaf = worst_mismatch(actual.gradients, expected.gradients)
    if error > TWIN:
        text = (
            f"{program.moving_paths[leaf]}: the gradient differs from the twin's (relative error {error:.3g})"
        )
        return [failed(name, text, error, TWIN)]
    return [passed(name, error, TWIN)]
