"""``check_function``: the laws of the kit on any JAX function of pytrees."""

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnn.testing._facts import compare_oracle
from jaxnn.testing._finite_difference import check_finite_difference
from jaxnn.testing._keys import check_keys, draws_random_numbers
from jaxnn.testing._linear import check_dot_product, check_linearity, has_custom_vjp
from jaxnn.testing._points import check_points
from jaxnn.testing._precision import check_double_inside, check_dtype_kept, check_precision
from jaxnn.testing._program import Program
from jaxnn.testing._recorder import Recorder
from jaxnn.testing._report import Report, Verdict
from jaxnn.testing._rows import check_rows
from jaxnn.testing._second_order import check_second_order
from jaxnn.testing._structure import check_eval_shape, check_finite, check_leaks, check_pure, check_strict
from jaxnn.testing._subject import realise
from jaxnn.testing._transforms import check_eager, check_scan_remat, check_vmap
from jaxnn.testing._twin import check_declared_twin, check_twin

FUNCTION_LANES = ("values", "gradients", "transforms", "rows", "dtypes", "keys", "points")
# Asked for by name: not every function is smooth twice.
EXTRA_FUNCTION_LANES = ("second order",)


def check_function(
    function: Callable[..., Any],
    *arguments: Any,
    differentiate: Sequence[int] | None = None,
    has_aux: bool = False,
    names: Sequence[str] | None = None,
    seed: int = 0,
    oracle: Callable[..., Any] | None = None,
    twin: Callable[..., Any] | None = None,
    live: Sequence[str] | None = None,
    rows: Sequence[int] | None = None,
    hard_points: Mapping[str, Any] | None = None,
    dtypes: Sequence[Any] = (jnp.float32,),
    strict: bool = False,
    lanes: Sequence[str] = FUNCTION_LANES,
    raises: bool = True,
) -> Report:
    """Check any JAX function of pytrees: values, gradients, transforms, dtypes, keys.

    Every floating leaf of the differentiated arguments is checked alone and together with the others,
    against finite differences in float64 whose tolerance does not grow with the size of an array
    (``jax.test_util.check_grads`` and ``chex.assert_numerical_grads`` multiply theirs by it).

    Args:
        function: returns any pytree of arrays, or ``(outputs, auxiliary)`` with ``has_aux``.
        arguments: the point at which it is checked; a ``jax.ShapeDtypeStruct`` stands for Gaussian values.
        differentiate: positions of the arguments to differentiate; by default all with floating leaves.
        has_aux: whether the function returns auxiliary outputs besides, which are not differentiated.
        names: what reports call the arguments; by default the function's own names.
        seed: of every random choice that the kit makes.
        oracle: the same function in NumPy, called with float64 arrays.
        twin: the same function in JAX without its custom rules; found by itself where that is possible.
        live: fragments of the paths of leaves whose gradient must not vanish; by default all.
        rows: positions of arguments whose leaves carry a batch on their first axis; rows must not mix then.
        hard_points: delicate values of the first differentiated argument, by name: one array, or a list with
            one for each of its leaves; ``{}`` for none. By default each argument in turn is set to zeros,
            ties, constant rows and large values, and what lies outside the function's domain is let go.
        dtypes: dtypes other than float64 to check.
        strict: whether implicit promotions of dtype and rank fail.
        lanes: which groups of laws to check, of ``jaxnn.testing.FUNCTION_LANES`` (the default) and, asked for
            by name, ``"second order"``.
        raises: whether to raise when a check does not pass.

    Returns:
        The report; ``print(report.table())`` shows every verdict.

    Raises:
        CheckError: a check failed or was inconclusive, and ``raises`` is true.
        ValueError: an unknown lane, or no floating leaf to differentiate.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxnn import testing
        >>> @jax.custom_vjp
        ... def square(x):
        ...     return x * x
        >>> square.defvjp(lambda x: (x * x, x), lambda x, g: (x * g,))
        >>> report = testing.check_function(square, jnp.array([1.5, -2.0]), lanes=["gradients"], raises=False)
        >>> print(str(report).splitlines()[3].strip())
        ratio 0.5: a factor of 2 is missing
    """
    unknown = [lane for lane in lanes if lane not in (*FUNCTION_LANES, *EXTRA_FUNCTION_LANES)]
    if unknown:
        known = ", ".join((*FUNCTION_LANES, *EXTRA_FUNCTION_LANES))
        raise ValueError(f"check_function: unknown lanes {unknown}; choose from {known}")
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    arguments = tuple(realise(argument, rng) for argument in arguments)
    names = tuple(names) if names is not None else _argument_names(function, len(arguments))
    positions = tuple(range(len(arguments))) if differentiate is None else tuple(differentiate)
    title = getattr(function, "__name__", type(function).__name__)

    def split(*values: Any) -> tuple[Any, Any]:
        return function(*values) if has_aux else (function(*values), ())

    def program(dtype: Any = np.float64) -> Program:
        return Program(split, arguments, names, positions, dtype)

    double = program()
    if not double.moving:
        raise ValueError(f"check_function: {title} has no floating leaf in the differentiated arguments")
    report = Report(title, call=f"check_function({title}, {', '.join(names)}, seed={seed}")
    recorder = Recorder(report)
    split_twin = None if twin is None else lambda *values: (twin(*values), ())
    checks: dict[str, Callable[[], None]] = {
        "values": lambda: _values(recorder, double, function, arguments, oracle),
        "gradients": lambda: _gradients(
            recorder, double, None if live is None else tuple(live), split_twin, seed
        ),
        "transforms": lambda: _transforms(recorder, double, positions, seed),
        "rows": lambda: _rows(recorder, double, rows, seed),
        "dtypes": lambda: _dtypes(recorder, double, [program(d) for d in dtypes], strict, seed),
        "keys": lambda: recorder.run(
            "keys", lambda: check_keys("distinct keys at every draw", split, *arguments)
        ),
        "points": lambda: _points(recorder, double, positions, hard_points, seed),
        "second order": lambda: recorder.run(
            "second order",
            lambda: check_second_order(double, double.moving, np.random.default_rng([seed, 6])),
        ),
    }
    recorder.run("trace", lambda: double.jaxpr() and [])
    for lane in (*FUNCTION_LANES, *EXTRA_FUNCTION_LANES) if not report.failures else ():
        if lane in lanes:
            recorder.lane = lane
            checks[lane]()
    report.seconds = time.perf_counter() - start
    if raises:
        report.raise_unless_passed()
    return report


