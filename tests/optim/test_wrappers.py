"""``skip_nonfinite`` and ``accumulate``."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn import optim


def test_a_step_that_is_not_finite_is_left_out_and_counted() -> None:
    rule = optim.skip_nonfinite(optim.adam(0.1))
    plain = optim.adam(0.1)
    params = jnp.ones(3)
    state, other = rule.init(params), plain.init(params)
    update = jax.jit(rule.update)
    good = jnp.asarray([1.0, -2.0, 0.5])
    for bad in (good.at[1].set(jnp.nan), good.at[2].set(jnp.inf), None, good.at[0].set(1e30), None):
        step, state = update(good if bad is None else bad, state, params)
        if bad is None:
            wanted, other = plain.update(good, other, params)
            np.testing.assert_array_equal(step, wanted)
        else:
            np.testing.assert_array_equal(step, 0.0)
    assert int(state.skipped) == 3  # 1e30 is finite, and its square is not
    np.testing.assert_array_equal(state.inner.nu, other.nu)


def test_a_rule_may_start_from_infinity() -> None:
    def update(updates, state, params=None, *, value, **_):
        return updates, jnp.minimum(state, value)

    rule = optim.skip_nonfinite(optax.GradientTransformationExtraArgs(lambda _: jnp.asarray(jnp.inf), update))
    _, state = rule.update(jnp.ones(2), rule.init(jnp.ones(2)), value=jnp.asarray(3.0))
    assert float(state.inner) == 3.0
    assert int(state.skipped) == 0


def test_accumulation_is_one_big_batch() -> None:
    # Numbers of few bits, so that the two sides are equal to the last one.
    rng = np.random.default_rng(0)
    examples = rng.integers(-8, 8, (16, 3)).astype(np.float32)
    sizes, w = [8, 4, 2, 2], jnp.asarray([0.5, -0.25, 2.0])
    inner = optim.momentum(0.5)
    whole, _ = inner.update(jnp.mean(examples, 0), inner.init(w), w)

    rule = optim.accumulate(inner, every=len(sizes))
    state, start = rule.init(w), 0
    update = jax.jit(lambda g, s, n: rule.update(g, s, w, weight=n))
    for size in sizes:
        mean = jnp.mean(jnp.asarray(examples[start : start + size]), 0)
        step, state = update(mean, state, size)
        start += size
        if start < 16:
            np.testing.assert_array_equal(step, 0.0)
    np.testing.assert_array_equal(step, whole)
    assert int(state.seen) == 0
    assert float(state.weight) == 0.0
    np.testing.assert_array_equal(state.total, 0.0)


def test_accumulation_in_half_precision_adds_in_single() -> None:
    rule = optim.accumulate(optim.sgd(1.0), every=512)
    params = jnp.zeros((), jnp.bfloat16)
    ones = jnp.ones(512, jnp.bfloat16)

    def step(state, g):
        update, state = rule.update(g, state, params)
        return state, update

    _, updates = jax.lax.scan(step, rule.init(params), ones)  # a sum in bfloat16 stops at 256
    assert updates.dtype == jnp.bfloat16
    assert float(updates[-1]) == -1.0
    assert not np.any(np.asarray(updates[:-1], np.float32))


def test_nothing_but_weightless_batches_moves_nothing() -> None:
    inner = optim.adamw(0.1)
    rule = optim.accumulate(inner, every=2)
    state = rule.init(jnp.ones(2))
    for _ in range(2):
        step, state = rule.update(jnp.full(2, jnp.float32(3.0)), state, jnp.ones(2), weight=0.0)
    np.testing.assert_array_equal(step, 0.0)
    assert int(state.inner.step) == 0
    assert int(state.seen) == 0


def test_the_inner_rule_is_given_the_arguments_and_the_whole_weight() -> None:
    seen = {}

    def update(updates, state, params=None, **extra):
        seen.update(extra)
        return updates, state

    rule = optim.accumulate(optax.GradientTransformationExtraArgs(lambda _: (), update), every=1)
    with jax.disable_jit():
        rule.update(jnp.ones(1), rule.init(jnp.ones(1)), weight=5, value=jnp.asarray(2.0))
    assert float(seen["weight"]) == 5.0
    assert float(seen["value"]) == 2.0


@pytest.mark.parametrize("wrap", [optim.skip_nonfinite, lambda inner: optim.accumulate(inner, 2)])
def test_wrappers_keep_the_kind_of_their_state(wrap) -> None:
    rule, params = wrap(optim.adafactor(0.1)), {"a": jnp.ones((2, 3), jnp.float16), "b": None}
    before = jax.eval_shape(rule.init, params)
    _, after = jax.eval_shape(rule.update, params, before, params)
    assert jax.tree.structure(before) == jax.tree.structure(after)
    kinds = [[(s.shape, s.dtype, s.weak_type) for s in jax.tree.leaves(tree)] for tree in (before, after)]
    assert kinds[0] == kinds[1]


def test_a_micro_batch_of_weight_zero_does_not_count_as_nan_either() -> None:
    rule = optim.accumulate(optim.sgd(1.0), 2)
    state = rule.init(jnp.ones(2))
    _, state = rule.update(jnp.asarray([1.0, 2.0]), state, weight=3)
    step, state = rule.update(jnp.full(2, jnp.nan), state, weight=0)
    assert step.tolist() == [-1.0, -2.0]
    nothing = rule.init(jnp.ones(2))
    for _ in range(2):
        step, nothing = rule.update(jnp.full(2, jnp.nan), nothing, weight=0)
    assert step.tolist() == [0.0, 0.0]


def test_the_derivative_by_a_weight_of_zero_is_finite() -> None:
    rule = optim.accumulate(optim.sgd(1.0), 2)
    _, state = rule.update(jnp.asarray([1.0, 2.0]), rule.init(jnp.ones(2)), weight=2)

    def total(weight):
        return jnp.sum(rule.update(gradient, state, weight=weight)[0])

    gradient = jnp.asarray([4.0, jnp.nan])
    # By hand: -(6 + 4 w) / (2 + w), as the second entry adds nothing, has the slope -(4 * 2 - 6) / 4.
    np.testing.assert_allclose(jax.grad(total)(0.0), -0.5, rtol=1e-6)
    gradient = jnp.asarray([3.0, 5.0])
    # By hand: -(6 + 8 w) / (2 + w) has the slope -(8 * 2 - 6) / 4.
    np.testing.assert_allclose(jax.grad(total)(0.0), -2.5, rtol=1e-6)
