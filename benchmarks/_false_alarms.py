"""Seeds on unbroken code: how often the kit would cry wolf.

Each original is compiled once and then checked at a new random point, with new directions, cotangents, rows
and hard-point coordinates, for every seed; the kinds of hard points take turns.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.mutants import Mutant
from jaxnn import testing
from jaxnn.core import Layer
from jaxnn.testing._finite_difference import check_finite_difference
from jaxnn.testing._linear import check_dot_product, check_linearity, has_custom_vjp
from jaxnn.testing._optimizer_laws import check_odd, check_permutation, zero_gradient
from jaxnn.testing._points import check_points, standard_points
from jaxnn.testing._program import Program
from jaxnn.testing._rows import check_rows
from jaxnn.testing._rule import Rule
from jaxnn.testing._subject import jittered, prepare, realise
from jaxnn.testing._transforms import check_scan_remat, check_vmap

Checks = Callable[[int], list[testing.Verdict]]


def _found(result: Any) -> list[testing.Verdict]:
    return list(result[0]) if isinstance(result, tuple) else list(result)


def _hard_point(
    program: Program,
    moved: list[Any],
    rng: np.random.Generator,
    movable: list[bool],
    seed: int,
    lenient: bool,
) -> list[testing.Verdict]:
    """One kind of hard point, of which the next seed takes the next."""
    values = [standard_points(leaf) for leaf, on in zip(moved, movable, strict=True) if on and leaf.size]
    if not values:
        return []
    name = list(values[0])[seed % len(values[0])]
    chosen = {name: [points[name] for points in values]}
    return check_points(program, moved, rng, movable, chosen, lenient=lenient)


def _layer(mutant: Mutant) -> Checks:
    options = mutant.options
    train = bool(options.get("cross_batch")) or "keys" in mutant.killer or "key" in mutant.killer
    layer: Layer = mutant.make(False)
    subject = prepare(layer, mutant.arguments[0], None, 0, train)
    base: Program = subject.double
    movable = [a == 2 for a, moves in zip(base.argument, base.moves, strict=True) if moves]
    live, forward = options.get("live"), not has_custom_vjp(base.jaxpr().jaxpr)

    def run(seed: int) -> list[testing.Verdict]:
        rng = np.random.default_rng([seed, 11])
        moved = [
            rng.standard_normal(leaf.shape) if on else jittered(leaf, rng)
            for leaf, on in zip(base.moving, movable, strict=True)
        ]
        program = base.at(moved)
        verdicts = _found(check_finite_difference(program, moved, rng, live))
        verdicts += _found(check_linearity(program, moved, rng))
        if forward:
            verdicts += _found(check_dot_product(program, moved, rng))
        verdicts += _found(check_vmap(program, moved, rng, ()))
        verdicts += _found(check_scan_remat(program, moved, rng))
        if not options.get("cross_batch"):
            verdicts += _found(check_rows(program, moved, rng, (2,), subject.random))
        if options.get("hard_points") != {}:
            verdicts += _hard_point(program, moved, rng, movable, seed, lenient=False)
        return verdicts

    return run


def _function(mutant: Mutant) -> Checks:
    function = mutant.make(False)
    arguments: tuple[Any, ...] = realise(mutant.arguments, np.random.default_rng(0))
    if "mask" in mutant.options:
        arguments = (*arguments, mutant.options["mask"])
    count = len(arguments) if mutant.kind == "function" else 1
    names = tuple(f"args[{i}]" for i in range(len(arguments)))
    base = Program(lambda *values: (function(*values), ()), arguments, names, tuple(range(count)))
    rowwise = (
        mutant.kind == "loss" and "mask" not in mutant.options and mutant.options.get("keeps_rows", True)
    )
    forward = not has_custom_vjp(base.jaxpr().jaxpr)
    owners = [a for a, moves in zip(base.argument, base.moves, strict=True) if moves]

    def run(seed: int) -> list[testing.Verdict]:
        rng = np.random.default_rng([seed, 12])
        moved = [rng.standard_normal(leaf.shape) for leaf in base.moving]
        program = base.at(moved)
        verdicts = _found(check_finite_difference(program, moved, rng, None))
        verdicts += _found(check_linearity(program, moved, rng))
        if forward:
            verdicts += _found(check_dot_product(program, moved, rng))
        verdicts += _found(check_vmap(program, moved, rng, ()))
        verdicts += _found(check_scan_remat(program, moved, rng))
        if rowwise:
            verdicts += _found(check_rows(program, moved, rng, tuple(range(len(arguments))), False))
        if mutant.options.get("hard_points") != {}:
            for argument in range(count):
                movable = [owner == argument for owner in owners]
                verdicts += _hard_point(program, moved, rng, movable, seed, lenient=True)
        return verdicts

    return run


def _optimizer(mutant: Mutant) -> Checks:
    transform = mutant.make(False)
    decays = mutant.options.get("decays", False)
    shapes = {"dense": {"kernel": (4, 3), "bias": (3,)}, "scale": ()}
    compiled: dict[str, Any] = {}

    def run(seed: int) -> list[testing.Verdict]:
        rng = np.random.default_rng([seed, 13])
        params = jax.tree.map(rng.standard_normal, shapes, is_leaf=lambda s: isinstance(s, tuple))
        rule = Rule(transform, params, seed)
        rule._runs = compiled
        if not compiled:
            rule.trajectory(params, rule.gradients(6))
        verdicts = zero_gradient(rule, np.float64, decays)
        return verdicts + check_odd(rule) + check_permutation(rule)

    return run


def checks_of(mutant: Mutant) -> Checks:
    """From a seed to the verdicts on a mutant's original."""
    if mutant.kind == "layer":
        return _layer(mutant)
    return _optimizer(mutant) if mutant.kind == "optimizer" else _function(mutant)


def count(mutant: Mutant, seeds: range) -> dict[str, int]:
    """How many seeds passed, failed, or were inconclusive; a failure is named on the console."""
    run, tally = checks_of(mutant), Counter(passed=0, failed=0, inconclusive=0)
    for seed in seeds:
        bad = [v for v in run(seed) if v.outcome is not testing.Outcome.PASS]
        for verdict in bad:
            print(f"seed {seed}: {mutant.name}: {verdict.check}: {verdict.detail}", flush=True)
        outcomes = {verdict.outcome for verdict in bad}
        if testing.Outcome.FAIL in outcomes:
            tally["failed"] += 1
        else:
            tally["inconclusive" if outcomes else "passed"] += 1
    return dict(tally)