def _argument_names(function: Callable[..., Any], count: int) -> tuple[str, ...]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return tuple(plain[i] if i < len(plain) else f"args[{i}]" for i in range(count))


def _values(
    recorder: Recorder, double: Program, function: Any, arguments: tuple[Any, ...], oracle: Any
) -> None:
    recorder.run("finite", lambda: check_finite(double, double.moving, np.random.default_rng(0)))
    recorder.run("same arguments, same bits", lambda: check_pure(function, arguments))
    recorder.run("eval_shape = actual", lambda: check_eval_shape(function, arguments))
    if oracle is not None:
        values = double.with_values(double.moving, double.fixed)
        zero = [np.zeros(s.shape) for s in double.specs[0]]

        def compare() -> list[Verdict]:
            result = double.evaluate(double.moving, zero)
            return [compare_oracle([*result.outputs, *result.auxiliary], oracle(*values))]

        recorder.run("oracle", compare)


def _gradients(recorder: Recorder, double: Program, live: Any, twin: Any, seed: int) -> None:
    rng, point = np.random.default_rng([seed, 1]), double.moving
    recorder.run("finite difference", lambda: check_finite_difference(double, point, rng, live))
    recorder.run("cotangent linearity", lambda: check_linearity(double, point, rng))
    recorder.run("dot product", lambda: check_dot_product(double, point, rng))
    if twin is not None:
        recorder.run("declared twin", lambda: check_declared_twin(double, twin, point, rng))
    elif has_custom_vjp(double.jaxpr().jaxpr):
        recorder.run("undecorated twin", lambda: check_twin(double, point, rng))


def _transforms(recorder: Recorder, double: Program, positions: Sequence[int], seed: int) -> None:
    rng, point = np.random.default_rng([seed, 2]), double.moving
    recorder.run("no leaked tracers", lambda: check_leaks(double, has_custom_vjp(double.jaxpr().jaxpr)))
    recorder.run("jit = eager", lambda: check_eager(double, point, rng))
    recorder.run("scan = remat = loop", lambda: check_scan_remat(double, point, rng))
    alone = positions if len(double.names) > 1 else ()
    recorder.run("vmap", lambda: check_vmap(double, point, rng, alone))


def _rows(recorder: Recorder, double: Program, rows: Sequence[int] | None, seed: int) -> None:
    if rows is not None:
        rng, random = (
            np.random.default_rng([seed, 3]),
            draws_random_numbers(double.function, *double.arguments),
        )
        recorder.run("rows", lambda: check_rows(double, double.moving, rng, tuple(rows), random))


def _dtypes(recorder: Recorder, double: Program, lows: Sequence[Program], strict: bool, seed: int) -> None:
    rng = np.random.default_rng([seed, 4])
    for program in (double, *lows) if strict else ():
        recorder.run("strict promotion", lambda program=program: check_strict(program))
    recorder.run("float64 inside", lambda: check_double_inside(double))
    recorder.run("float64 kept", lambda: check_dtype_kept(double))
    random = draws_random_numbers(double.function, *double.arguments)
    for low in lows:
        name = jnp.dtype(low.dtype).name
        recorder.run(f"{name} kept", lambda low=low: check_dtype_kept(low))
        if random:  # another dtype draws other numbers
            continue
        recorder.run(f"{name} = float64", lambda low=low: check_precision(double, low, double.moving, rng))


def _points(
    recorder: Recorder,
    double: Program,
    positions: Sequence[int],
    points: Mapping[str, Any] | None,
    seed: int,
) -> None:
    rng = np.random.default_rng([seed, 5])
    owners = [a for a, moves in zip(double.argument, double.moves, strict=True) if moves]
    for position in positions if points is None else positions[:1]:
        movable = [owner == position for owner in owners]
        recorder.run(
            "hard points",
            lambda movable=movable: check_points(
                double, double.moving, rng, movable, points, lenient=points is None
            ),
        )
