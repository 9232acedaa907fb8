"""Laws of a batch: rows do not see each other, in values and in gradients, nor their order or number."""

import jax
import numpy as np

from jaxnn.testing._program import Leaves, Program, Result, is_key, to_host
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._tolerance import tolerance, worst_mismatch


class Batch:
    """Which leaves of a program carry the batch on their first axis, and how many rows there are."""

    def __init__(self, program: Program, arguments: tuple[int, ...]) -> None:
        self.program = program
        self.carries = [
            a in arguments and not is_key(leaf)
            for a, leaf in zip(program.argument, program.leaves, strict=True)
        ]
        sizes = {np.shape(leaf)[:1] for leaf, on in zip(program.leaves, self.carries, strict=True) if on}
        self.rows = sizes.pop()[0] if len(sizes) == 1 and () not in sizes else 0
        self.moving = [on for on, moves in zip(self.carries, program.moves, strict=True) if moves]
        self.fixed = [on for on, moves in zip(self.carries, program.moves, strict=True) if not moves]

    def take(self, leaves: Leaves, which: list[bool], order: np.ndarray) -> Leaves:
        """Leaves that carry the batch, indexed by ``order``; the others as they are."""
        return [leaf[order] if on else leaf for leaf, on in zip(leaves, which, strict=True)]


def check_rows(
    program: Program, point: Leaves, rng: np.random.Generator, arguments: tuple[int, ...], random: bool
) -> tuple[list[Verdict], str]:
    """Row independence and permutation equivariance over the first axis of some arguments.

    Args:
        program: a float64 program.
        point: values of its moving leaves.
        rng: draws cotangents and permutations.
        arguments: positions of the arguments whose leaves carry the batch.
        random: whether the program draws random numbers, which belong to places rather than rows.

    Returns:
        The verdicts, and a note when there is no batch to speak of.
    """
    batch = Batch(program, arguments)
    if batch.rows < 2:
        return [], "rows: the arguments have no common first axis of two rows or more"
    short = [s.shape for s in program.specs[0] if s.shape[:1] != (batch.rows,)]
    if short:
        text = f"an output of shape {list(short[0])} does not keep the batch axis of {batch.rows} rows"
        return [failed("rows independent", text + "; say cross_batch=True if it is meant to reduce it")], ""
    verdicts = [_independent(program, point, rng, batch)]
    if not random:
        verdicts += [_permuted(program, point, rng, batch), _one_by_one(program, point, rng, batch)]
    return verdicts, ""


def _independent(program: Program, point: Leaves, rng: np.random.Generator, batch: Batch) -> Verdict:
    name = "rows independent"
    u = program.cotangents(rng)
    base = program.evaluate(point, u)
    for row in sorted({0, batch.rows - 1}):
        others = np.arange(batch.rows) != row
        only = [np.where(np.reshape(others, (-1,) + (1,) * (x.ndim - 1)), 0.0, x) for x in u]
        gradients = program.evaluate(point, only).gradients
        for path, gradient, on in zip(program.moving_paths, gradients, batch.moving, strict=True):
            if on and np.any(gradient[others] != 0):
                bad = int(np.argwhere(others & np.any(gradient.reshape(batch.rows, -1) != 0, axis=1))[0, 0])
                return failed(name, f"the gradient of output row {row} by {path}[{bad}] is not exactly zero")
        moved = [
            np.where(np.reshape(others, (-1,) + (1,) * (x.ndim - 1)), x + rng.standard_normal(x.shape), x)
            if on
            else x
            for x, on in zip(point, batch.moving, strict=True)
        ]
        outputs = program.evaluate(moved, u).outputs
        error, _ = worst_mismatch([y[row] for y in outputs], [y[row] for y in base.outputs])
        if error > tolerance(np.float64):
            return failed(
                name, f"output row {row} changes with the other rows (relative error {error:.3g})", error
            )
    return passed(name)


