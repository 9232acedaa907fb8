"""Modules of linen and nnx as layers: state, keys and modes as everywhere else."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxnn as nn
from jaxnn import interop, losses, optim, train

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


class LinenBody(linen.Module):
    rate: float = 0.5

    @linen.compact
    def __call__(self, x, train: bool):
        x = linen.BatchNorm(use_running_average=not train, momentum=0.9)(linen.Dense(4)(x))
        return linen.Dropout(self.rate, deterministic=not train)(x)


class NnxBody(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(3, 4, rngs=rngs), nnx.BatchNorm(4, momentum=0.9, rngs=rngs)])
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.drop(x)


LAYERS = {"linen": lambda: interop.flax_layer(LinenBody()), "nnx": lambda: interop.flax_layer(NnxBody)}
BOTH = pytest.mark.parametrize("layer", [make() for make in LAYERS.values()], ids=list(LAYERS))


def body(drop=True):
    return nn.chain(nn.dense(4), nn.batch_norm(momentum=0.9), *([nn.dropout(0.5)] if drop else []))


@BOTH
def test_it_stands_in_a_chain_and_carries_statistics(layer):
    model = nn.chain(layer.named("body"), jax.nn.relu, nn.dense(1))
    params, state = jax.jit(lambda key: model.init(key, jax.ShapeDtypeStruct(X.shape, X.dtype)))(
        jax.random.key(0)
    )
    assert sorted(params) == ["body", "dense_0"]
    spec = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), state)
    run = jax.jit(nn.mode(model, train=True))
    y, new = run(params, state, X, jax.random.key(1))
    assert y.shape == (6, 1)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), new) == spec
    (mean,) = (leaf for path, leaf in jax.tree_util.tree_leaves_with_path(new) if "mean" in str(path))
    hidden = X @ next(leaf for leaf in jax.tree.leaves(params["body"]) if leaf.shape == (3, 4))
    np.testing.assert_allclose(mean, 0.1 * hidden.mean(0), rtol=1e-5, atol=1e-7)
    # Weights from a file are NumPy's.
    _, loaded = model.apply(*jax.tree.map(np.asarray, (params, state)), X, key=jax.random.key(1), train=True)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.allclose(a, b, atol=1e-6)), loaded, new))
    _, same = model.apply(params, new, X)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), same, new))


@BOTH
def test_its_randomness_is_that_of_its_key(layer):
    params, state = layer.init(jax.random.key(0), X)
    run = jax.jit(lambda key: layer.apply(params, state, X, key=key, train=True)[0])
    one, again, other = run(jax.random.key(1)), run(jax.random.key(1)), run(jax.random.key(2))
    np.testing.assert_array_equal(one, again)
    assert (one == 0).sum() > 0
    assert not np.array_equal(one == 0, other == 0)
    for call in (layer.apply, jax.jit(layer.apply, static_argnames="train")):
        with pytest.raises(ValueError, match="needs a random key here; pass key="):
            call(params, state, X, train=True)
    assert np.isfinite(layer.apply(params, state, X)[0]).all()


@BOTH
def test_gradients_and_statistics_are_those_of_our_layers(layer):
    """The layer in evaluation equals ours with its weights, and trains to lower losses in ``fit``."""
    params, state = layer.init(jax.random.key(0), X)
    flat = {"params": params, **state} if "batch_stats" in state else {"params": params, "rest": state}
    names = (
        {"dense_0": "Dense_0", "batch_norm_0": "BatchNorm_0"}
        if "batch_stats" in state
        else {"dense_0": "layers.0", "batch_norm_0": "layers.1"}
    )
    ours = interop.from_flax(flat, body(), X, names)

    def loss(layer):
        return lambda params, state: jnp.sum(jnp.sin(layer.apply(params, state, X)[0]))

    found, expected = jax.grad(loss(layer))(params, state), jax.grad(loss(body()))(*ours)
    moved, _ = interop.from_flax({**flat, "params": found}, body(), X, names)
    for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_it_trains_in_fit():
    model = nn.chain(
        interop.flax_layer(LinenBody(0.0)), interop.flax_layer(lambda rngs: nnx.Linear(4, 1, rngs=rngs))
    )
    task = train.supervised(model, losses.squared_error)
    data = X, X.sum(-1, keepdims=True)
    result = train.fit(
        task, optim.adam(0.05), data, epochs=15, batch_size=6, key=jax.random.key(0), progress=False
    )
    assert result.history["loss"][-1] < 0.8 * result.history["loss"][0]


def test_an_instance_of_nnx_brings_its_weights():
    module = nnx.Linear(3, 2, rngs=nnx.Rngs(7))
    layer = interop.flax_layer(module)
    assert layer.name == "nnx_linear"
    params, state = layer.init(jax.random.key(0), X)
    np.testing.assert_array_equal(params["kernel"], module.kernel[...])
    np.testing.assert_allclose(layer.apply(params, state, X)[0], module(X), rtol=1e-6)


def test_draws_that_nobody_uses_need_no_key():
    """nnx draws a key for the carry of a recurrent layer, which is zeros all the same."""
    layer = interop.flax_layer(lambda rngs: nnx.RNN(nnx.GRUCell(3, 4, rngs=rngs)))
    params, state = layer.init(jax.random.key(0), X[None])
    assert layer.apply(params, state, X[None])[0].shape == (1, 6, 4)


def test_under_vmap_over_seeds():
    layer = interop.flax_layer(linen.Dense(2))
    params, state = jax.vmap(lambda key: layer.init(key, X))(jax.random.split(jax.random.key(0), 3))
    y, _ = jax.vmap(lambda params: layer.apply(params, state, X))(params)
    assert y.shape == (3, 6, 2)
    assert not np.array_equal(y[0], y[1])


def test_mistakes():
    with pytest.raises(TypeError, match="expected a linen module, an nnx module, or a function"):
        interop.flax_layer(3)
    with pytest.raises(TypeError, match=r"expected a function rngs -> nnx module, it gave float32\[2\]"):
        interop.flax_layer(lambda rngs: jnp.ones(2))
    layer = interop.flax_layer(lambda rngs: nnx.Linear(3, 2, rngs=rngs))
    with pytest.raises(ValueError, match="expected 'bias' in the trees"):
        layer.apply({"kernel": jnp.ones((3, 2))}, {}, X)
    with pytest.raises(TypeError, match="can't honour a mask"):
        interop.flax_layer(linen.Dense(2)).init(jax.random.key(0), nn.Masked(X, np.ones(6, bool)))
