"""Maxout, PReLU, the step with its surrogates, and Gaussian noise."""

import flax.linen as fnn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import assert_close, cotangent, draw, to_numpy, value_and_gradients

import jaxnn as nn


def apply(layer, x, params=None, **options):
    return layer.apply(params or {}, {}, x, **options)[0]


def test_maxout_is_the_largest_of_neighbouring_features():
    x = np.asarray(draw(3, 5, 6), np.float32)
    np.testing.assert_array_equal(apply(nn.maxout(3), x), x.reshape(3, 5, 2, 3).max(-1))
    dx = jax.grad(lambda x: apply(nn.maxout(2), x).sum())(jnp.array([1.0, 1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(dx, [0.5, 0.5, 0.0, 1.0])


@pytest.mark.parametrize("shared", [True, False])
def test_prelu_equals_flax_and_pytorch(shared):
    layer, x = nn.prelu(shared=shared), draw(5, 3)
    with jax.enable_x64(True):
        slope = jnp.asarray(0.3 if shared else [0.1, 0.2, 0.3])
        result = value_and_gradients(
            lambda p, x: apply(layer, x, p), {"negative_slope": slope}, jnp.asarray(x)
        )
        if shared:
            module = fnn.PReLU(param_dtype=jnp.float64)
            wanted = value_and_gradients(
                lambda p, x: module.apply({"params": p}, x), {"negative_slope": slope}, jnp.asarray(x)
            )
            assert_close(result, wanted, 1e-10)
    torch = pytest.importorskip("torch")
    weight = torch.tensor(np.atleast_1d(slope), requires_grad=True)
    tensor = torch.tensor(x, requires_grad=True)
    out = torch.nn.functional.prelu(tensor, weight)
    dweight, dx = to_numpy(torch.autograd.grad(out, (weight, tensor), torch.tensor(cotangent(x.shape))))
    assert_close(
        result, (out.detach().numpy(), ({"negative_slope": dweight.reshape(slope.shape)}, dx)), 1e-10
    )


def test_padding_of_prelu_reaches_no_gradient():
    layer, mask = nn.prelu(), jnp.array([[True, False]])
    x = jnp.array([[[-1.0], [jnp.nan]]])
    params, _ = layer.init(jax.random.key(0), nn.Masked(x, mask))

    def total(params, x):
        y = apply(layer, nn.Masked(x, mask), params)
        return jnp.sum(jnp.where(y.mask[..., None], y.value, 0))

    slope, dx = jax.grad(total, (0, 1))(params, x)
    assert slope["negative_slope"] == -1.0
    np.testing.assert_array_equal(dx.ravel(), [0.25, 0.0])


X = np.array([-2.0, -0.5, -0.1, 0.0, 0.1, 0.5, 2.0])
# The derivatives of each surrogate as written in its source, at slope 2.
SURROGATES = {
    "zero": lambda x: 0 * x,
    "straight_through": lambda x: 0 * x + 1,
    "clipped": lambda x: 2.0 * (np.abs(2 * x) <= 1),
    "triangle": lambda x: 2 * np.clip(1 - np.abs(2 * x), 0, None),
    "sigmoid": lambda x: 2 * np.exp(-2 * x) / (1 + np.exp(-2 * x)) ** 2,
    "fast_sigmoid": lambda x: 2 / (1 + np.abs(2 * x)) ** 2,
}


@pytest.mark.parametrize("name", SURROGATES)
def test_step_has_the_derivative_that_was_chosen(name):
    layer = nn.step(name, slope=2.0)
    with jax.enable_x64(True):
        y, (dx,) = value_and_gradients(lambda x: apply(layer, x), jnp.asarray(X))
        _, tangent = jax.jvp(lambda x: apply(layer, x), (jnp.asarray(X),), (jnp.ones(7),))
    np.testing.assert_array_equal(y, X >= 0)
    np.testing.assert_allclose(dx, SURROGATES[name](X) * cotangent((7,)), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(tangent, SURROGATES[name](X), rtol=1e-12, atol=1e-300)


def test_step_takes_a_function_and_a_traced_slope():
    x = jnp.asarray(X, jnp.float32)
    dx = jax.grad(lambda x: apply(nn.step(jnp.cos), x).sum())(x)
    np.testing.assert_allclose(dx, np.cos(X), rtol=1e-6)
    by_slope = jax.vmap(jax.grad(lambda x, s: apply(nn.step("triangle", slope=s), x)), (None, 0))
    np.testing.assert_allclose(by_slope(jnp.float32(0.25), jnp.array([1.0, 2.0])), [0.75, 1.0])


def test_network_of_steps_learns_through_its_surrogate():
    """Exclusive or, which no gradient of the step itself would teach."""
    x = jnp.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    model = nn.chain(nn.dense(16), nn.step("fast_sigmoid"), nn.dense(1))
    params, _ = model.init(jax.random.key(1), x)

    def loss(params):
        return jnp.mean(jnp.square(apply(model, x, params)[:, 0] - jnp.array([0.0, 1, 1, 0])))

    @jax.jit
    def train(params):
        update = lambda p, _: (jax.tree.map(lambda p, g: p - 0.1 * g, p, jax.grad(loss)(p)), None)  # noqa: E731
        return jax.lax.scan(update, params, length=500)[0]

    assert loss(train(params)) < 0.01 < loss(params)


def test_gaussian_noise_has_its_deviation_and_stays_out_of_evaluation():
    x = jnp.full(40_000, 3.0)
    key = jax.random.key(0)
    noisy = apply(nn.gaussian_noise(0.5), x, key=key, train=True)
    assert abs(float(noisy.mean()) - 3) < 4 * 0.5 / 200
    assert abs(float(noisy.std()) - 0.5) < 4 * 0.5 / np.sqrt(2 * 40_000)
    np.testing.assert_array_equal(apply(nn.gaussian_noise(0.5), x), x)
    np.testing.assert_array_equal(apply(nn.gaussian_noise(0), x, train=True), x)
    spread = jax.vmap(lambda s: apply(nn.gaussian_noise(s), x[:100], key=key, train=True).std())
    one, two = spread(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.maxout(0), "maxout: pieces must be a positive int, got 0"),
        (lambda: apply(nn.maxout(4), jnp.ones((2, 6))), "pieces must divide the features, got pieces=4"),
        (lambda: nn.prelu(jnp.ones(3)), "prelu: negative_slope must be a number"),
        (lambda: apply(nn.prelu(), jnp.ones(2), {"alpha": 1}), "expected params with 'negative_slope'"),
        (
            lambda: apply(nn.prelu(shared=False), jnp.ones((2, 4)), {"negative_slope": jnp.ones(3)}),
            r"expected input \[..., 3\]",
        ),
        (lambda: nn.step("sigmod"), "did you mean 'sigmoid'"),
        (lambda: nn.step(slope=0.0), "step: slope must be a finite positive number"),
        (lambda: apply(nn.step(), jnp.ones(2, int)), "step: expected a floating-point input"),
        (lambda: nn.gaussian_noise(-1.0), "stddev must be a finite non-negative number"),
        (
            lambda: apply(nn.gaussian_noise(1.0), jnp.ones(2), train=True),
            "gaussian_noise: needs a random key",
        ),
    ],
)
def test_bad_arguments_and_inputs_are_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
