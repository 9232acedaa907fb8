"""Small layers over tens of thousands of rows equal NumPy, on both sides of the sizes where jaxlib changes its ways.

jaxlib 0.10.2 miscompiles sums behind a matrix of three columns from 32,769 rows of float32 (16,385 of float64) on.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import losses, optim, train

SIZES = {"float32": (32_768, 32_769, 40_000), "float64": (16_384, 16_385)}
CASES = [(dtype, rows) for dtype, sizes in SIZES.items() for rows in sizes]
TOLERANCE = {"float32": 2e-4, "float64": 1e-10}


def _close(got, expected, dtype):
    got, expected = np.asarray(got, np.float64), np.asarray(expected)
    assert np.abs(got - expected).max() <= TOLERANCE[dtype] * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize(("dtype", "rows"), CASES)
@pytest.mark.parametrize(("inputs", "features"), [(3, 3), (3, 2), (8, 5)])
def test_a_dense_layer_mapped_over_rows_and_summed(inputs, features, dtype, rows):
    rng = np.random.default_rng(0)
    layer = nn.dense(features, param_dtype=dtype)
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray(rng.normal(size=(rows, inputs)), dtype)
        weights = rng.normal(size=(inputs, features)), rng.normal(size=features)
        params = dict(zip(("kernel", "bias"), (jnp.asarray(w, dtype) for w in weights), strict=True))
        wide = [np.asarray(a, np.float64) for a in (x, params["kernel"], params["bias"])]
        y = wide[0] @ wide[1] + wide[2]

        def apply(params, x):
            return layer.apply(params, {}, x)[0]

        def one(params, row):
            return jnp.sum(apply(params, row) ** 2)

        @jax.jit
        def everything(params, x):
            each, by_row = jax.vmap(jax.value_and_grad(one, (0, 1)), (None, 0))(params, x)
            whole, gradient = jax.value_and_grad(lambda p, x: jnp.sum(apply(p, x) ** 2), (0, 1))(params, x)
            return jax.vmap(one, (None, 0))(params, x), each, by_row, whole, gradient

        alone, each, by_row, whole, gradient = everything(params, x)
        _close(jax.jit(apply)(params, x), y, dtype)
        _close(jax.jit(jax.vmap(apply, (None, 0)))(params, x), y, dtype)
        _close(
            jax.jit(jax.vmap(lambda p, x: jnp.sum(apply(p, x) ** 2), (None, 0)))(params, x),
            (y**2).sum(1),
            dtype,
        )
        for values in (alone, each):
            _close(values, (y**2).sum(1), dtype)
        _close(whole, (y**2).sum(), dtype)
        for dx in (by_row[1], gradient[1]):
            _close(dx, 2 * y @ wide[1].T, dtype)
        _close(by_row[0]["kernel"], 2 * wide[0][:, :, None] * y[:, None, :], dtype)
        _close(by_row[0]["bias"], 2 * y, dtype)
        _close(gradient[0]["kernel"], 2 * wide[0].T @ y, dtype)
        _close(gradient[0]["bias"], 2 * y.sum(0), dtype)


@pytest.mark.parametrize("rows", [32_768, 32_769])
def test_a_network_trained_evaluated_and_asked_on_all_rows_at_once(rows):
    rng = np.random.default_rng(1)
    x, targets = (rng.normal(size=(rows, 3)).astype(np.float32) for _ in range(2))
    model = nn.chain(nn.dense(3), jnp.tanh, nn.dense(3))
    task = train.supervised(model, losses.squared_error)
    state = train.TrainState.create(task, optim.sgd(1.0), jax.random.key(0), (x[:2], targets[:2]))
    before = jax.tree.map(lambda leaf: np.array(leaf, np.float64), state.params)
    first, last = before["dense_0"], before["dense_1"]
    hidden = np.tanh(x @ first["kernel"] + first["bias"])
    y = hidden @ last["kernel"] + last["bias"]
    loss = np.mean((y - targets) ** 2)

    _close(train.predict(model, state.params, state.state, x, rows), y, "float32")
    found = train.evaluate(task, state.params, state.state, (x, targets), rows)
    _close(found["loss"], loss, "float32")
    after, record = train.make_step(task, optim.sgd(1.0))(state, (x, targets))
    _close(float(record["loss"].compute()), loss, "float32")
    slope = 2 * (y - targets) / y.size
    inner = slope @ last["kernel"].T * (1 - hidden**2)
    gradients = {
        "dense_0": {"kernel": x.T @ inner, "bias": inner.sum(0)},
        "dense_1": {"kernel": hidden.T @ slope, "bias": slope.sum(0)},
    }
    jax.tree.map(
        lambda old, new, gradient: _close(old - np.asarray(new), gradient, "float32"),
        before,
        after.params,
        gradients,
    )
