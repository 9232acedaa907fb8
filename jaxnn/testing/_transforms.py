"""jit = eager = remat = scan, and vmap over distinct rows of every argument = a loop."""

import contextlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._linear import has_custom_rule, inner_jaxprs
from jaxnn.testing._program import Leaves, Program, Result, is_float, is_key, to_host
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._tolerance import tolerance, worst_mismatch

_ROWS = 3
_EAGER_OPERATIONS = 2000


def compare(
    name: str, program: Program, actual: Result, expected: Result, kind: str = "same"
) -> list[Verdict]:
    """One verdict on two evaluations: outputs, auxiliary outputs and gradients, leaf by leaf."""
    allowed, largest = tolerance(program.dtype, kind), 0.0
    groups = (
        ("output", actual.outputs, expected.outputs),
        ("auxiliary output", actual.auxiliary, expected.auxiliary),
        ("gradient of", actual.gradients, expected.gradients),
    )
    for what, left, right in groups:
        error, leaf = worst_mismatch(left, right)
        largest = max(largest, error)
        if error > allowed:
            where = program.moving_paths[leaf] if what == "gradient of" else f"leaf {leaf}"
            text = f"{what} {where}: {_difference(left[leaf], right[leaf])} (relative error {error:.3g})"
            return [failed(name, text, error, allowed)]
    return [passed(name, largest, allowed)]


def _difference(a: Any, b: Any) -> str:
    if np.shape(a) != np.shape(b):
        return f"shape {np.shape(a)}, expected {np.shape(b)}"
    gap = np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64))
    position = int(np.argmax(np.where(np.isnan(gap), np.inf, gap))) if gap.size else 0
    index = tuple(int(i) for i in np.unravel_index(position, gap.shape))
    return f"{float(np.asarray(a)[index]):.9g} at {list(index)}, expected {float(np.asarray(b)[index]):.9g}"


def distinct_rows(leaf: Any, rng: np.random.Generator, count: int = _ROWS) -> Any:
    """``count`` different values of a leaf: jittered floats, rolled integers and masks, split keys."""
    if is_key(leaf):
        return jax.random.split(leaf, count)
    if is_float(leaf):
        factors = rng.uniform(0.6, 1.4, (count, *leaf.shape))
        shifts = 0.1 * rng.standard_normal((count, *leaf.shape)) if not np.any(leaf) else 0.0
        return np.concatenate([leaf[None], (leaf * factors + shifts)[1:]])
    return np.stack([np.roll(leaf, k, axis=0) if np.ndim(leaf) else leaf for k in range(count)])


def check_eager(program: Program, point: Leaves, rng: np.random.Generator) -> list[Verdict]:
    """The compiled program equals the same, run one operation at a time, and so does its gradient.

    Python sees what it does not see when compiled: without a derivative all values, with one those that do
    not move, and those that a custom rule is handed. Where there are neither of the latter the backward pass
    is the same either way, and is not run again.
    """
    u, jaxpr = program.cotangents(rng), program.jaxpr().jaxpr
    with eager(program):
        outputs, auxiliary = program.call(
            _on_device(program.cast(point)), _on_device(program.cast(program.fixed))
        )
        values = jax.tree.map(to_host, outputs), jax.tree.map(to_host, auxiliary)
    compiled_result = program.evaluate(point, u)
    plain = Result(*values, compiled_result.gradients)
    verdicts = compare("jit = eager", program, compiled_result, plain)
    if verdicts[0].detail or not (program.fixed or has_custom_rule(jaxpr)):
        return verdicts
    with eager(program):
        results = program.value_and_pullback(program.cast(point), program.cast(program.fixed), u)
        derived = Result(*jax.tree.map(to_host, results))
    return compare("jit = eager", program, compiled_result, derived)


@contextlib.contextmanager
def eager(program: Program) -> Iterator[None]:
    """Run one operation at a time, in the program's precision.

    Without ``jit`` a loop runs step by step in Python: a long one is left compiled, its surroundings are not.
    """
    short = _operations(program.jaxpr().jaxpr) <= _EAGER_OPERATIONS
    with program.precision, jax.disable_jit(short):
        yield


def _operations(jaxpr: Any) -> int:
    """How many operations a run of a jaxpr takes, its scans unrolled."""
    return sum(
        1 + equation.params.get("length", 1) * sum(map(_operations, inner_jaxprs(equation)))
        for equation in jaxpr.eqns
    )


