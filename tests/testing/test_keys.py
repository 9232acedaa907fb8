"""The walk over keys sees every draw, through every kind of control flow."""

import jax
import jax.numpy as jnp
import pytest

from jaxnn.testing._keys import check_keys, draws_random_numbers

KEY = jax.random.key(3)


def fails(function):
    verdict = check_keys("keys", function, KEY)[0]
    return bool(verdict.detail)


def draw(key):
    return jax.random.normal(key, (2,))


@pytest.mark.parametrize(
    "function",
    [
        lambda k: draw(k) + draw(k),
        lambda k: draw(jax.random.fold_in(k, 1)) + draw(jax.random.fold_in(k, 1)),
        lambda k: draw(k) + draw(jax.random.split(k)[0]),
        lambda k: jax.lax.scan(lambda c, _: (c + draw(k), None), jnp.zeros(2), length=2)[0],
        lambda k: jax.lax.fori_loop(0, 2, lambda _, c: c + draw(k), jnp.zeros(2)),
        lambda k: jax.lax.scan(
            lambda c, x: (c, c + x + draw(k)), jnp.zeros(2), jnp.ones((2, 2)), reverse=True
        )[1],
        lambda k: jax.lax.while_loop(lambda c: c[0] + draw(k)[0] < 9, lambda c: c + 5, jnp.zeros(2)),
        lambda k: jax.vmap(lambda s: jax.lax.scan(lambda c, _: (c + draw(k), None), s, length=2)[0])(
            jnp.ones((3, 2))
        ),
        lambda k: jax.vmap(draw)(jnp.stack([k, k])),
        lambda k: jax.jit(draw)(k) + jax.checkpoint(draw)(k),
        lambda k: draw(k) + jax.lax.cond(True, draw, lambda k: jnp.zeros(2), k),
        lambda k: sum(jax.random.key_data(jax.random.split(k, 2)).sum() for _ in range(2)),
    ],
    ids=[
        "twice",
        "fold",
        "split",
        "scan",
        "fori",
        "scan backwards",
        "while",
        "scan mapped",
        "vmap",
        "jit and remat",
        "cond",
        "words",
    ],
)
def test_a_key_used_twice_is_found(function):
    assert fails(function)


@pytest.mark.parametrize(
    "function",
    [
        draw,
        lambda k: sum(draw(each) for each in jax.random.split(k, 3)),
        lambda k: jax.vmap(draw)(jax.random.split(k, 3)),
        lambda k: jax.lax.scan(
            lambda c, i: (c + draw(jax.random.fold_in(k, i)), None), jnp.zeros(2), jnp.arange(3)
        )[0],
        lambda k: jax.lax.scan(
            lambda c, x: ((c[0] + draw(x[0]), x[1]), {"x": x[1]}),
            (jnp.zeros(2), jnp.zeros((3, 2))),
            (jax.random.split(k, 3), jnp.ones((3, 3, 2))),
            reverse=True,
        ),
        lambda k: jax.lax.fori_loop(
            0, 3, lambda i, c: c + jax.lax.cond(i > 0, draw, draw, jax.random.fold_in(k, i)), jnp.zeros(2)
        ),
        lambda k: jax.vmap(lambda k: jax.lax.map(draw, jax.random.split(k, 3)))(jax.random.split(k)),
        lambda k: jax.lax.cond(False, draw, lambda k: 2 * draw(k), k),
        lambda k: jax.lax.scan(lambda c, _: (c, draw(k)), 0.0, length=0)[1],
        lambda k: jax.random.permutation(k, 5),
        lambda k: jax.random.gamma(k, 2.0, (3,)),
        lambda k: jax.random.key_data(jax.random.split(k, jax.random.key_data(k).size)).sum(),
    ],
    ids=[
        "once",
        "split",
        "vmap",
        "scan",
        "scan of trees backwards",
        "fori",
        "map in vmap",
        "cond",
        "no steps",
        "permutation",
        "gamma",
        "shape of the words",
    ],
)
def test_disciplined_code_passes(function):
    assert not fails(function)


def test_splitting_alone_is_not_drawing():
    assert not draws_random_numbers(lambda k: jax.random.split(k), KEY)
    assert draws_random_numbers(draw, KEY)
    assert not draws_random_numbers(lambda k: jnp.ones(2), KEY)


def test_unused_draws_do_not_count():
    assert not fails(lambda k: (draw(k), draw(k))[0])
