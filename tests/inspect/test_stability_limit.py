"""The largest stable learning rate: printed data, exact quadratics, and descent on both sides of it."""

import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import inspect, losses, train

DATA = Path(os.environ.get("JAXNN_DATA", "")) / "seeds"


def half_mean(params, batch):
    x, y = batch
    return jnp.mean((x @ params["w"] + params["b"] - y) ** 2) / 2


def printed(name):
    path = DATA / f"{name}.json"
    if "JAXNN_DATA" not in os.environ or not path.exists():
        pytest.skip(f"JAXNN_DATA does not name a folder with seeds/{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(params=[False, True], ids=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param):
        yield jnp.float64 if request.param else jnp.float32


def test_line_through_two_points(dtype):
    x = jnp.array([[0.14], [0.74]], dtype)
    params = {"w": jnp.array([-4.0], dtype), "b": jnp.array(4.0, dtype)}
    limit = inspect.stability_limit(half_mean, params, (x, 1.02 * x[:, 0] - 0.009))
    assert abs(float(limit) - 1.65403) < 1e-5
    assert limit.dtype == dtype


def test_ten_dimensional_regression(dtype):
    data = printed("linear_10d")
    x, y = jnp.array(data["x"], dtype), jnp.array(data["y"], dtype)
    params = {"w": jnp.zeros(9, dtype), "b": jnp.zeros((), dtype)}
    limit = inspect.stability_limit(half_mean, params, (x, y))
    assert abs(float(limit) - 0.62302) < 1e-5
    assert abs(2 / float(limit) - 3.2101829575) < 1e-4


def test_polynomial_of_degree_four(dtype):
    x = jnp.array(printed("polynomial")["x"], dtype)
    powers = x[:, None] ** jnp.arange(5, dtype=dtype)[None]
    batch = (powers, powers @ jnp.arange(5, dtype=dtype))
    limit = inspect.stability_limit(
        lambda a, b: jnp.mean((b[0] @ a - b[1]) ** 2) / 2, jnp.zeros(5, dtype), batch
    )
    assert abs(float(limit) - 1.1063) < 1e-4


def test_descent_grows_above_the_limit_and_not_below():
    x = jax.random.normal(jax.random.key(0), (8, 3))
    params, batch = {"w": jnp.ones(3), "b": jnp.ones(())}, (x, x[:, 0])
    limit = inspect.stability_limit(half_mean, params, batch)

    @jax.jit
    def after(rate):
        def step(_, p):
            return jax.tree.map(lambda a, g: a - rate * g, p, jax.grad(half_mean)(p, batch))

        return half_mean(jax.lax.fori_loop(0, 300, step, params), batch)

    start = half_mean(params, batch)
    assert after(0.98 * limit) < start < after(1.02 * limit)


@pytest.mark.parametrize("spectrum", [[3.0], [5.0, 5.0, 5.0], [1.0, -100.0, 2.0], list(range(-40, 41))])
def test_largest_eigenvalue_not_the_largest_in_magnitude(spectrum):
    values = jnp.array(spectrum, jnp.float32)
    limit = inspect.stability_limit(lambda p, b: jnp.sum(b * p**2) / 2, jnp.ones(len(spectrum)), values)
    np.testing.assert_allclose(limit, 2 / max(spectrum), rtol=1e-4)


def test_loss_that_curves_downward_has_no_limit():
    assert inspect.stability_limit(lambda p, b: -jnp.sum(p**2), jnp.ones(3), None) == jnp.inf


def test_objective_with_state_and_dropout_is_the_loss_of_training():
    model = nn.chain(nn.dense(3), jnp.tanh, nn.batch_norm(), nn.dropout(0.5), nn.dense(2))
    task = train.supervised(model, losses.cross_entropy)
    key = jax.random.key(0)
    batch = (jax.random.normal(key, (6, 4)), jnp.array([0, 1, 1, 0, 1, 0]))
    params, state = task.init(key, batch)
    flat, unravel = jax.flatten_util.ravel_pytree(params)

    def loss(v):
        y, _ = model.apply(unravel(v), state, batch[0], key=key, train=True)
        return jnp.mean(losses.cross_entropy(y, batch[1]))

    largest = np.linalg.eigvalsh(np.asarray(jax.jit(jax.hessian(loss))(flat)))[-1]
    limit = inspect.stability_limit(task, params, batch, state=state, key=key, train=True)
    np.testing.assert_allclose(limit, 2 / largest, rtol=1e-3)


def test_a_value_from_outside_is_read_at_each_call():
    outside = {"scale": 1.0}

    def loss(params, batch):
        return outside["scale"] * batch * jnp.sum(params**2) / 2

    np.testing.assert_allclose(inspect.stability_limit(loss, jnp.ones(2), jnp.array(1.0)), 2, rtol=1e-5)
    outside["scale"] = 4.0
    np.testing.assert_allclose(inspect.stability_limit(loss, jnp.ones(2), jnp.array(1.0)), 0.5, rtol=1e-5)


def test_it_works_under_vmap():
    def curvature(scale):
        return inspect.stability_limit(lambda p, b: b * jnp.sum(p**2) / 2, jnp.ones(2), scale)

    np.testing.assert_allclose(jax.jit(jax.vmap(curvature))(jnp.array([1.0, 4.0])), [2, 0.5], rtol=1e-5)


def test_what_is_not_known_raises():
    with pytest.raises(ValueError, match="3 iterations; raise iterations"):
        inspect.stability_limit(
            lambda p, b: jnp.sum(b * p**2), jnp.ones(100), jnp.arange(100.0), iterations=3
        )
    with pytest.raises(ValueError, match="not finite"):
        inspect.stability_limit(lambda p, _: jnp.sum(jnp.sqrt(p)), jnp.zeros(3), None)
    with pytest.raises(TypeError, match="must be a scalar"):
        inspect.stability_limit(lambda p, _: p, jnp.zeros(3), None)
    with pytest.raises(TypeError, match="arrays of one dtype"):
        inspect.stability_limit(lambda p, _: p, {"a": jnp.zeros(3), "n": jnp.zeros(3, int)}, None)
    with pytest.raises(TypeError, match="expected an Objective or a function"):
        inspect.stability_limit(3, jnp.zeros(3), None)