def _on_device(leaves: Leaves) -> Leaves:
    return [leaf if is_key(leaf) else jnp.asarray(leaf) for leaf in leaves]


class Rows:
    """Distinct rows of every leaf, and the result of each row on its own."""

    def __init__(self, program: Program, point: Leaves, rng: np.random.Generator) -> None:
        self.program, self.point = program, point
        self.moving = [distinct_rows(x, rng) for x in point]
        self.fixed = [distinct_rows(x, rng) for x in program.fixed]
        self.cotangents = [rng.standard_normal((_ROWS, *s.shape)) for s in program.specs[0]]

    def loop(self, moving: Sequence[bool], fixed: Sequence[bool]) -> Result:
        """Results of each row, stacked; leaves that are not mapped keep their base value."""
        results = []
        for row in range(_ROWS):
            points = [m[row] if on else x for m, x, on in zip(self.moving, self.point, moving, strict=True)]
            rest = [
                m[row] if on else x for m, x, on in zip(self.fixed, self.program.fixed, fixed, strict=True)
            ]
            results.append(self.program.evaluate(points, [u[row] for u in self.cotangents], rest))
        return Result(
            *(
                [np.stack(leaves) for leaves in zip(*(getattr(r, part) for r in results), strict=True)]
                for part in ("outputs", "auxiliary", "gradients")
            )
        )

    def run(
        self, name: Hashable, mapped: Callable[..., Any], moving: Sequence[bool], fixed: Sequence[bool]
    ) -> Result:
        """Compile ``mapped`` and run it on the stacked rows (on base values where not mapped)."""
        program = self.program
        points = [m if on else x for m, x, on in zip(self.moving, self.point, moving, strict=True)]
        rest = [m if on else x for m, x, on in zip(self.fixed, program.fixed, fixed, strict=True)]
        with program.precision:
            results = program.compiled(name, mapped)(
                program.cast(points), program.cast(rest), self.cotangents
            )
            return Result(*jax.tree.map(to_host, results))


def check_vmap(
    program: Program, point: Leaves, rng: np.random.Generator, alone: Sequence[int]
) -> list[Verdict]:
    """``vmap`` of values and gradients equals a loop over distinct rows.

    Args:
        program: a float64 program.
        point: values of its moving leaves.
        rng: draws the rows.
        alone: positions of arguments that are also mapped with all others held fixed.
    """
    rows, verdicts = Rows(program, point, rng), []
    for position in (None, *alone):
        on = [position in (None, argument) for argument in program.argument]
        moving = [flag for flag, moves in zip(on, program.moves, strict=True) if moves]
        fixed = [flag for flag, moves in zip(on, program.moves, strict=True) if not moves]
        if not any(on):
            continue
        axes = ([0 if f else None for f in moving], [0 if f else None for f in fixed], 0)
        name = "vmap over everything" if position is None else f"vmap over {program.names[position]} alone"
        try:
            result = rows.run(name, jax.vmap(program.value_and_pullback, in_axes=axes), moving, fixed)
        except Exception as error:  # any exception of the subject is a finding, not a crash of the kit
            verdicts.append(failed(name, f"raises {type(error).__name__}: {error}"))
            continue
        verdicts += compare(name, program, result, rows.loop(moving, fixed))
    return verdicts


def check_scan_remat(program: Program, point: Leaves, rng: np.random.Generator) -> list[Verdict]:
    """A rematerialised program under ``scan`` equals the plain one, row by row."""
    rows = Rows(program, point, rng)

    def body(_: None, row: Any) -> tuple[None, Any]:
        moving, fixed, cotangents = row
        call = jax.checkpoint(lambda leaves: program.call(leaves, fixed))
        outputs, pullback, auxiliary = jax.vjp(call, moving, has_aux=True)
        return None, (outputs, auxiliary, pullback(cotangents)[0])

    def scanned(*rows: Any) -> Any:
        return jax.lax.scan(body, None, rows)[1]

    moving, fixed = [True] * len(rows.moving), [True] * len(rows.fixed)
    result = rows.run("scan", scanned, moving, fixed)
    return compare("scan = remat = loop", program, result, rows.loop(moving, fixed))
