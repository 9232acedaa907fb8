"""The laws of update rules, each a function from a :class:`Rule` to verdicts."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._program import compiled
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._rule import STEPS, Rule, add, arrays
from jaxnn.testing._tolerance import ORACLE, tolerance, worst_mismatch


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
    updates, _ = rule.trajectory(rule.params, rule.gradients(STEPS))
    if not all(np.isfinite(u).all() for u in arrays(updates)):
        return [failed("finite", "an update is not finite under random gradients")]
    return [passed("finite"), *zero_gradient(rule, np.float64, decays)]


def zero_gradient(rule: Rule, dtype: Any, decays: Any) -> list[Verdict]:
    """A zero gradient leaves parameters alone, or shrinks exactly the leaves that decay."""
    name = f"zero gradient, {jnp.dtype(dtype).name}"
    zeros = jax.tree.map(np.zeros_like, rule.gradients(STEPS))
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
        if decaying and np.any(param):  # what is zero cannot shrink
            shrinking = -np.sum(update[0] * param) / np.sum(param * param)
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
    zero, gradients = jax.tree.map(np.zeros_like, rule.params), rule.gradients(STEPS)
    updates, _ = rule.trajectory(zero, gradients)
    for path, u, g in zip(rule.paths, arrays(updates), arrays(gradients), strict=True):
        if u.size and np.sum(u[0] * g[0]) >= 0:
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
        run = compiled(lambda p: jax.lax.scan(step, (p, rule.transform.init(p)), length=50)[1])
        heights = np.asarray(run(first))
    if not heights[-1] < heights[0]:
        return [failed("descent", f"fifty steps take a bowl from {heights[0]:.4g} to {heights[-1]:.4g}")]
    return [passed("descent")]


def check_unit_step(rule: Rule, size: float) -> list[Verdict]:
    """Under a constant gradient every entry moves by the declared size at every step."""
    zero = jax.tree.map(np.zeros_like, rule.params)
    gradients = jax.tree.map(lambda g: np.repeat(g[:1], STEPS, axis=0), rule.gradients(STEPS))
    updates, _ = rule.trajectory(zero, gradients)
    expected = jax.tree.map(lambda g: -size * np.sign(g), gradients)
    return compare(rule, "unit step", updates, expected, 1e-6, f"a constant gradient should move by {size:g}")


def check_odd(rule: Rule) -> list[Verdict]:
    """From parameters of zero, negated gradients give negated updates, at every step."""
    zero, gradients = jax.tree.map(np.zeros_like, rule.params), rule.gradients(STEPS)
    updates, _ = rule.trajectory(zero, gradients)
    mirrored, _ = rule.trajectory(zero, jax.tree.map(np.negative, gradients))
    text = "negated gradients do not give negated updates"
    return compare(rule, "odd", jax.tree.map(np.negative, mirrored), updates, tolerance(np.float64), text)


def check_permutation(rule: Rule) -> list[Verdict]:
    """Reversing every axis of parameters and gradients reverses the updates: no entry is special."""
    gradients = rule.gradients(STEPS)
    updates, _ = rule.trajectory(rule.params, gradients)
    params = jax.tree.map(np.flip, rule.params)
    flipped, _ = rule.trajectory(
        params, jax.tree.map(lambda g: np.flip(g, tuple(range(1, g.ndim))), gradients)
    )
    back = jax.tree.map(lambda u: np.flip(u, tuple(range(1, u.ndim))), flipped)
    text = "reversed parameters and gradients do not give reversed updates"
    return compare(rule, "permutation", back, updates, tolerance(np.float64, "reduction"), text)


def check_leaves(rule: Rule, cross_leaf: bool) -> list[Verdict]:
    """An update depends on its own leaf alone, or, where declared, on the others too."""
    gradients = rule.gradients(STEPS)
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
    gradients = rule.gradients(STEPS)
    updates, _ = rule.trajectory(rule.params, gradients)
    scaled, _ = rule.trajectory(rule.params, jax.tree.map(lambda g: 10 * g, gradients))
    return compare(
        rule, "scale invariance", scaled, updates, 1e-6, "ten times the gradient changes the updates"
    )


def check_eager(rule: Rule) -> list[Verdict]:
    """The compiled update equals the same, run one operation at a time."""
    updates, _ = rule.trajectory(rule.params, rule.gradients(STEPS))
    with jax.enable_x64(True), jax.disable_jit():
        params, state = rule.single(np.float64)
        eager = rule.transform.update(rule.first_gradients(np.float64), state, params)[0]
    first = jax.tree.map(lambda u: u[0], updates)
    return compare(rule, "jit = eager", first, eager, tolerance(np.float64), "compiled and eager differ")


def check_vmap(rule: Rule) -> list[Verdict]:
    """``vmap`` over three different sets of parameters and gradients equals a loop."""
    gradients = rule.gradients(STEPS)
    params = jax.tree.map(lambda p, g: p + 0.1 * g[:3], rule.params, gradients)
    streams = [jax.tree.map(lambda g, k=k: np.roll(g, k, axis=0), gradients) for k in range(3)]

    def one(params: Any, gradients: Any) -> Any:
        return rule.transform.update(gradients, rule.transform.init(params), params)[0]

    with jax.enable_x64(True):
        firsts = jax.tree.map(lambda *leaves: np.stack([leaf[0] for leaf in leaves]), *streams)
        mapped = compiled(jax.vmap(one))(params, firsts)
    rows = [rule.trajectory(jax.tree.map(lambda p, k=k: p[k], params), streams[k])[0] for k in range(3)]
    looped = jax.tree.map(lambda *leaves: np.stack([leaf[0] for leaf in leaves]), *rows)
    text = "vmap over parameters and gradients differs from a loop"
    return compare(rule, "vmap = loop", mapped, looped, tolerance(np.float64), text)
