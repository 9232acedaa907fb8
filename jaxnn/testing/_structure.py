"""Shapes, dtypes, weak types and traces: what a compiled training loop relies on."""

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._program import Leaves, Program, is_key
from jaxnn.testing._report import Verdict, failed, passed

Specs = list[tuple[str, Any]]


def specs_of(tree: Any, name: str) -> Specs:
    """Path and abstract value (shape, dtype, weak type) of every leaf."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [
        (
            name + jax.tree_util.keystr(path),
            leaf if isinstance(leaf, jax.ShapeDtypeStruct) else jax.typeof(leaf),
        )
        for path, leaf in leaves
    ]


def _text(spec: Any) -> str:
    weak = ", weakly typed" if getattr(spec, "weak_type", False) else ""
    return f"{spec.dtype}[{', '.join(map(str, spec.shape))}]{weak}"


def differences(got: Specs, expected: Specs, remedy: str = "") -> list[str]:
    """One line for each leaf that is missing, added, or of another shape, dtype or weak type."""
    left, right = dict(got), dict(expected)
    lines = [f"{path}: missing" for path in right if path not in left]
    lines += [f"{path}: not expected" for path in left if path not in right]
    for path, spec in left.items():
        if path in right and _text(spec) != _text(right[path]):
            lines.append(f"{path}: {_text(spec)}, expected {_text(right[path])}{remedy}")
    return lines


def check_eval_shape(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[Verdict]:
    """``eval_shape`` announces the shapes and dtypes that a call returns, from specs as from arrays."""
    specs = jax.tree.map(
        lambda leaf: leaf if is_key(leaf) else jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)),
        arguments,
    )
    announced = jax.eval_shape(function, *specs)
    actual = function(*_on_device(arguments))
    lines = differences(_plain(announced), _plain(actual))
    if lines:
        return [failed("eval_shape = actual", "\n".join(lines))]
    return [passed("eval_shape = actual")]


def _plain(tree: Any) -> Specs:
    """Paths with shapes and dtypes, without weak types."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [
        ("output" + jax.tree_util.keystr(path), jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)))
        for path, leaf in leaves
    ]


def _on_device(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf if is_key(leaf) else jnp.asarray(leaf), tree)


def check_pure(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[Verdict]:
    """Two calls with the same arguments give the same bits, and leave NumPy arguments as they were."""
    before = jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.array(leaf), arguments)
    given = jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.array(leaf), arguments)
    first = [_bits(leaf) for leaf in jax.tree.leaves(function(*_on_device(before)))]
    second = [_bits(leaf) for leaf in jax.tree.leaves(function(*_on_device(before)))]
    with contextlib.suppress(AttributeError, TypeError):  # not every function takes NumPy arrays
        function(*given)
    verdicts = []
    if len(first) != len(second) or any(
        a.tobytes() != b.tobytes() for a, b in zip(first, second, strict=True)
    ):
        text = "two calls with the same arguments differ: something outside the arguments takes part"
        verdicts.append(failed("same arguments, same bits", text))
    else:
        verdicts.append(passed("same arguments, same bits"))
    for (path, old), new in zip(
        jax.tree_util.tree_flatten_with_path(before)[0], jax.tree.leaves(given), strict=True
    ):
        if not is_key(old) and old.tobytes() != np.asarray(new).tobytes():
            position = path[0].idx if hasattr(path[0], "idx") else 0
            where = f"argument {position}{jax.tree_util.keystr(path[1:])}"
            return [*verdicts, failed("arguments unchanged", f"{where} was written to")]
    return [*verdicts, passed("arguments unchanged")]


def _bits(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf)) if is_key(leaf) else np.asarray(leaf)


def check_finite(program: Program, point: Leaves, rng: np.random.Generator) -> list[Verdict]:
    """Outputs and gradients at a generic point are finite."""
    result = program.evaluate(point, program.cotangents(rng))
    named = [(f"output leaf {i}", y) for i, y in enumerate(result.outputs)]
    named += [(f"gradient of {p}", g) for p, g in zip(program.moving_paths, result.gradients, strict=True)]
    for name, array in named:
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            where = ", ".join(str(int(i)) for i in bad[0])
            return [
                failed("finite", f"{name} is {array[tuple(bad[0])]} at [{where}], {len(bad)} entries in all")
            ]
    return [passed("finite")]


def check_leaks(program: Program, backwards: bool) -> list[Verdict]:
    """No tracer outlives its trace, as one that was put into a global or an object would.

    Args:
        program: in any precision; it is traced anew, and not compiled.
        backwards: whether to trace its gradient too, as a rule of its own asks for.
    """
    name = "no leaked tracers"
    arguments: list[Any] = [program.cast(program.moving), program.cast(program.fixed, program.statistics)]
    run: Callable[..., Any] = program.call
    if backwards:
        run = program.value_and_pullback
        arguments.append([jax.ShapeDtypeStruct(spec.shape, spec.dtype) for spec in program.specs[0]])
    with program.precision, jax.checking_leaks():
        try:
            # A function of its own, so that no earlier trace is taken from the cache.
            jax.eval_shape(lambda *values: run(*values), *arguments)
        except Exception as error:
            if "Leaked" not in str(error):
                raise
            return [failed(name, "\n".join(str(error).splitlines()[:4]))]
    return [passed(name)]


def check_no_retrace(step: Callable[..., Any], carry: Any, steps: int = 3) -> list[Verdict]:
    """A step fed with its own result is traced once and keeps structure, shapes, dtypes and weak types.

    Args:
        step: ``carry -> carry``.
        carry: the first carry.
        steps: how many times it is applied.
    """
    traces = 0

    def counted(carry: Any) -> Any:
        nonlocal traces
        traces += 1
        return step(carry)

    run, start = jax.jit(counted), specs_of(carry, "state")
    for _ in range(steps):
        carry = run(carry)
        lines = differences(specs_of(carry, "state"), start, "")
        if lines:
            return [failed("state fixpoint", "after a step: " + "\n".join(lines))]
    verdicts = [passed("state fixpoint")]
    if traces != 1:
        return [*verdicts, failed("one trace", f"{traces} traces over {steps} steps")]
    return [*verdicts, passed("one trace")]


def check_strict(program: Program) -> list[Verdict]:
    """In its dtype the program promotes no dtype and no rank behind its author's back."""
    name = f"strict promotion, {jnp.dtype(program.dtype).name}"
    arguments = program.cast(program.moving), program.cast(program.fixed, program.statistics)
    with program.precision, jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        try:
            jax.eval_shape(program.call, *arguments)
        except (TypeError, ValueError) as error:
            if "promotion" not in str(error):
                raise
            return [failed(name, str(error).splitlines()[0].split(". For more information")[0])]
    return [passed(name)]
