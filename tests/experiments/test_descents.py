"""Searches and descents: the numbers that "From calculus to convolutional networks" prints or implies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import (
    line_descent,
    linear_network,
    linear_regression_10d,
    local_search,
    polynomial_regression,
    single_examples,
    stochastic_descent,
)
from experiments.descents import descend
from jaxnn import inspect, optim

X64 = {np.float32: False, np.float64: True}


@pytest.mark.parametrize("dtype", X64)
def test_local_search_takes_every_printed_move(dtype) -> None:
    with jax.enable_x64(X64[dtype]):
        coarse, fine = local_search.walk(0.5, dtype), local_search.walk(0.001, dtype)
    np.testing.assert_array_equal(np.array(local_search.START) + 0.5 * coarse[1:], local_search.PRINTED)
    assert fine[-1].tolist() == [5020, -4009]
    assert len(fine) - 1 == 5960
    np.testing.assert_allclose(np.array(local_search.START) + 0.001 * fine[-1], [1.020, -0.009], atol=1e-12)


def test_a_search_stops_where_it_is_told_and_at_ties() -> None:
    def flat(points):
        return 0.0 * points[:, 0]

    assert int(local_search.search(flat, jnp.zeros(2), 0.5, 10).moves) == 0
    slope = local_search.search(lambda points: points[:, 0], jnp.zeros(2), 0.5, 3)
    assert int(slope.moves) == 3
    assert slope.passed[:, 0].tolist() == [0, -1, -2, -3]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-2), (np.float64, 1e-6)])
def test_learning_rates_on_the_line(dtype, tolerance) -> None:
    """The float64 values are derived from the course's line and start."""
    expected = {
        0.01: 2.7371009751133046, 0.1: 0.653567178803172, 1.0: 5.571114619490685e-07,
        1.5: 1.5182023032721429e-10, 1.6: 3.5161420779198534e-06,
    }  # fmt: skip
    with jax.enable_x64(X64[dtype]):
        batch = line_descent.data(dtype)
        rates = jnp.array([*expected, 1.65, 1.66], dtype)
        params, losses = jax.device_get(line_descent.sweep(rates, batch))
        limit = inspect.stability_limit(line_descent.half_loss, jnp.array(line_descent.START, dtype), batch)
    # A loss of 1.5e-10 is a difference of numbers near 1, of which float32 leaves nothing.
    many = [0, 1, 2, 4] if dtype == np.float32 else [0, 1, 2, 3, 4]
    np.testing.assert_allclose(losses[many, -1], np.array([*expected.values()])[many], rtol=tolerance)
    np.testing.assert_allclose(params[2, -1], [1.017529130061166, -0.007825389433666], rtol=tolerance)
    np.testing.assert_allclose(limit, 1.65403, atol=1e-5)
    assert losses[5, -1] < losses[5, -2]
    assert losses[6, -1] > losses[6, -2]


def test_descent_stops_at_a_small_gradient() -> None:
    with jax.enable_x64(True):
        batch = line_descent.data()
        steps, params = line_descent.until_small(1.0, batch)
        slope = jax.grad(line_descent.half_loss)
        assert float(jnp.sum(slope(params, batch) ** 2)) < line_descent.SMALL
        path, _ = line_descent.sweep(jnp.array([1.0]), batch, 200)
        np.testing.assert_allclose(path[0, int(steps)], params, rtol=1e-12)
        before = jnp.asarray(path[0, int(steps) - 1])
        assert float(jnp.sum(slope(before, batch) ** 2)) >= line_descent.SMALL


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-3), (np.float64, 1e-9)])
def test_ten_dimensional_regression_finds_its_weights(dtype, tolerance) -> None:
    with jax.enable_x64(X64[dtype]):
        batch = linear_regression_10d.data(dtype)
        run = jax.jit(linear_regression_10d.together, static_argnums=2)
        weights, losses = jax.device_get(run(batch, 0.5, 5000))
    np.testing.assert_allclose(weights[-1], np.arange(10), atol=tolerance)
    np.testing.assert_allclose(losses[0], 758.188875, rtol=1e-6)


