"""Half precision, and what a state looks like from step to step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn import optim
from tests.optim.cases import CASES, Case, tree

BOUNDS = {"float16": 4e-3, "bfloat16": 3e-2}


def halves(seed: int, scale: float) -> dict[str, jax.Array]:
    """Return a matrix in each half precision."""
    numbers = scale * np.random.default_rng(seed).standard_normal((4, 3))
    return {name: jnp.asarray(numbers, name) for name in BOUNDS}


@pytest.mark.parametrize("case", [case.without_decay() for case in CASES], ids=lambda case: case.id)
def test_half_precision(case: Case) -> None:
    rule, params = case.make(1.0), halves(1, 1.0)
    update = jax.jit(rule.update)

    zero, state = update(jax.tree.map(jnp.zeros_like, params), rule.init(params), params)
    for name in BOUNDS:
        assert zero[name].dtype == name
        assert np.all(np.asarray(zero[name], np.float32) == 0.0)
    assert all(np.all(np.isfinite(np.asarray(leaf, np.float64))) for leaf in jax.tree.leaves(state))

    # Gradients that square to zero in float16, against float64 at the same rounded numbers.
    state, slots = rule.init(params), {name: {} for name in BOUNDS}
    for t in range(1, 4):
        gradients = halves(1 + t, 1e-4)
        found, state = update(gradients, state, params)
        for name, bound in BOUNDS.items():
            g, p = (np.asarray(x[name], np.float64) for x in (gradients, params))
            wanted = case.oracle(t, g, p, slots[name], 1.0, **case.hyper)
            assert np.linalg.norm(np.asarray(found[name], np.float64) - wanted) <= bound * np.linalg.norm(
                wanted
            )


def kinds(spec) -> list[tuple]:
    return [(s.shape, s.dtype, s.weak_type) for s in jax.tree.leaves(spec)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_state_keeps_its_kind(case: Case) -> None:
    params = {**tree(1, dtype=np.float32), "half": jnp.ones((3, 4), jnp.bfloat16), "empty": jnp.ones((0, 2))}
    params["weak"] = 1.0
    rule = case.make(0.1)
    before = jax.eval_shape(rule.init, params)
    updates, after = jax.eval_shape(rule.update, params, before, params)
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert kinds(before) == kinds(after)
    assert not any(weak for _, _, weak in kinds(before))
    assert [u.dtype for u in jax.tree.leaves(updates)] == [
        jnp.result_type(p) for p in jax.tree.leaves(params)
    ]
    assert jax.tree.structure(updates) == jax.tree.structure(params)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_nothing_to_train_is_no_error(case: Case) -> None:
    rule = case.make(0.1)
    for params in ({}, {"frozen": None}):
        updates, _ = rule.update(params, rule.init(params), params)
        assert jax.tree.structure(updates) == jax.tree.structure(params)


@pytest.mark.parametrize("index", [0, len(CASES) - 1])
def test_gradients_of_another_precision_give_updates_of_the_parameters(index: int) -> None:
    params = {"kernel": jnp.ones((2, 3))}
    rule = CASES[index].make(0.1)
    updates, _ = rule.update({"kernel": jnp.ones((2, 3), jnp.bfloat16)}, rule.init(params), params)
    assert updates["kernel"].dtype == jnp.float32


@pytest.mark.parametrize("name", ["adam", "muon", "adafactor"])
def test_donated_buffers_are_used(name: str) -> None:
    rule, params = getattr(optim, name)(0.1), {"kernel": jnp.ones((8, 8)), "bias": jnp.ones(8)}

    def step(params, state, gradients):
        updates, state = rule.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    state = rule.init(params)
    kept, gradients = jax.tree.leaves((params, state)), jax.tree.map(jnp.ones_like, params)
    jax.jit(step, donate_argnums=(0, 1))(params, state, gradients)  # a warning is an error
    assert all(buffer.is_deleted() for buffer in kept)