def _permuted(program: Program, point: Leaves, rng: np.random.Generator, batch: Batch) -> Verdict:
    name, allowed = "row permutation", tolerance(np.float64)
    order = np.roll(np.arange(batch.rows), 1)
    u = program.cotangents(rng)
    base = program.evaluate(point, u)
    fixed = batch.take(program.fixed, batch.fixed, order)
    result = program.evaluate(batch.take(point, batch.moving, order), [x[order] for x in u], fixed)
    error, leaf = worst_mismatch(result.outputs, [y[order] for y in base.outputs])
    if error > allowed:
        return failed(
            name, f"permuted rows give other outputs (leaf {leaf}, relative error {error:.3g})", error
        )
    expected = batch.take(base.gradients, batch.moving, order)
    error, leaf = worst_mismatch(result.gradients, expected)
    if error > allowed:
        path = program.moving_paths[leaf]
        return failed(
            name, f"permuted rows give another gradient of {path} (relative error {error:.3g})", error
        )
    return passed(name, error, allowed)


def _one_by_one(program: Program, point: Leaves, rng: np.random.Generator, batch: Batch) -> Verdict:
    """``vmap`` over batches of one row each equals the batch: the result does not depend on its size."""
    name, allowed = "rows one by one", tolerance(np.float64)
    u = program.cotangents(rng)
    base = program.evaluate(point, u)
    split = [x[:, None] if on else x for x, on in zip(point, batch.moving, strict=True)]
    rest = [x[:, None] if on else x for x, on in zip(program.fixed, batch.fixed, strict=True)]
    axes = ([0 if on else None for on in batch.moving], [0 if on else None for on in batch.fixed], 0)
    mapped = program.compiled("one by one", jax.vmap(program.value_and_pullback, in_axes=axes))
    with program.precision:
        result = Result(
            *jax.tree.map(to_host, mapped(program.cast(split), program.cast(rest), [x[:, None] for x in u]))
        )
    error, leaf = worst_mismatch([y[:, 0] for y in result.outputs], base.outputs)
    if error > allowed:
        text = f"a row alone gives another output than in the batch (leaf {leaf}, relative error {error:.3g})"
        return failed(name, text, error, allowed)
    gradients = [g[:, 0] if on else g.sum(0) for g, on in zip(result.gradients, batch.moving, strict=True)]
    error, leaf = worst_mismatch(gradients, base.gradients)
    if error > allowed:
        path = program.moving_paths[leaf]
        text = f"the gradient of {path} is not the sum of the rows' gradients (relative error {error:.3g})"
        return failed(name, text, error, allowed)
    return passed(name, error, allowed)


def check_dependency(
    program: Program, point: Leaves, rng: np.random.Generator, depends: np.ndarray, argument: int
) -> list[Verdict]:
    """Output position ``t`` depends on input position ``s`` exactly where ``depends[t, s]`` says so.

    Positions are those of axis 1, the one after the batch, of outputs and of one argument's floating leaves.
    """
    name = "dependency mask"
    depends = np.asarray(depends, bool)
    inputs = [
        index
        for index, a in enumerate(
            a for a, moves in zip(program.argument, program.moves, strict=True) if moves
        )
        if a == argument and point[index].ndim > 1 and point[index].shape[1] == depends.shape[1]
    ]
    if not inputs or any(len(s.shape) < 2 or s.shape[1] != depends.shape[0] for s in program.specs[0]):
        return [
            failed(name, f"a mask of shape {list(depends.shape)} does not fit axis 1 of outputs and inputs")
        ]
    for t in range(depends.shape[0]):
        u = [np.zeros(s.shape) for s in program.specs[0]]
        for x in u:
            x[:, t] = rng.standard_normal(x[:, t].shape)
        gradients = program.evaluate(point, u).gradients
        for index in inputs:
            sizes = np.abs(np.moveaxis(gradients[index], 1, 0)).reshape(depends.shape[1], -1).max(axis=1)
            for s in range(depends.shape[1]):
                if not depends[t, s] and sizes[s] != 0:
                    return [failed(name, f"output position {t} depends on input position {s}, and must not")]
                if depends[t, s] and sizes[s] == 0:
                    return [
                        failed(name, f"output position {t} does not depend on input position {s}, and must")
                    ]
    return [passed(name)]
