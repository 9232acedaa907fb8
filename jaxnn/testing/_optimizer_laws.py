"""The laws of update rules, each a function from a :class:`Rule` to verdicts."""

import io
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._rule import Rule, add, arrays
from jaxnn.testing._structure import check_no_retrace, differences, specs_of
from jaxnn.testing._tolerance import ORACLE, tolerance, worst_mismatch

_STEPS = 6


def tree(params: Any, seed: int) -> Any:
    """Parameters in float64; a small tree with a matrix, a vector and a scalar where none are given."""
    rng = np.random.default_rng([seed, 99])
    if params is None:
        shapes = {"dense": {"kernel": (4, 3), "bias": (3,)}, "scale": ()}
        return jax.tree.map(lambda s: rng.standard_normal(s), shapes, is_leaf=lambda s: isinstance(s, tuple))
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)


def compare(rule: Rule, name: str, actual: Any, expected: Any, allowed: float, text: str) -> list[Verdict]:
    """One verdict on two trees of updates."""
    error, leaf = worst_mismatch(arrays(actual), arrays(expected))
    if error > allowed:
        return [failed(name, f"{rule.paths[leaf]}: {text} (relative error {error:.3g})", error, allowed)]
    return [passed(name, error, allowed)]


def check_finite(rule: Rule, decays: Any) -> list[Verdict]:
    """Random gradients give finite updates; zero gradients give zero, or a pure shrinking where declared."""
    updates, _ = rule.trajectory(rule.params, rule.gradients(_STEPS))
    if not all(np.isfinite(u).all() for u in arrays(updates)):
        return [failed("finite", "an update is not finite under random gradients")]
    return [passed("finite"), *zero_gradient(rule, np.float64, decays)]


def zero_gradient(rule: Rule, dtype: Any, decays: Any) -> list[Verdict]:
    """A zero gradient leaves parameters alone, or shrinks exactly the leaves that decay."""
    name = f"zero gradient, {jnp.dtype(dtype).name}"
    zeros = jax.tree.map(np.zeros_like, rule.gradients(3))
    updates, _ = rule.trajectory(rule.params, zeros, dtype)
    flags = jax.tree.leaves(
        jax.tree.map(lambda _: decays, rule.params) if isinstance(decays, bool) else decays
    )
    for path, update, param, decaying in zip(
        rule.paths, arrays(updates), arrays(rule.params), flags, strict=True
    ):
        if not np.isfinite(update).all():
            return [
                failed(name, f"{path}: the update is not finite (0 / 0 where a small constant underflows)")
            ]
        if not decaying and np.any(update):
            return [failed(name, f"{path}: the update is {np.abs(update).max():.3g}, expected 0")]
        if decaying and param.size:
            shrinking = -np.sum(update[0] * param) / max(np.sum(param * param), 1e-300)
            rest = np.abs(update[0] + shrinking * param).max()
            if not shrinking > 0 or rest > 0.02 * shrinking * np.abs(param).max():
                return [failed(name, f"{path}: is declared to decay, but its update does not shrink it")]
    return [passed(name)]


def check_oracle(rule: Rule, oracle: Callable[..., Any] | None, steps: int) -> list[Verdict]:
    """Float64 updates equal the oracle's to 1e-10, float32 ones to 1e-5 in the norm of a leaf."""
    if oracle is None:
        return []
    gradients = rule.gradients(steps)
    each = [jax.tree.map(lambda g, t=t: g[t], gradients) for t in range(steps)]
    expected = oracle(jax.tree.map(np.array, rule.params), each)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *expected)
    actual, _ = rule.trajectory(rule.params, gradients)
    step = _first_wrong_step(actual, stacked)
    text = f"updates differ from the oracle's, first at step {step}"
    verdicts = compare(rule, "oracle", actual, stacked, ORACLE, text)
    low, _ = rule.trajectory(rule.params, gradients, np.float32)
    return verdicts + compare(rule, "oracle, float32", low, stacked, tolerance(np.float32), text)


