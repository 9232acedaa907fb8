"""Dropout keeps its probability, its mean and its independence, and its mask follows the key alone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import ops

KEY = jax.random.key(11)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.999])
def test_mean_within_four_sigma(rate):
    count = 10_000_000
    y = jax.jit(partial(ops.dropout, rate=rate))(KEY, jnp.ones(count))
    dropped = int(jnp.sum(y == 0)) / count
    assert abs(dropped - rate) < 4 * np.sqrt(rate * (1 - rate) / count)
    assert np.unique(y).tolist() == [0.0, np.float32(1 / (1 - rate))]


def test_entries_of_one_hash_are_independent():
    """Four entries share a hash, a quarter of the array apart: pairs drop together as often as chance has it."""
    quarter, rate = 1_000_000, 0.3
    dropped = np.asarray(ops.dropout(KEY, jnp.ones((4, quarter)), rate)) == 0
    for first in range(4):
        for second in range(first):
            together = np.mean(dropped[first] & dropped[second])
            assert abs(together - rate**2) < 4 * np.sqrt(rate**2 * (1 - rate**2) / quarter)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (4, 2, 8), (0, 3)])
def test_shapes_and_gradient(shape):
    x = jnp.full(shape, 3.0)
    y, back = jax.vjp(lambda x: ops.dropout(KEY, x, 0.25), x)
    assert y.shape == shape
    (gradient,) = back(jnp.ones_like(x))
    np.testing.assert_allclose(gradient * 3.0, y, rtol=1e-6)


def test_vmap_over_keys_and_rates_equals_one_at_a_time():
    x, keys = jnp.ones(64), jax.random.split(KEY, 3)
    masks = jax.vmap(lambda key: ops.dropout(key, x, 0.5))(keys)
    np.testing.assert_array_equal(masks, np.stack([ops.dropout(key, x, 0.5) for key in keys]))
    assert len({tuple(mask.tolist()) for mask in masks}) == 3
    rates = jnp.array([0.0, 0.25, 0.5])
    by_rate = jax.vmap(lambda rate: ops.dropout(KEY, x, rate))(rates)
    np.testing.assert_array_equal(by_rate, np.stack([ops.dropout(KEY, x, float(rate)) for rate in rates]))


def test_recomputation_draws_the_same_mask():
    x = jnp.linspace(1.0, 2.0, 50)

    def loss(x, wrap):
        return jnp.sum(wrap(lambda x: jnp.sin(ops.dropout(KEY, jnp.sin(x), 0.4)))(x))

    plain, remat = (jax.jit(jax.grad(partial(loss, wrap=wrap)))(x) for wrap in (lambda f: f, jax.checkpoint))
    np.testing.assert_allclose(remat, plain, rtol=1e-6)


def test_rate_zero_is_the_identity():
    x = jnp.arange(3.0)
    assert ops.dropout(KEY, x, 0.0) is x
    np.testing.assert_array_equal(jax.jit(ops.dropout)(KEY, x, 0.0), x)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_is_scaled_in_float32(dtype):
    x = jnp.linspace(0.5, 1.5, 4096, dtype=dtype)
    y = ops.dropout(KEY, x, 0.1)
    assert y.dtype == dtype
    kept = np.asarray(y) != 0
    exact = np.asarray(x, np.float64)[kept] / 0.9
    error = np.mean(np.asarray(y, np.float64)[kept] / exact - 1)
    assert abs(error) < jnp.finfo(dtype).eps / 16


@pytest.mark.parametrize("implementation", ["rbg", "unsafe_rbg"])
def test_other_generators(implementation):
    y = ops.dropout(jax.random.key(0, impl=implementation), jnp.ones(20_000), 0.2)
    assert abs(float(jnp.mean(y == 0)) - 0.2) < 4 * np.sqrt(0.16 / 20_000)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2.5, float("nan")])
def test_bad_rate(rate):
    with pytest.raises(ValueError, match=r"dropout: rate is the probability of being dropped, in \[0, 1\)"):
        ops.dropout(KEY, jnp.ones(3), rate)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"dropout: rate must be a scalar, .* use jax\.vmap"):
        ops.dropout(KEY, jnp.ones(3), jnp.ones(3))
    with pytest.raises(TypeError, match="dropout: x must be floating or complex, got int32; cast"):
        ops.dropout(KEY, jnp.ones(3, jnp.int32), 0.5)
