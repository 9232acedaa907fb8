"""Laws that rules obey: symmetries, first steps, known sequences, and carrying on from a copy."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn import optim
from tests.optim.cases import CASES, STEPS, Case, distance, tree
from tests.optim.test_oracles import compiled

ELEMENTWISE = [case for case in CASES if case.elementwise]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_update_is_odd(case: Case) -> None:
    if case.rule == "yogi":
        pytest.skip("starts its mean gradient at 1e-6, as optax")
    run, params, gradients = compiled(CASES.index(case)), tree(1), tree(2, 1.0, STEPS)
    with jax.enable_x64(True):
        here = run(params, gradients, 0.1)
        there = run(*jax.tree.map(np.negative, (params, gradients)), 0.1)
    assert all(map(np.array_equal, jax.tree.leaves(here), jax.tree.leaves(jax.tree.map(np.negative, there))))


@pytest.mark.parametrize("case", ELEMENTWISE, ids=lambda case: case.id)
def test_coordinates_do_not_know_their_place(case: Case) -> None:
    run, params, gradients = compiled(CASES.index(case)), tree(1), tree(2, 1.0, STEPS)

    def shuffled(x: np.ndarray, lead: int) -> np.ndarray:
        size = int(np.prod(x.shape[lead:]))
        order = np.random.default_rng(size).permutation(size)
        return x.reshape(*x.shape[:lead], size)[..., order].reshape(x.shape)

    with jax.enable_x64(True):
        found = run(
            jax.tree.map(lambda x: shuffled(x, 0), params),
            jax.tree.map(lambda x: shuffled(x, 1), gradients),
            0.1,
        )
        wanted = jax.tree.map(lambda x: shuffled(np.asarray(x), 1), run(params, gradients, 0.1))
    assert distance(found, wanted) <= 1e-12


@pytest.mark.parametrize("rule", ["adam", "adamax", "amsgrad", "nadam", "radam"])
def test_without_eps_the_scale_of_gradients_does_not_matter(rule: str) -> None:
    params, gradients = jnp.ones(3), jnp.asarray([[0.5, -2.0, 0.0], [1.5, 0.25, 0.0]])

    def steps(scale: float) -> jax.Array:
        transform = getattr(optim, rule)(0.1, eps=0.0)
        state, updates = transform.init(params), []
        for g in gradients:
            update, state = transform.update(scale * g, state)
            updates.append(update)
        return jnp.stack(updates)

    if rule == "radam":  # its first steps are not divided: they are as long as the gradient
        np.testing.assert_allclose(steps(1024.0), 1024.0 * steps(1.0), rtol=1e-6)
    else:
        np.testing.assert_allclose(steps(1024.0), steps(1.0), rtol=1e-6)
        assert np.all(np.asarray(steps(1.0))[:, 2] == 0)


@pytest.mark.parametrize("rule", ["adam", "adamax", "amsgrad"])
def test_the_first_step_is_as_long_as_the_rate(rule: str) -> None:
    transform = getattr(optim, rule)(0.25, eps=0.0)
    step, _ = transform.update(jnp.asarray([3.0, -1e-4]), transform.init(jnp.zeros(2)))
    np.testing.assert_allclose(step, [-0.25, 0.25], rtol=1e-6)


def test_adamw_without_a_gradient_decays() -> None:
    params = {"kernel": jnp.asarray([1.0, -2.0]), "bias": jnp.asarray([4.0])}
    for mask, share in (
        (None, 1.0),
        ({"kernel": True, "bias": False}, 0.0),
        (lambda p: {"kernel": True, "bias": False}, 0.0),
    ):
        rule = optim.adamw(0.5, weight_decay=0.1, mask=mask)
        step, _ = rule.update(jax.tree.map(jnp.zeros_like, params), rule.init(params), params)
        np.testing.assert_allclose(step["kernel"], [-0.05, 0.1], rtol=1e-6)
        np.testing.assert_allclose(step["bias"], [-0.2 * share], rtol=1e-6)


def descend(rule: optax.GradientTransformation, steps: int, observe=lambda p, state: p) -> list[float]:
    """Return what is observed on the way down ``p**2 / 2`` from 1."""
    p = jnp.asarray(1.0)
    state, seen = rule.init(p), []
    for _ in range(steps + 1):
        seen.append(float(observe(p, state)))
        update, state = rule.update(p, state, p)
        p = p + update
    return seen


def test_known_sequences_on_a_parabola() -> None:
    np.testing.assert_allclose(descend(optim.momentum(0.1), 4)[1:], [0.9, 0.72, 0.486, 0.2268], rtol=1e-5)
    paper = descend(optim.nesterov(0.1, form="paper"), 4, lambda p, state: p + 0.9 * state.trace)
    np.testing.assert_allclose(paper[1:], [0.9, 0.729, 0.51759, 0.2945889], rtol=1e-5)


def test_known_first_steps() -> None:
    one = jnp.asarray(1.0)

    def first(rule: optax.GradientTransformation) -> float:
        return float(rule.update(one, rule.init(one))[0])

    assert first(optim.adadelta(1.0, form="keras")) == pytest.approx(-0.0014142, rel=1e-4)
    assert first(optim.rmsprop(1e-3)) == pytest.approx(-1e-3 / np.sqrt(0.1), rel=1e-6)
    assert first(optim.rprop(0.1, form="torch")) == pytest.approx(-0.1)
    assert first(optim.rprop(0.1)) == 0.0


@pytest.mark.parametrize("rule", ["adam", "adafactor", "muon", "nadam", "rmsprop", "yogi"])
def test_carrying_on_from_disk_is_carrying_on(rule: str) -> None:
    options = {"form": "torch"} if rule == "nadam" else {}
    params, gradients = tree(1, dtype=np.float32), tree(2, 1.0, 6, np.float32)
    transform = getattr(optim, rule)(0.1, **options)
    update = jax.jit(transform.update)

    def run(disk: bool):
        p, state = params, transform.init(params)
        for t in range(6):
            if disk and t == 3:
                file, (leaves, treedef) = io.BytesIO(), jax.tree.flatten((p, state))
                np.savez(file, *map(np.asarray, leaves))
                file.seek(0)
                with np.load(file) as saved:
                    p, state = jax.tree.unflatten(treedef, [jnp.asarray(saved[name]) for name in saved.files])
            step, state = update(jax.tree.map(lambda g, t=t: g[t], gradients), state, p)
            p = optax.apply_updates(p, step)
        return p, state

    assert all(map(np.array_equal, jax.tree.leaves(run(False)), jax.tree.leaves(run(True))))
