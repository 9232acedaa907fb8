"""What only the author knows: an oracle in NumPy, and facts that every output has."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxnn.testing._program import Program, Result
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._subject import Subject
from jaxnn.testing._tolerance import ORACLE, worst_mismatch


@dataclass(frozen=True)
class Call:
    """One evaluated call of a layer, in NumPy float64, as facts see it."""

    params: Any
    state: Any
    x: Any
    y: Any
    new_state: Any
    train: bool


def compare_oracle(actual: Any, expected: Any) -> Verdict:
    """A verdict on outputs against what an oracle returned."""
    got, want = jax.tree.leaves(actual), [np.asarray(leaf) for leaf in jax.tree.leaves(expected)]
    if len(got) != len(want):
        return failed("oracle", f"{len(got)} output leaves, the oracle returns {len(want)}")
    for index, (a, b) in enumerate(zip(got, want, strict=True)):
        if np.shape(a) != b.shape:
            return failed(
                "oracle", f"output leaf {index} has shape {list(np.shape(a))}, the oracle's {list(b.shape)}"
            )
    error, index = worst_mismatch(got, want)
    if error > ORACLE:
        gap = np.abs(np.asarray(got[index], np.float64) - want[index])
        where = tuple(int(i) for i in np.unravel_index(int(np.argmax(gap)), gap.shape))
        a, b = float(np.asarray(got[index])[where]), float(want[index][where])
        text = f"output leaf {index} at {list(where)} is {a:.9g}, the oracle gives {b:.9g}"
        return failed("oracle", text, error, ORACLE)
    return passed("oracle", error, ORACLE)


def evaluate_call(subject: Subject) -> Call:
    """Run the float64 program once and put its results back into trees."""
    program: Program = subject.double
    params, state, x, _ = program.with_values(program.moving, program.fixed)
    result: Result = program.evaluate(program.moving, [np.zeros(s.shape) for s in program.specs[0]])
    with program.precision:
        spec = jax.eval_shape(
            lambda m, f: program.function(*program.with_values(m, f)),
            program.cast(program.moving),
            program.cast(program.fixed),
        )
    smooth, rest = iter(result.outputs), iter(result.auxiliary)
    flat, structure = jax.tree.flatten(spec[0])
    y = structure.unflatten(
        [next(smooth if np.issubdtype(leaf.dtype, np.floating) else rest) for leaf in flat]
    )
    state_leaves, state_structure = jax.tree.flatten(spec[1])
    new_state = state_structure.unflatten([next(rest) for _ in state_leaves])
    return Call(params, state, x, y, new_state, subject.train)


def check_facts(
    subject: Subject, oracle: Callable[..., Any] | None, facts: Mapping[str, Callable[[Call], Any]]
) -> list[Verdict]:
    """Compare with an oracle and test declared facts.

    Args:
        subject: the layer in one mode.
        oracle: in NumPy, ``oracle(params, x) -> y`` or ``oracle(params, state, x, train) -> (y, state)``.
        facts: a sentence and a function from :class:`Call` to whether it holds.
    """
    if oracle is None and not facts:
        return []
    call, verdicts = evaluate_call(subject), []
    if oracle is not None and not subject.random:
        if len(inspect.signature(oracle).parameters) == 2:
            verdicts.append(compare_oracle(call.y, oracle(call.params, call.x)))
        else:
            expected = oracle(call.params, call.state, call.x, subject.train)
            verdicts.append(compare_oracle((call.y, call.new_state), expected))
    for sentence, holds in facts.items():
        name = f"fact: {sentence}"
        verdicts.append(passed(name) if bool(np.all(holds(call))) else failed(name, "does not hold"))
    return verdicts