def _first_wrong_step(actual: Any, expected: Any) -> int:
    pairs = list(zip(arrays(actual), arrays(expected), strict=True))
    steps = pairs[0][0].shape[0]
    for step in range(steps):
        if worst_mismatch([a[step] for a, _ in pairs], [b[step] for _, b in pairs])[0] > ORACLE:
            return step + 1
    return steps


def check_reference(rule: Rule, reference: Any, steps: int) -> list[Verdict]:
    """Float64 updates equal those of another transformation."""
    gradients = rule.gradients(steps)
    expected, _ = Rule(reference, rule.params, rule.seed).trajectory(rule.params, gradients)
    actual, _ = rule.trajectory(rule.params, gradients)
    step = _first_wrong_step(actual, expected)
    return compare(rule, "reference", actual, expected, ORACLE, f"updates differ, first at step {step}")


def check_descent(rule: Rule) -> list[Verdict]:
    """The first update goes against the gradient in every leaf, and fifty updates lower a bowl."""
    zero, gradients = jax.tree.map(np.zeros_like, rule.params), rule.gradients(1)
    updates, _ = rule.trajectory(zero, gradients)
    for path, u, g in zip(rule.paths, arrays(updates), arrays(gradients), strict=True):
        if u.size and np.sum(u * g) >= 0:
            return [failed("descent", f"{path}: the first update does not go against the gradient")]
    start = jax.tree.map(lambda p: p + 3.0, rule.params)

    def bowl(params: Any) -> Any:
        return sum(jnp.sum(jnp.square(p)) / 2 for p in jax.tree.leaves(params))

    def step(carry: Any, _: None) -> Any:
        params, state = carry
        updates, state = rule.transform.update(params, state, params)
        return (add(params, updates), state), bowl(params)

    with jax.enable_x64(True):
        first = jax.tree.map(jnp.asarray, start)
        heights = jax.jit(lambda p: jax.lax.scan(step, (p, rule.transform.init(p)), length=50)[1])(first)
        heights = np.asarray(heights)
    if not heights[-1] < heights[0]:
        return [failed("descent", f"fifty steps take a bowl from {heights[0]:.4g} to {heights[-1]:.4g}")]
    return [passed("descent")]


def check_unit_step(rule: Rule, size: float) -> list[Verdict]:
    """Under a constant gradient every entry moves by the declared size at every step."""
    zero = jax.tree.map(np.zeros_like, rule.params)
    gradients = jax.tree.map(lambda g: np.repeat(g[:1], 5, axis=0), rule.gradients(1))
    updates, _ = rule.trajectory(zero, gradients)
    expected = jax.tree.map(lambda g: -size * np.sign(g), gradients)
    return compare(rule, "unit step", updates, expected, 1e-6, f"a constant gradient should move by {size:g}")


def check_state(rule: Rule) -> list[Verdict]:
    """The state keeps structure, shapes, dtypes and weak types; steps are traced once; updates fit parameters."""
    params, state = rule.single()
    gradients = jax.tree.map(lambda g: jnp.asarray(g[0], jnp.float32), rule.gradients(1))

    def step(carry: Any) -> Any:
        params, state = carry
        updates, state = rule.transform.update(gradients, state, params)
        return add(params, updates), state

    verdicts = check_no_retrace(step, (params, state))
    updates, _ = rule.transform.update(gradients, state, params)
    lines = differences(specs_of(updates, "update"), specs_of(params, "update"))
    return [*verdicts, failed("updates fit", "\n".join(lines)) if lines else passed("updates fit")]


