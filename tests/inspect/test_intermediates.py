"""Outputs of every layer by path, through every composite and transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import inspect

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (4, 3))


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def made(model, x=X):
    return jax.jit(model.init)(KEY, x)


def affine(params, x):
    return x @ params["kernel"] + params["bias"][None]


def test_a_chain_by_hand():
    model = nn.chain(nn.dense(3), jnp.tanh, head=nn.chain(nn.dense(2), nn.dropout(0.5)))
    params, state = made(model)
    found = inspect.intermediates(model, params, state, X)
    z = affine(params["dense_0"], X)
    y = affine(params["head"]["dense_0"], jnp.tanh(z))
    assert list(found) == ["dense_0", "tanh_0", "head.dense_0", "head.dropout_0", "head"]
    for path, value in zip(found, (z, jnp.tanh(z), y, y, y), strict=True):
        np.testing.assert_allclose(found[path], value, rtol=1e-6, atol=1e-6)


@nn.model(encoder=nn.chain(nn.dense(3), nn.batch_norm()), noise=nn.dropout(0.5), head=nn.dense(2))
def twice(m, x):
    """Calls two children twice, one of them in a vmap of its own."""
    h = m.encoder(m.encoder(x))
    return jax.vmap(m.head)(m.noise(h)) + m.head(h)


def composite():
    body = nn.residual(nn.chain(nn.dense(3), jnp.tanh, nn.batch_norm()))
    return nn.chain(
        nn.repeat(body, 3),
        nn.remat(nn.chain(nn.dense(3), nn.batch_norm())),
        nn.cast(nn.batch_norm(), jnp.float32),
        nn.branch(nn.dense(3), jnp.sin),
        nn.parallel(nn.dropout(0.5), twice.named("twice")),
    )


@pytest.fixture(scope="module")
def seen():
    model = composite()
    params, state = made(model)
    return model, params, state, inspect.intermediates(model, params, state, X, key=KEY, train=True)


def test_the_last_entry_is_the_output_of_the_unchanged_model(seen):
    model, params, state, found = seen
    y, _ = model.apply(params, state, X, key=KEY, train=True)
    equal(found["parallel_0"], y)
    equal((found["parallel_0.dropout_0"], found["parallel_0.twice"]), y)


def test_copies_are_stacked(seen):
    _, params, state, found = seen
    y = X
    body = nn.residual(nn.chain(nn.dense(3), jnp.tanh, nn.batch_norm()))
    for i in range(3):
        own = jax.tree.map(lambda leaf, i=i: leaf[i], (params["repeat_0"], state["repeat_0"]))
        y, _ = body.apply(*own, y, train=True)
        both = found["repeat_0.body"][i] + found["repeat_0.shortcut"][i]
        np.testing.assert_allclose(both, y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["repeat_0"], y, rtol=1e-5, atol=1e-5)
    assert found["repeat_0.body.dense_0"].shape == (3, 4, 3)


def test_wrapped_layers_keep_their_paths(seen):
    found = seen[3]
    assert {"chain_0", "chain_0.dense_0", "chain_0.batch_norm_0", "batch_norm_0"} <= set(found)
    equal(found["chain_0"], found["chain_0.batch_norm_0"])


def test_a_layer_called_twice_has_two_entries(seen):
    _, params, _, found = seen
    first, second = (found[f"parallel_0.twice.encoder.dense_0[{i}]"] for i in range(2))
    dense = params["parallel_0"]["twice"]["encoder"]["dense_0"]
    between = found["parallel_0.twice.encoder[0]"]
    np.testing.assert_allclose(second, affine(dense, between), rtol=1e-4, atol=1e-6)
    assert float(jnp.max(jnp.abs(first - second))) > 0.1


def test_a_call_inside_the_authors_own_vmap_is_not_seen(seen):
    assert [path for path in seen[3] if path.startswith("parallel_0.twice.head")] == ["parallel_0.twice.head"]


def test_it_is_a_pure_function(seen):
    model, params, state, found = seen

    traced = []

    @jax.jit
    def run(params, state, x):
        traced.append(x.shape)
        return inspect.intermediates(model, params, state, x, key=KEY, train=True)

    jitted = run(params, state, X)
    assert set(jitted) == set(found)
    for path, value in found.items():
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5), jitted[path], value)
    run(params, state, X + 1)
    assert traced == [X.shape]


def test_gradients_and_vmap_reach_inside():
    model = nn.chain(nn.dense(3), jnp.tanh, nn.dense(2))
    params, state = made(model)

    def inner(params, x):
        return jnp.sum(inspect.intermediates(model, params, state, x)["tanh_0"])

    slope = jax.grad(inner)(params, X)
    assert not jnp.any(slope["dense_1"]["kernel"])
    assert jnp.all(slope["dense_0"]["kernel"] != 0)
    lanes = jax.vmap(lambda p: inspect.intermediates(model, p, state, X))(
        jax.tree.map(lambda a: jnp.stack([a, 2 * a]), params)
    )
    np.testing.assert_allclose(lanes["dense_0"][1], 2 * lanes["dense_0"][0], rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "x", "paths"),
    [
        (nn.dense(2), X, ["dense"]),
        (nn.batch_norm().named("norm"), X, ["norm"]),
        (nn.residual(nn.dense(3)), X, ["body", "shortcut"]),
        (jnp.tanh, X, ["tanh"]),
        (nn.bidirectional(nn.gru(2)), X[None], ["forward", "backward"]),
        (nn.chain(nn.lstm(2), nn.rnn(nn.gru_cell(2))), X[None], ["lstm_0", "rnn_0"]),
        (nn.repeat(nn.repeat(nn.dense(3), 2), 2), X, None),
    ],
)
def test_paths(model, x, paths):
    params, state = made(nn.chain(model)) if callable(model) else made(model, x)
    found = inspect.intermediates(model, params, state, x)
    assert list(found) == (paths or ["repeat"])


def test_transformer_block_shows_its_parts():
    block = nn.transformer_block(2, dropout_rate=0.1)
    x = jax.random.normal(KEY, (2, 3, 4))
    params, state = made(block, x)
    found = inspect.intermediates(
        block, params, state, nn.Masked(x, jnp.ones((2, 3), bool)), key=KEY, train=True
    )
    assert {"attention", "attention_norm", "attention_dropout", "mlp", "mlp.dense_0"} <= set(found)


def test_errors_are_those_of_the_model():
    model = nn.chain(nn.dense(3), nn.dropout(0.5))
    params, state = made(model)
    with pytest.raises(ValueError, match="needs a random key") as caught:
        inspect.intermediates(model, params, state, X, train=True)
    assert caught.value.__notes__ == ["in layer: dropout_0"]
    with pytest.raises(TypeError, match="train must be a Python bool"):
        inspect.intermediates(model, params, state, X, train=1)
    with pytest.raises(TypeError, match="intermediates: key must be a typed random key"):
        inspect.intermediates(model, params, state, X, key=0)
    with pytest.raises(ValueError, match="expected params with"):
        inspect.intermediates(model, {"dense_0": {"kernel": jnp.ones((3, 3))}}, state, X)


def test_user_layers_see_nothing_of_it():
    def apply(params, state, x, *, key=None, train=False):
        assert set(state) == {"count"}
        return x, {"count": state["count"] + 1}

    count = nn.Layer("count", lambda key, x: ({}, {"count": jnp.int32(0)}), apply)
    model = nn.chain(count, nn.chain(count))
    params, state = made(model)
    equal(inspect.intermediates(model, params, state, X)["count_0"], X)
