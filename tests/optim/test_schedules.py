"""Optax's schedules as learning rates, under strict promotion, in float32 and in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn import optim
from tests.optim.cases import RULES

STEPS = 8
SCHEDULES: dict[str, optax.Schedule] = {
    "cosine": optax.cosine_decay_schedule(0.5, STEPS),
    "warmup cosine": optax.warmup_cosine_decay_schedule(0.0, 0.5, 3, STEPS),
    "piecewise": optax.piecewise_constant_schedule(0.5, {2: 0.5, 5: 0.1}),
    "joined": optax.join_schedules(
        [optax.linear_schedule(0.0, 0.5, 3), optax.exponential_decay(0.5, 2, 0.9)], [3]
    ),
}


def table(schedule: optax.Schedule) -> np.ndarray:
    """Return the rates of the first steps, as optax gives them for Python integers."""
    return np.array([float(schedule(step)) for step in range(STEPS)])


def run(rule: optax.GradientTransformation) -> list[np.ndarray]:
    """Return the updates of some steps, compiled."""

    @jax.jit
    def updates(params, gradients):
        def step(state, g):
            steps, state = rule.update({"w": g}, state, params)
            return state, steps["w"]

        return jax.lax.scan(step, rule.init(params), gradients)[1]

    gradients = np.random.default_rng(0).standard_normal((STEPS, 2, 3))
    return updates({"w": jnp.ones((2, 3))}, jnp.asarray(gradients, jnp.result_type(float)))


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rate_is_the_schedules(name: str, x64: bool) -> None:
    """Plain descent on gradients of one shows the rate, eager and compiled."""
    with jax.enable_x64(x64):
        wanted = table(SCHEDULES[name])
        rule = optim.sgd(SCHEDULES[name])
        one = jnp.ones(())
        state, eager = rule.init(one), []
        for _ in range(STEPS):
            update, state = rule.update(one, state)
            eager.append(-float(update))
        compiled = jax.lax.scan(
            lambda state, _: rule.update(one, state)[::-1], rule.init(one), None, length=STEPS
        )[1]
    np.testing.assert_allclose(eager, wanted, rtol=1e-12 if x64 else 1e-6, atol=1e-8)
    np.testing.assert_allclose(-compiled, eager, rtol=1e-12 if x64 else 1e-6, atol=1e-8)


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_takes_a_schedule_of_optax(rule: str, x64: bool) -> None:
    """The same as a rule whose rates are read from a table."""
    name = "piecewise" if rule == "rprop" else "warmup cosine"  # rprop takes the first rate, and needs one
    with jax.enable_x64(x64):
        rates = jnp.asarray(table(SCHEDULES[name]), jnp.result_type(float))
        found = run(getattr(optim, rule)(SCHEDULES[name]))
        wanted = run(getattr(optim, rule)(lambda step: rates[step]))
    assert np.any(np.asarray(found))
    np.testing.assert_allclose(found, wanted, rtol=1e-12 if x64 else 2e-5, atol=1e-12 if x64 else 1e-6)


def test_a_weight_decay_takes_one_too() -> None:
    decay = optax.cosine_decay_schedule(0.5, STEPS)
    rule, p = optim.adamw(1.0, weight_decay=decay), jnp.ones(2)
    state, found = rule.init(p), []
    for _ in range(STEPS):
        update, state = rule.update(jnp.zeros(2), state, p)
        found.append(-float(update[0]))
    np.testing.assert_allclose(found, table(decay), atol=1e-7)


def test_promotion_is_strict_again_outside_of_the_schedule() -> None:
    rule = optim.sgd(SCHEDULES["cosine"])
    rule.update(jnp.ones(2), rule.init(jnp.ones(2)))
    with pytest.raises(Exception, match="promotion"):
        jnp.ones((), jnp.int32) * jnp.ones(())


def test_a_schedule_of_several_rates_is_refused() -> None:
    rule = optim.sgd(lambda step: jnp.ones(2))
    with pytest.raises(ValueError, match=r"sgd: learning_rate .* must return a scalar, got shape \(2,\)"):
        rule.update(jnp.ones(2), rule.init(jnp.ones(2)))


def test_a_state_without_steps_is_refused() -> None:
    rule, p = optim.lion(0.1, weight_decay=SCHEDULES["cosine"]), jnp.ones(2)
    with pytest.raises(ValueError, match="lion: weight_decay is a schedule, and the state counts no steps"):
        rule.update(p, optim.lion(0.1).init(p), p)
