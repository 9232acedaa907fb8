"""``check_loss``: the laws of functions, and those that a loss declares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp

from jaxnn.testing._function import FUNCTION_LANES, check_function
from jaxnn.testing._loss_laws import (
    HardPoint,
    Loss,
    check_convex,
    check_dtype,
    check_mask,
    check_minimum,
    check_one_hot,
    check_outputs,
    check_permutation,
    check_shapes,
    check_shift,
    check_table,
)
from jaxnn.testing._recorder import Recorder
from jaxnn.testing._report import Report

LOSS_LANES = (*FUNCTION_LANES, "laws", "table")


def check_loss(
    loss: Callable[..., Any],
    outputs: Any,
    targets: Any,
    *,
    mask: Any = None,
    differentiate: Sequence[int] = (0,),
    seed: int = 0,
    oracle: Callable[..., Any] | None = None,
    minimum: Callable[[Any], Any] | None = None,
    shift_invariant: bool = False,
    permutation_invariant: bool = True,
    convex: bool = False,
    one_hot: bool = True,
    keeps_rows: bool = True,
    refuses_broadcast: bool = True,
    hard_points: Mapping[str, Any] | None = None,
    table: Sequence[HardPoint] = (),
    dtypes: Sequence[Any] = (jnp.float32, jnp.bfloat16),
    lanes: Sequence[str] = LOSS_LANES,
    raises: bool = True,
) -> Report:
    """Check a loss: everything ``check_function`` checks, and the laws of losses.

    Args:
        loss: ``(outputs, targets) -> values``, or ``(outputs, targets, mask) -> values or a scalar``.
        outputs: ``[batch, ..., k]``, an array or a ``jax.ShapeDtypeStruct``.
        targets: integers ``[batch, ...]`` or values ``[batch, ..., k]``.
        mask: boolean ``[batch, ...]`` for a loss that takes one: masked entries must not count, not even in
            the mean's denominator.
        differentiate: positions of the arguments that have gradients.
        seed: of every random choice that the kit makes.
        oracle: the loss in NumPy.
        minimum: from targets to outputs where the loss is least; the gradient vanishes there.
        shift_invariant: whether a constant added to a row of outputs changes nothing.
        permutation_invariant: whether permuting the last axis (classes, features) changes nothing.
        convex: whether the loss is convex in the outputs.
        one_hot: whether integer targets and their one-hot rows mean the same.
        keeps_rows: whether the loss reduces the last axis only.
        refuses_broadcast: whether shapes that would broadcast, ``(N, 1)`` against ``(N,)``, must raise.
        hard_points: delicate outputs, by name; ``{}`` for none; by default zeros, ties, constant rows and
            large values, where loss and gradient must be finite.
        table: rows of :class:`HardPoint`, with required values and gradients.
        dtypes: dtypes other than float64 to check; values keep them, or come back in float32.
        lanes: which groups of laws to check, of ``jaxnn.testing.LOSS_LANES``.
        raises: whether to raise when a check does not pass.

    Raises:
        CheckError: a check failed or was inconclusive, and ``raises`` is true.
        ValueError: an unknown lane.

    Example:
        >>> import numpy as np
        >>> from jaxnn import losses, testing
        >>> outputs, targets = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
        >>> testing.check_loss(losses.squared_error, outputs, targets, convex=True, lanes=["laws"]).outcome
        <Outcome.PASS: 'PASS'>
    """
    unknown = [lane for lane in lanes if lane not in LOSS_LANES]
    if unknown:
        raise ValueError(f"check_loss: unknown lanes {unknown}; choose from {', '.join(LOSS_LANES)}")
    made = Loss.prepare(loss, outputs, targets, mask, seed)
    arguments = (made.outputs, made.targets) if mask is None else (made.outputs, made.targets, made.mask)
    report = check_function(
        loss,
        *arguments,
        differentiate=differentiate,
        names=("outputs", "targets", "mask")[: len(arguments)],
        seed=seed,
        oracle=oracle,
        rows=tuple(range(len(arguments))) if keeps_rows and mask is None else None,
        dtypes=(),
        lanes=[lane for lane in lanes if lane in FUNCTION_LANES and lane != "points"],
        raises=False,
    )
    report = replace(report, call=report.call.replace("check_function", "check_loss"))
    recorder = Recorder(report)
    if "points" in lanes:
        recorder.lane = "points"
        recorder.run("hard points", lambda: check_outputs(made, hard_points, seed))
    if "dtypes" in lanes:
        recorder.lane = "dtypes"
        for dtype in dtypes:
            recorder.run(f"{jnp.dtype(dtype).name}", lambda dtype=dtype: check_dtype(made, dtype, seed))
    if "laws" in lanes:
        recorder.lane = "laws"
        recorder.run("shapes", lambda: check_shapes(made, keeps_rows, refuses_broadcast))
        laws: list[tuple[bool, str, Callable[[], Any]]] = [
            (shift_invariant, "shift invariance", lambda: check_shift(made)),
            (permutation_invariant, "permutation of the last axis", lambda: check_permutation(made)),
            (convex, "convexity", lambda: check_convex(made)),
            (one_hot and made.indexed, "integers = one-hot", lambda: check_one_hot(made)),
            (minimum is not None, "minimum", lambda: check_minimum(made, minimum)),
            (mask is not None, "mask", lambda: check_mask(made)),
        ]
        for applies, name, law in laws:
            if applies:
                recorder.run(name, law)
    if "table" in lanes and table:
        recorder.lane = "table"
        for row in table:
            recorder.run(f"table: {row.name}", lambda row=row: check_table(made, row))
    if raises:
        report.raise_unless_passed()
    return report
