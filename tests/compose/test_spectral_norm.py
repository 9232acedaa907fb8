"""Kernels divided by their largest singular value."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def trained(layer, x, steps=60):
    """Parameters and state after enough steps of power iteration."""
    params, state = layer.init(jax.random.key(0), x)
    run = jax.jit(lambda state: layer.apply(params, state, x, train=True)[1])
    for _ in range(steps):
        state = run(state)
    return params, state


def test_the_norm_of_every_kernel_becomes_1():
    with jax.enable_x64(True):
        inner = nn.chain(nn.conv(4, (2, 2), use_bias=False, param_dtype=jnp.float64), nn.flatten())
        layer = nn.spectral_norm(inner)
        x = np.random.default_rng(1).normal(size=(2, 3, 3, 2))
        params, state = trained(layer, x)
        matrix = np.asarray(params["conv_0"]["kernel"]).reshape(8, 4)
        expected = inner.apply(
            {"conv_0": {"kernel": params["conv_0"]["kernel"] / np.linalg.norm(matrix, 2)}}, {}, jnp.asarray(x)
        )[0]
        for train in (False, True):
            y, _ = layer.apply(params, state, jnp.asarray(x), train=train)
            np.testing.assert_allclose(y, expected, rtol=1e-10)


def test_the_gradient_is_that_of_the_quotient():
    with jax.enable_x64(True):
        layer = nn.spectral_norm(nn.dense(4, use_bias=False, param_dtype=jnp.float64))
        x = jnp.asarray(X, jnp.float64)
        params, state = trained(layer, x)
        found = jax.grad(lambda p: jnp.sum(jnp.sin(layer.apply(p, state, x)[0])))(params)["kernel"]

        def exact(kernel):
            return jnp.sum(jnp.sin(x @ (kernel / jnp.linalg.svd(kernel, compute_uv=False)[0])))

        np.testing.assert_allclose(found, jax.grad(exact)(params["kernel"]), rtol=1e-9, atol=1e-12)


def test_a_training_step_equals_flax():
    theirs = linen.SpectralNorm(linen.Dense(4))
    variables = theirs.init(jax.random.key(0), X, update_stats=False)
    y, new = theirs.apply(variables, X, update_stats=True, mutable=["batch_stats"])
    layer = nn.spectral_norm(nn.dense(4))

    def vector(variables):
        return next(v for k, v in variables["batch_stats"].items() if k.endswith("kernel/u"))[0]

    u = vector(variables)
    (params,) = variables["params"].values()
    ours, state = layer.apply(params, {"spectral_norm": {"kernel": u}}, X, train=True)
    np.testing.assert_allclose(ours, y, rtol=1e-5)
    np.testing.assert_allclose(state["spectral_norm"]["kernel"], vector(new), rtol=1e-5)


def test_it_keeps_names_numbers_and_state_of_its_layer():
    inner = nn.chain(nn.dense(4), nn.batch_norm(), nn.dense(2)).named("critic")
    layer = nn.spectral_norm(inner, where="dense_1.*", iterations=3)
    params, state = layer.init(jax.random.key(0), X)
    plain, plain_state = inner.init(jax.random.key(0), X)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), params, plain))
    assert layer.name == "critic"
    assert sorted(state) == sorted([*plain_state, "spectral_norm"])
    assert sorted(state["spectral_norm"]) == ["dense_1"]
    _, new = layer.apply(params, state, X, train=True)
    assert not np.array_equal(new["batch_norm_0"]["mean"], state["batch_norm_0"]["mean"])
    _, same = layer.apply(params, state, X)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), same, state))


def test_stacked_copies_are_normalised_one_by_one():
    layer = nn.spectral_norm(nn.repeat(nn.dense(3), 2))
    params, state = trained(layer, X, 100)
    assert state["spectral_norm"]["kernel"].shape == (2, 3)
    y = X
    for kernel in np.asarray(params["kernel"]):
        y = y @ (kernel / np.linalg.norm(kernel, 2))
    np.testing.assert_allclose(layer.apply(params, state, X)[0], y, rtol=1e-3)


def test_a_kernel_of_zeros_stays():
    layer = nn.spectral_norm(nn.dense(2, kernel_init=jax.nn.initializers.zeros))
    params, state = layer.init(jax.random.key(0), X)
    gradient = jax.grad(lambda p: jnp.sum(layer.apply(p, state, X, train=True)[0]))(params)
    assert np.isfinite(gradient["kernel"]).all()
    assert not layer.apply(params, state, X, train=True)[0].any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.spectral_norm(nn.flatten()), "chose no kernel of 'flatten'"),
        (lambda: nn.spectral_norm(nn.dense(2), where="conv*"), "where='conv\\*' chose no kernel"),
        (lambda: nn.spectral_norm(nn.spectral_norm(nn.dense(2))), "normalised already"),
        (lambda: nn.spectral_norm(nn.dense(2), iterations=0), "iterations must be a positive int"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make().init(jax.random.key(0), X)


def test_a_state_of_another_model():
    layer = nn.spectral_norm(nn.dense(2))
    params, _ = layer.init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="expected state with 'spectral_norm', got"):
        layer.apply(params, {}, X)