def check_resume(rule: Rule) -> list[Verdict]:
    """A state that went through bytes continues bit for bit, and a second run repeats the first."""
    name, gradients = "save and resume", rule.gradients(_STEPS)
    update = jax.jit(rule.transform.update)

    def run(cut: int | None) -> list[bytes]:
        params, state = rule.single()
        for t in range(_STEPS):
            if t == cut:
                params, state = _through_bytes((params, state))
            g = jax.tree.map(lambda leaf, t=t: jnp.asarray(leaf[t], jnp.float32), gradients)
            updates, state = update(g, state, params)
            params = add(params, updates)
        return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((params, state))]

    straight = run(None)
    if run(None) != straight:
        return [failed(name, "two runs from one start differ: the rule keeps something outside its state")]
    if run(_STEPS // 2) != straight:
        return [failed(name, "a state restored from bytes continues differently")]
    return [passed(name)]


def _through_bytes(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    restored = []
    for leaf in leaves:
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(leaf))
        buffer.seek(0)
        restored.append(jnp.asarray(np.load(buffer)))
    return structure.unflatten(restored)


def check_donation(rule: Rule) -> list[Verdict]:
    """Parameters and state can be donated: no buffer stands in them twice, and none goes unused."""
    gradients = jax.tree.map(lambda g: jnp.asarray(g[0], jnp.float32), rule.gradients(1))

    def step(params: Any, state: Any, gradients: Any) -> Any:
        updates, state = rule.transform.update(gradients, state, params)
        return add(params, updates), state

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params, state = rule.single()
        run = jax.jit(step, donate_argnums=(0, 1))
        for _ in range(2):
            params, state = run(params, state, gradients)
    return [passed("donation")]


def check_odd_leaves(rule: Rule) -> list[Verdict]:
    """Scalars, empty arrays and ``None`` leaves pass through."""
    name = "scalar, empty and None leaves"
    params = {"kernel": jnp.ones((3, 2)), "scalar": jnp.ones(()), "empty": jnp.zeros((0, 2)), "none": None}
    state = rule.transform.init(params)
    updates, _ = rule.transform.update(jax.tree.map(lambda p: 0.5 * p, params), state, params)
    lines = differences(specs_of(updates, "update"), specs_of(params, "update"))
    bad = [path for path, u in jax.tree_util.tree_flatten_with_path(updates)[0] if not np.isfinite(u).all()]
    if lines or bad:
        return [failed(name, "\n".join(lines) or f"update{jax.tree_util.keystr(bad[0])} is not finite")]
    return [passed(name)]


def check_odd(rule: Rule) -> list[Verdict]:
    """From parameters of zero, negated gradients give negated updates, at every step."""
    zero, gradients = jax.tree.map(np.zeros_like, rule.params), rule.gradients(_STEPS)
    updates, _ = rule.trajectory(zero, gradients)
    mirrored, _ = rule.trajectory(zero, jax.tree.map(np.negative, gradients))
    text = "negated gradients do not give negated updates"
    return compare(rule, "odd", jax.tree.map(np.negative, mirrored), updates, tolerance(np.float64), text)


def check_permutation(rule: Rule) -> list[Verdict]:
    """Reversing every axis of parameters and gradients reverses the updates: no entry is special."""
    gradients = rule.gradients(_STEPS)
    updates, _ = rule.trajectory(rule.params, gradients)
    params = jax.tree.map(np.flip, rule.params)
    flipped, _ = rule.trajectory(params, jax.tree.map(lambda g: np.flip(g, range(1, g.ndim)), gradients))
    back = jax.tree.map(lambda u: np.flip(u, range(1, u.ndim)), flipped)
    text = "reversed parameters and gradients do not give reversed updates"
    return compare(rule, "permutation", back, updates, tolerance(np.float64, "reduction"), text)


def check_leaves(rule: Rule, cross_leaf: bool) -> list[Verdict]:
    """An update depends on its own leaf alone, or, where declared, on the others too."""
    gradients = rule.gradients(_STEPS)
    leaves, structure = jax.tree.flatten(gradients)
    if len(leaves) < 2:
        return []
    changed = structure.unflatten([leaves[0], *(30.0 * leaf for leaf in leaves[1:])])
    first = arrays(rule.trajectory(rule.params, gradients)[0])[0]
    second = arrays(rule.trajectory(rule.params, changed)[0])[0]
    error, _ = worst_mismatch([second], [first])
    if cross_leaf:
        name = "leaves act together"
        if error <= tolerance(np.float64):
            return [
                failed(name, f"{rule.paths[0]}: does not depend on the other leaves' gradients, and must")
            ]
        return [passed(name)]
    if error > tolerance(np.float64):
        text = f"{rule.paths[0]}: depends on other leaves' gradients; cross_leaf=True declares it"
        return [failed("leaves act alone", text, error)]
    return [passed("leaves act alone")]


def check_scale(rule: Rule) -> list[Verdict]:
    """Ten times the gradient gives the same updates."""
    gradients = rule.gradients(_STEPS)
    updates, _ = rule.trajectory(rule.params, gradients)
    scaled, _ = rule.trajectory(rule.params, jax.tree.map(lambda g: 10 * g, gradients))
    return compare(
        rule, "scale invariance", scaled, updates, 1e-6, "ten times the gradient changes the updates"
    )


def check_dtype(rule: Rule, dtype: Any, decays: Any) -> list[Verdict]:
    """Updates keep the parameters' dtype, a zero gradient is harmless, and so is a very small one."""
    name = f"{jnp.dtype(dtype).name} kept"
    params, state = rule.single(dtype)
    gradients = jax.tree.map(lambda g: jnp.asarray(g[0], dtype), rule.gradients(1))
    updates, after = rule.transform.update(gradients, state, params)
    lines = differences(specs_of(updates, "update"), specs_of(params, "update"))
    lines += differences(specs_of(after, "state"), specs_of(state, "state"))
    verdicts = [failed(name, "\n".join(lines)) if lines else passed(name)]
    verdicts += zero_gradient(rule, dtype, decays)
    tiny = float(jnp.finfo(dtype).tiny)
    small, _ = rule.trajectory(
        rule.params, jax.tree.map(lambda g: 2 * tiny * np.sign(g), rule.gradients(3)), dtype
    )
    bad = [path for path, u in zip(rule.paths, arrays(small), strict=True) if not np.isfinite(u).all()]
    name = f"tiny gradient, {jnp.dtype(dtype).name}"
    text = f"{bad[0]}: a gradient of {2 * tiny:.3g} gives an update that is not finite" if bad else ""
    return [*verdicts, failed(name, text) if bad else passed(name)]


def check_eager(rule: Rule) -> list[Verdict]:
    """The compiled update equals the same, run one operation at a time."""
    with jax.enable_x64(True):
        params, state = rule.single(np.float64)
        gradients = jax.tree.map(lambda g: jnp.asarray(g[0]), rule.gradients(1))
        compiled = jax.jit(rule.transform.update)(gradients, state, params)[0]
        with jax.disable_jit():
            eager = rule.transform.update(gradients, state, params)[0]
        return compare(
            rule, "jit = eager", compiled, eager, tolerance(np.float64), "compiled and eager differ"
        )


def check_vmap(rule: Rule) -> list[Verdict]:
    """``vmap`` over three different sets of parameters and gradients equals a loop."""
    with jax.enable_x64(True):
        gradients = jax.tree.map(jnp.asarray, rule.gradients(3))
        params = jax.tree.map(lambda p, g: p + 0.1 * g, rule.params, gradients)

        def one(params: Any, gradients: Any) -> Any:
            return rule.transform.update(gradients, rule.transform.init(params), params)

        mapped = jax.jit(jax.vmap(one))(params, gradients)[0]
        single = jax.jit(one)
        rows = [single(*jax.tree.map(lambda leaf, k=k: leaf[k], (params, gradients)))[0] for k in range(3)]
        looped = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
        text = "vmap over parameters and gradients differs from a loop"
        return compare(rule, "vmap = loop", mapped, looped, tolerance(np.float64), text)
