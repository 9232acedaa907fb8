"""Every rule and form against a NumPy oracle of its own source, and the defaults against optax."""

import functools

import jax
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.optim.cases import CASES, STEPS, Case, distance, follow, schedule, tree

DEFAULTS = [case for case in CASES if case.peer is not None]


def trajectory(make):
    """Return a compiled function of parameters, stacked gradients and rate that returns stacked updates."""

    @jax.jit
    def run(params, gradients, rate):
        rule = make(schedule(rate))

        def step(carry, g):
            p, state = carry
            updates, state = rule.update(g, state, p)
            return (optax.apply_updates(p, updates), state), updates

        return jax.lax.scan(step, (params, rule.init(params)), gradients)[1]

    return run


@functools.cache
def compiled(index: int):
    return trajectory(CASES[index].make)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_float64_follows_the_source(case: Case) -> None:
    run = compiled(CASES.index(case))

    @settings(max_examples=3)
    @given(st.integers(0, 2**31), st.integers(-3, 3), st.floats(1e-3, 1.0))
    def check(seed: int, exponent: int, rate: float) -> None:
        params, gradients = tree(seed), tree(seed + 1, 10.0**exponent, STEPS)
        gradients["dense"]["kernel"][:, 0, 0] = 0.0  # a coordinate that never has a gradient
        with jax.enable_x64(True):
            found = run(params, gradients, rate)
        assert distance(found, follow(case, params, gradients, rate)) <= 1e-10

    check()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_float32_follows_the_source(case: Case) -> None:
    run = compiled(CASES.index(case))
    params, gradients = tree(5, dtype=np.float32), tree(6, 1.0, STEPS, np.float32)
    found = run(params, gradients, np.float32(0.125))
    assert distance(found, follow(case, params, gradients, 0.125), each_step=False) <= 1e-5


@pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.id)
def test_default_form_is_that_of_optax(case: Case) -> None:
    params, gradients = tree(7), tree(8, 1.0, STEPS)
    with jax.enable_x64(True):
        found = compiled(CASES.index(case))(params, gradients, 0.1)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            make = (lambda rate: case.make_peer(0.1)) if case.rule == "rprop" else case.make_peer
            wanted = trajectory(make)(params, gradients, 0.1)
    assert distance(found, wanted) <= 1e-10
