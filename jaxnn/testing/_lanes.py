"""The lanes of ``check_layer``: groups of laws, and how each is run on one mode of a layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._errors import check_bad_inputs
from jaxnn.testing._facts import Call, check_facts
from jaxnn.testing._finite_difference import check_finite_difference
from jaxnn.testing._linear import check_dot_product, check_linearity, has_custom_vjp
from jaxnn.testing._masks import check_masks
from jaxnn.testing._points import check_points
from jaxnn.testing._precision import check_double_inside, check_dtype_kept, check_precision
from jaxnn.testing._program import is_float
from jaxnn.testing._random import check_randomness
from jaxnn.testing._recorder import Recorder
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._rows import check_dependency, check_rows
from jaxnn.testing._second_order import check_second_order
from jaxnn.testing._sharding import check_sharding
from jaxnn.testing._structure import (
    check_eval_shape,
    check_finite,
    check_leaks,
    check_no_retrace,
    check_pure,
    check_strict,
)
from jaxnn.testing._subject import Subject
from jaxnn.testing._transforms import check_eager, check_scan_remat, check_vmap, eager
from jaxnn.testing._twin import check_twin

_X = 2


@dataclass(frozen=True)
class Options:
    """The declarations of a ``check_layer`` call; see there."""

    seed: int
    oracle: Callable[..., Any] | None
    facts: Mapping[str, Callable[[Call], Any]]
    live: Sequence[str] | None
    depends: Any
    cross_batch: bool
    unbiased: bool | None
    hard_points: Mapping[str, Any] | None
    precision_points: Mapping[str, Any]
    mask: Any
    bad_inputs: Sequence[Any]
    dtypes: Sequence[Any]
    lanes: Sequence[str]


def run_lanes(recorder: Recorder, subject: Subject, options: Options) -> None:
    """Run the chosen lanes in order, each with its own random stream."""
    for index, (lane, function) in enumerate(_LANES.items()):
        if lane in options.lanes:
            recorder.lane = lane
            function(recorder, subject, options, np.random.default_rng([options.seed, index]))


def _values(recorder: Recorder, subject: Subject, options: Options, rng: np.random.Generator) -> None:
    program = subject.double
    # In the precision and the way in which other lanes run it, so that each operation is compiled once.
    arguments = program.with_values(program.cast(program.moving), program.cast(program.fixed))

    def without_jit(check: Callable[..., list[Verdict]]) -> list[Verdict]:
        with eager(program):
            return check(subject.run, arguments)

    recorder.run("finite", lambda: check_finite(program, program.moving, rng))
    recorder.run("same arguments, same bits", lambda: without_jit(check_pure))
    recorder.run("eval_shape = actual", lambda: without_jit(check_eval_shape))
    recorder.run("oracle", lambda: check_facts(subject, options.oracle, options.facts))


def _gradients(recorder: Recorder, subject: Subject, options: Options, rng: np.random.Generator) -> None:
    program, point = subject.double, subject.double.moving
    if not point:
        recorder.report.note("gradients: neither the parameters nor the input have floating leaves")
        return
    live = None if options.live is None else tuple(options.live)
    recorder.run("finite difference", lambda: check_finite_difference(program, point, rng, live))
    recorder.run("cotangent linearity", lambda: check_linearity(program, point, rng))
    recorder.run("dot product", lambda: check_dot_product(program, point, rng))
    if has_custom_vjp(program.jaxpr().jaxpr):
        recorder.run("undecorated twin", lambda: check_twin(program, point, rng))


def _transforms(recorder: Recorder, subject: Subject, options: Options, rng: np.random.Generator) -> None:
    program, point = subject.double, subject.double.moving
    recorder.run("no leaked tracers", lambda: check_leaks(program, has_custom_vjp(program.jaxpr().jaxpr)))
    recorder.run("jit = eager", lambda: check_eager(program, point, rng))
    recorder.run("scan = remat = loop", lambda: check_scan_remat(program, point, rng))
    alone = [0] if not options.cross_batch and not subject.random else [0, _X]
    recorder.run("vmap", lambda: check_vmap(program, point, rng, alone))


def _rows(recorder: Recorder, subject: Subject, options: Options, rng: np.random.Generator) -> None:
    program, point = subject.double, subject.double.moving
    if options.cross_batch:
        if subject.train:
            recorder.run("rows mix", lambda: _rows_mix(subject, rng))
    else:
        recorder.run("rows independent", lambda: check_rows(program, point, rng, (_X,), subject.random))
    if options.depends is not None:
        recorder.run("dependency mask", lambda: check_dependency(program, point, rng, options.depends, _X))


def _rows_mix(subject: Subject, rng: np.random.Generator) -> list[Verdict]:
    """A layer that is declared to mix rows does so."""
    verdicts, _ = check_rows(subject.double, subject.double.moving, rng, (_X,), random=True)
    if all(not verdict.detail for verdict in verdicts):
        return [failed("rows mix", "cross_batch=True is declared, yet no row depends on another in training")]
    return [passed("rows mix")]


def _state(recorder: Recorder, subject: Subject, _options: Options, _rng: np.random.Generator) -> None:
    params, state = subject.initial
    x = jax.tree.map(jnp.asarray, subject.x)
    key = subject.key if subject.random else None

    def step(state: Any) -> Any:
        return subject.run(params, state, x, key)[1]

    recorder.run("state fixpoint", lambda: check_no_retrace(step, state))
    if state:
        recorder.run("state moves", lambda: _state_moves(subject, state, step(state)))


def _state_moves(subject: Subject, before: Any, after: Any) -> list[Verdict]:
    """Training changes the state; evaluation leaves every bit of it alone."""
    pairs = list(zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True))
    same = all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)
    if subject.train and same:
        return [failed("training moves the state", "no leaf of the state changed in a training step")]
    if not subject.train and not same:
        return [failed("evaluation keeps the state", "the state changed with train=False")]
    return [passed("training moves the state" if subject.train else "evaluation keeps the state")]


def _dtypes(recorder: Recorder, subject: Subject, options: Options, rng: np.random.Generator) -> None:
    program, point = subject.double, subject.double.moving
    floating = any(is_float(leaf) for leaf in jax.tree.leaves(subject.x))
    recorder.run("strict promotion", lambda: check_strict(program))
    recorder.run("float64 inside", lambda: check_double_inside(program))
    if floating:
        recorder.run("float64 kept", lambda: check_dtype_kept(program))
    for dtype in options.dtypes:
        low = subject.program(dtype, statistics=jnp.float32)
        name = jnp.dtype(dtype).name
        recorder.run(f"strict promotion, {name}", lambda low=low: check_strict(low))
        if floating:
            recorder.run(f"{name} kept", lambda low=low: check_dtype_kept(low))
        if not subject.random:  # another dtype draws other numbers
            recorder.run(f"{name} = float64", lambda low=low: check_precision(program, low, point, rng))
    for name, value in options.precision_points.items() if not subject.random else ():
        single = subject.program(jnp.float32, statistics=jnp.float32)
        moved = [
            np.asarray(value, np.float64) if path == "x" else leaf
            for path, leaf in zip(program.moving_paths, point, strict=True)
        ]
        label = f", {name}"
        recorder.run(
            f"float32 = float64{label}",
            lambda low=single, at=moved, label=label: check_precision(program, low, at, rng, label),
        )


def _keys(recorder: Recorder, subject: Subject, options: Options, _rng: np.random.Generator) -> None:
    recorder.run("keys", lambda: check_randomness(subject, options.unbiased))


def _points(recorder: Recorder, subject: Subject, options: Options, rng: np.random.Generator) -> None:
    program = subject.double
    movable = [
        argument == _X for argument, moves in zip(program.argument, program.moves, strict=True) if moves
    ]
    recorder.run(
        "hard points", lambda: check_points(program, program.moving, rng, movable, options.hard_points)
    )


def _masks(recorder: Recorder, subject: Subject, options: Options, _rng: np.random.Generator) -> None:
    if options.mask is not None:
        recorder.run("masks", lambda: check_masks(subject, options.mask, options.seed))


def _second_order(recorder: Recorder, subject: Subject, _options: Options, rng: np.random.Generator) -> None:
    program = subject.double
    recorder.run("second order", lambda: check_second_order(program, program.moving, rng))


def _sharding(recorder: Recorder, subject: Subject, options: Options, rng: np.random.Generator) -> None:
    program = subject.double
    if subject.random:
        recorder.report.note("sharding: random numbers belong to places in the batch, not to rows")
    elif not options.cross_batch or subject.train:
        recorder.run("sharding", lambda: check_sharding(program, program.moving, rng, (_X,)))


def _errors(recorder: Recorder, subject: Subject, options: Options, _rng: np.random.Generator) -> None:
    recorder.run("bad inputs", lambda: check_bad_inputs(subject, options.bad_inputs))


_LANES = {
    "values": _values,
    "gradients": _gradients,
    "transforms": _transforms,
    "rows": _rows,
    "state": _state,
    "dtypes": _dtypes,
    "keys": _keys,
    "points": _points,
    "masks": _masks,
    "errors": _errors,
    "second order": _second_order,
    "sharding": _sharding,
}
# Asked for by name: not every function is smooth twice, and not every machine has several devices.
EXTRA_LANES = ("second order", "sharding")
LANES = tuple(lane for lane in _LANES if lane not in EXTRA_LANES)