def test_weights_changed_in_turn() -> None:
    with jax.enable_x64(True):
        batch = linear_regression_10d.data()
        run = jax.jit(linear_regression_10d.one_by_one, static_argnums=2)
        weights, losses = jax.device_get(run(batch, 0.5, 1000))
        limit = inspect.stability_limit(linear_regression_10d.half_loss, jnp.zeros(10), batch)
    np.testing.assert_allclose(losses[[1, 100]], [22.44018412974949, 0.42179546592958], rtol=1e-10)
    np.testing.assert_allclose(losses[1000], 3.855967e-6, rtol=1e-6)
    x, y = (np.asarray(part) for part in batch)
    np.testing.assert_allclose(losses[100], np.mean((x @ weights[100] - y) ** 2), rtol=1e-9)
    np.testing.assert_allclose(limit, 0.62302, atol=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-6)])
def test_polynomial_regression(dtype, tolerance) -> None:
    with jax.enable_x64(X64[dtype]):
        batch = polynomial_regression.data(dtype)
        run = jax.jit(linear_regression_10d.together, static_argnums=2)
        path, losses = jax.device_get(run(batch, 1.0, 10_000))
        limit = inspect.stability_limit(linear_regression_10d.half_loss, jnp.zeros(5, dtype), batch)
        solved = np.asarray(jnp.linalg.lstsq(*batch)[0])
    np.testing.assert_allclose(path[1], polynomial_regression.AFTER_ONE, atol=tolerance)
    np.testing.assert_allclose(path[-1], polynomial_regression.AFTER_ALL, atol=tolerance)
    np.testing.assert_allclose(losses[0], 22.58105022075967, rtol=1e-6)
    np.testing.assert_allclose(solved, np.arange(5), atol=1e-9 if X64[dtype] else 1e-2)
    np.testing.assert_allclose(limit, 1.1063, atol=1e-4)


def test_errors_are_foretold_from_the_curvatures() -> None:
    with jax.enable_x64(True):
        batch = polynomial_regression.data()
        path, _ = jax.device_get(linear_regression_10d.together(batch, 1.0, 200))
    curvatures, foretold = polynomial_regression.predicted_errors(batch, 1.0, [0, 10, 200])
    np.testing.assert_allclose(curvatures[[0, -1]], [3.398e-6, 1.80780], rtol=1e-4)
    x = np.asarray(batch[0])
    directions = np.linalg.eigh(x.T @ x / len(x))[1]
    np.testing.assert_allclose((path[[0, 10, 200]] - np.arange(5)) @ directions, foretold, atol=1e-10)


def test_a_path_keeps_its_start_and_passes_data_by_step() -> None:
    path = descend(
        lambda x, shift: (x - shift) ** 2 / 2, optim.sgd(1.0), jnp.array(5.0), 3, lambda i: (i.astype(float),)
    )
    assert path.params.tolist() == [5.0, 0.0, 1.0, 2.0]
    np.testing.assert_allclose(path.losses, [12.5, 0.5, 0.5, 0.5])


def test_single_examples_and_the_printed_slope() -> None:
    """Deep learning, day 1: the sigmoid's derivative taken at the sigmoid's own output."""
    with jax.enable_x64(True):
        wrong = [float(jax.grad(single_examples.printed_sigmoid)(u)) for u in (0.0, 1.0, 5.0)]
        right = [float(jax.grad(jax.nn.sigmoid)(u)) for u in (0.0, 1.0, 5.0)]
    np.testing.assert_allclose(wrong, [0.2350037, 0.2193619, 0.1972192], atol=1e-7)
    np.testing.assert_allclose(right, [0.25, 0.1966119, 0.0066481], atol=1e-7)


def test_gradients_of_random_batches() -> None:
    data = stochastic_descent.line_points(jax.random.key(0), 1000)
    full = jax.grad(stochastic_descent.loss)(jnp.array(local_search.START), *data)
    measure = jax.jit(stochastic_descent.gradient_noise, static_argnums=(2, 3))
    (mean, single), (_, batch) = (measure(jax.random.key(1), data, size, 4000) for size in (1, 50))
    np.testing.assert_allclose(mean, full, atol=5 * float(single / 4000) ** 0.5)
    # Two variances from 4,000 draws each: their ratio has a standard error of a few percent.
    np.testing.assert_allclose(single / batch, 50, rtol=0.15)


def test_the_first_demo_is_tested_on_another_function() -> None:
    """From calculus to convolutional networks: a perfect model scores 1.3190476 on the printed targets."""
    x = jax.random.uniform(jax.random.key(0), (200_000, 4))
    gap = np.asarray(linear_network.weighted(x) - linear_network.with_powers(x), np.float64)
    np.testing.assert_allclose(np.mean(gap**2), linear_network.FLOOR, atol=0.02)
    np.testing.assert_allclose(gap.mean(), 13 / 12, atol=5e-3)
