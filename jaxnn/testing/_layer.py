"""``check_layer``: every law of the kit on one layer."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from jaxnn.core import Layer, lift
from jaxnn.testing._facts import Call
from jaxnn.testing._lanes import EXTRA_LANES, LANES, Options, run_lanes
from jaxnn.testing._program import fingerprint
from jaxnn.testing._recorder import Recorder
from jaxnn.testing._report import Report, Verdict
from jaxnn.testing._subject import Subject, prepare


def check_layer(
    layer: Layer | Callable[..., Any],
    x: Any,
    *,
    key: Any = None,
    seed: int = 0,
    train: bool | Sequence[bool] = (False, True),
    oracle: Callable[..., Any] | None = None,
    facts: Mapping[str, Callable[[Call], Any]] | None = None,
    live: Sequence[str] | None = None,
    depends: Any = None,
    cross_batch: bool = False,
    unbiased: bool | None = None,
    hard_points: Mapping[str, Any] | None = None,
    precision_points: Mapping[str, Any] | None = None,
    mask: Any = None,
    bad_inputs: Sequence[Any] = (),
    dtypes: Sequence[Any] = (jnp.float32, jnp.bfloat16),
    lanes: Sequence[str] = LANES,
    raises: bool = True,
) -> Report:
    """Check a layer against every law that applies to it.

    Values, gradients (finite differences in float64, dot products, linearity, undecorated twins), transforms
    (``jit``, eager, ``remat``, ``scan``, ``vmap`` over distinct rows), batches, state, dtypes, keys, hard
    points and error messages. Where the trace in training is that in evaluation, it is checked once.

    Args:
        layer: a ``Layer``, or a function of one array.
        x: an input, or its ``jax.ShapeDtypeStruct``: Gaussian values then. The first axis is the batch.
        key: for ``init`` and ``apply``; from ``seed`` by default.
        seed: of every random choice that the kit makes.
        train: the modes to check.
        oracle: the layer in NumPy, ``(params, x) -> y`` or ``(params, state, x, train) -> (y, state)``.
        facts: sentences, each with a function of a ``Call`` that says whether it holds.
        live: fragments of the paths of leaves whose gradient must not vanish; by default all.
        depends: boolean ``[out, in]``: which positions along axis 1 of the output may, and must, see which
            positions along axis 1 of the input.
        cross_batch: whether rows of a batch see each other; they must then, in training.
        unbiased: whether the mean over keys equals evaluation; by default asked of noise layers.
        hard_points: inputs where the gradient is delicate, by name; ``{}`` for none; by default zeros, ties,
            constant rows and large values.
        precision_points: further inputs at which float32 must agree with float64, by name: a large offset for
            a layer that subtracts a mean, say.
        mask: boolean ``[batch, time]`` for a layer that honours padding: ``nn.Masked`` inputs, of floats or
            of integers, are checked too; ``"raises"`` for one that must refuse them.
        bad_inputs: inputs that must raise ``ValueError`` or ``TypeError`` with the layer's name.
        dtypes: dtypes other than float64 to check.
        lanes: which groups of laws to check, of ``jaxnn.testing.LANES`` (the default) and, asked for by name,
            ``EXTRA_LANES``: ``"second order"`` for layers that are smooth twice, ``"sharding"`` where there
            are several devices.
        raises: whether to raise when a check does not pass.

    Returns:
        The report; ``print(report.table())`` shows every verdict.

    Raises:
        CheckError: a check failed or was inconclusive, and ``raises`` is true.
        ValueError: an unknown lane.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import testing
        >>> x = jax.ShapeDtypeStruct((2, 4), jnp.float32)
        >>> report = testing.check_layer(nn.dense(3), x, lanes=["gradients"])
        >>> report.outcome
        <Outcome.PASS: 'PASS'>
    """
    unknown = [lane for lane in lanes if lane not in (*LANES, *EXTRA_LANES)]
    if unknown:
        known = ", ".join((*LANES, *EXTRA_LANES))
        raise ValueError(f"check_layer: unknown lanes {unknown}; choose from {known}")
    layer = layer if isinstance(layer, Layer) else lift(layer)
    modes: list[bool] = [train] if isinstance(train, bool) else list(train)
    start = time.perf_counter()
    report = Report(layer.name, call=f"check_layer({layer.name}, x, seed={seed}")
    options = Options(
        seed=seed,
        oracle=oracle,
        facts=facts or {},
        live=live,
        depends=depends,
        cross_batch=cross_batch,
        unbiased=unbiased,
        hard_points=hard_points,
        precision_points=precision_points or {},
        mask=mask,
        bad_inputs=bad_inputs,
        dtypes=dtypes,
        lanes=lanes,
    )
    seen = None
    for mode in modes:
        recorder = Recorder(report, f"train={mode}" if len(modes) > 1 else "")
        made: list[Subject] = []

        def prepared(mode: bool = mode, made: list[Subject] = made) -> list[Verdict]:
            subject = prepare(layer, x, key, seed, mode)
            subject.double.jaxpr()
            made.append(subject)
            return []

        recorder.run("init and trace", prepared)
        if not made:
            break
        trace = fingerprint(made[0].double.jaxpr())
        if trace == seen:
            report.note(f"train={mode} traces to the same program as train={modes[0]}")
            break
        seen = trace
        run_lanes(recorder, made[0], options)
    report.seconds = time.perf_counter() - start
    if raises:
        report.raise_unless_passed()
    return report
