"""What training loops ask of update rules: a state that stays as it is typed, resumes, and can be donated."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._optimizer_laws import zero_gradient
from jaxnn.testing._program import FAST_COMPILE, compiled, is_key, to_host
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._rule import STEPS, Rule, arrays
from jaxnn.testing._structure import check_no_retrace, differences, specs_of


def check_state(rule: Rule) -> list[Verdict]:
    """The state keeps structure, shapes, dtypes and weak types; steps are traced once; updates fit."""
    gradients = rule.first_gradients()
    params, state = rule.single()
    verdicts = check_no_retrace(lambda carry: rule.step(carry[0], carry[1], gradients), (params, state))
    updates, _ = jax.eval_shape(rule.transform.update, gradients, state, params)
    lines = differences(specs_of(updates, "update"), specs_of(params, "update"))
    return [*verdicts, failed("updates fit", "\n".join(lines)) if lines else passed("updates fit")]


def check_resume(rule: Rule) -> list[Verdict]:
    """A state that went through bytes continues bit for bit, and a second run repeats the first."""
    name, gradients = "save and resume", rule.gradients(STEPS)
    step = compiled(rule.step)

    def run(cut: int | None) -> list[bytes]:
        params, state = rule.single()
        for t in range(STEPS):
            if t == cut:
                params, state = _through_bytes((params, state))
            g = jax.tree.map(lambda leaf, t=t: jnp.asarray(leaf[t], jnp.float32), gradients)
            params, state = step(params, state, g)
        return [to_host(leaf).tobytes() for leaf in jax.tree.leaves((params, state))]

    straight = run(None)
    if run(None) != straight:
        return [failed(name, "two runs from one start differ: the rule keeps something outside its state")]
    if run(STEPS // 2) != straight:
        return [failed(name, "a state restored from bytes continues differently")]
    return [passed(name)]


def _through_bytes(tree: Any) -> Any:
    """The tree from the bytes of its leaves, which NumPy's own format would not give back of bfloat16."""

    def restored(leaf: Any) -> jax.Array:
        host = to_host(leaf)
        array = jnp.asarray(np.frombuffer(host.tobytes(), host.dtype).reshape(host.shape))
        return jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf)) if is_key(leaf) else array

    return jax.tree.map(restored, tree)


def check_donation(rule: Rule) -> list[Verdict]:
    """Parameters and state can be donated: no buffer stands in them twice, and none goes unused."""
    gradients = rule.first_gradients()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params, state = rule.single()
        run = jax.jit(rule.step, donate_argnums=(0, 1), compiler_options=FAST_COMPILE)
        for _ in range(2):
            params, state = run(params, state, gradients)
    return [passed("donation")]


def check_odd_leaves(rule: Rule) -> list[Verdict]:
    """Scalars, empty arrays and ``None`` leaves pass through."""
    name = "scalar, empty and None leaves"
    params = {"kernel": jnp.ones((3, 2)), "scalar": jnp.ones(()), "empty": jnp.zeros((0, 2)), "none": None}
    halves = jax.tree.map(lambda p: 0.5 * p, params)
    updates, _ = compiled(lambda g, p: rule.transform.update(g, rule.transform.init(p), p))(halves, params)
    lines = differences(specs_of(updates, "update"), specs_of(params, "update"))
    bad = [path for path, u in jax.tree_util.tree_flatten_with_path(updates)[0] if not np.isfinite(u).all()]
    if lines or bad:
        return [failed(name, "\n".join(lines) or f"update{jax.tree_util.keystr(bad[0])} is not finite")]
    return [passed(name)]


def check_dtype(rule: Rule, dtype: Any, decays: Any) -> list[Verdict]:
    """Updates keep the parameters' dtype, a zero gradient is harmless, and so is a very small one."""
    name = f"{jnp.dtype(dtype).name} kept"
    params, state = rule.single(dtype)
    updates, after = jax.eval_shape(rule.transform.update, rule.first_gradients(dtype), state, params)
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
