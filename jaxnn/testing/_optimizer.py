"""``check_optimizer``: the laws of update rules, for any ``optax.GradientTransformation``."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from jaxnn.testing import _optimizer_laws as laws
from jaxnn.testing import _optimizer_state as state
from jaxnn.testing._optimizer_compose import check_composition, check_rate
from jaxnn.testing._recorder import Recorder
from jaxnn.testing._report import Report
from jaxnn.testing._rule import Rule

OPTIMIZER_LANES = ("values", "state", "symmetry", "dtypes", "transforms", "compose")


def check_optimizer(
    rule: Any,
    params: Any = None,
    *,
    oracle: Callable[..., Any] | None = None,
    reference: Any = None,
    steps: int = 50,
    seed: int = 0,
    learning_rate: float = 0.1,
    decays: Any = False,
    odd: bool = True,
    cross_leaf: bool = False,
    scale_invariant: bool = False,
    unit_step: float | None = None,
    descends: bool = True,
    dtypes: Sequence[Any] = (jnp.float32, jnp.bfloat16, jnp.float16),
    lanes: Sequence[str] = OPTIMIZER_LANES,
    raises: bool = True,
) -> Report:
    """Check an update rule against the laws that apply to it.

    Args:
        rule: an ``optax.GradientTransformation``, or a factory that takes a learning rate; of a factory,
            traced, negative and ``nan`` rates are checked too.
        params: a tree of floating arrays; a small one by default.
        oracle: in NumPy, ``(params, gradients) -> updates``, the last two lists of trees, one a step;
            parameters move by each update before the next.
        reference: another transformation that must give the same updates in float64.
        steps: length of the trajectories compared with ``oracle`` and ``reference``.
        seed: of parameters and gradients.
        learning_rate: what a factory is called with.
        decays: whether a zero gradient shrinks parameters (weight decay): a bool, or a tree of bools.
        odd: whether negated gradients give negated updates, at parameters of zero.
        cross_leaf: whether an update depends on other leaves' gradients (a global norm); it must then.
        scale_invariant: whether ten times the gradient gives the same updates.
        unit_step: the size of every entry's step under a constant gradient, where the rule fixes it.
        descends: whether the first update goes downhill, and fifty lower a bowl.
        dtypes: dtypes of parameters to check besides float64.
        lanes: which groups of laws to check, of ``jaxnn.testing.OPTIMIZER_LANES``.
        raises: whether to raise when a check does not pass.

    Raises:
        CheckError: a check failed or was inconclusive, and ``raises`` is true.
        ValueError: an unknown lane.

    Example:
        >>> from jaxnn import optim, testing
        >>> testing.check_optimizer(optim.adam, unit_step=0.1, lanes=["values", "symmetry"]).outcome
        <Outcome.PASS: 'PASS'>
    """
    unknown = [lane for lane in lanes if lane not in OPTIMIZER_LANES]
    if unknown:
        raise ValueError(
            f"check_optimizer: unknown lanes {unknown}; choose from {', '.join(OPTIMIZER_LANES)}"
        )
    start = time.perf_counter()
    is_rule = hasattr(rule, "init") and hasattr(rule, "update")
    made = Rule(rule if is_rule else rule(learning_rate), laws.tree(params, seed), seed)
    name = getattr(rule, "__name__", type(rule).__name__)
    report = Report(name, call=f"check_optimizer({name}, params, seed={seed}")
    recorder = Recorder(report)

    def run(lane: str, law: str, check: Callable[[], Any], applies: bool = True) -> None:
        if applies and lane in lanes:
            recorder.lane = lane
            recorder.run(law, check)

    run("values", "finite", lambda: laws.check_finite(made, decays))
    run("values", "oracle", lambda: laws.check_oracle(made, oracle, steps), oracle is not None)
    run("values", "reference", lambda: laws.check_reference(made, reference, steps), reference is not None)
    run("values", "descent", lambda: laws.check_descent(made), descends)
    run("values", "unit step", lambda: laws.check_unit_step(made, unit_step or 0.0), unit_step is not None)
    run("state", "state fixpoint", lambda: state.check_state(made))
    run("state", "resume", lambda: state.check_resume(made))
    run("state", "donation", lambda: state.check_donation(made))
    run("state", "odd leaves", lambda: state.check_odd_leaves(made))
    run("symmetry", "odd", lambda: laws.check_odd(made), odd)
    run("symmetry", "permutation", lambda: laws.check_permutation(made))
    run("symmetry", "leaves", lambda: laws.check_leaves(made, cross_leaf))
    run("symmetry", "scale", lambda: laws.check_scale(made), scale_invariant)
    for dtype in dtypes:
        run("dtypes", jnp.dtype(dtype).name, lambda dtype=dtype: state.check_dtype(made, dtype, decays))
    run("transforms", "jit = eager", lambda: laws.check_eager(made))
    run("transforms", "vmap = loop", lambda: laws.check_vmap(made))
    run("compose", "composition", lambda: check_composition(made))
    run("compose", "learning rate", lambda: check_rate(made, rule, learning_rate), not is_rule)
    report.seconds = time.perf_counter() - start
    if raises:
        report.raise_unless_passed()
    return report
