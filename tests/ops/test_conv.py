"""Every formulation of the convolution equals lax's in value and in every derivative."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import ops
from jaxnn.ops import _dispatch

# name: shape of x, shape of kernel, arguments
CASES = {
    "tall 3x3": ((2, 9, 8, 5), (3, 3, 5, 20), {}),
    "one channel": ((2, 7, 8, 1), (3, 2, 1, 18), {}),
    "few features": ((2, 7, 8, 3), (3, 3, 3, 4), {}),
    "same, even kernel": ((2, 8, 7, 17), (4, 2, 17, 3), {"padding": "SAME"}),
    "strides": ((2, 9, 8, 5), (3, 3, 5, 18), {"strides": (2, 3)}),
    "strides, same": ((1, 7, 8, 18), (3, 5, 18, 2), {"strides": 2, "padding": "SAME"}),
    "dilation": ((2, 9, 10, 5), (3, 2, 5, 18), {"dilation": (2, 3)}),
    "pairs": ((2, 6, 5, 18), (3, 3, 18, 2), {"padding": ((0, 3), (2, 1))}),
    "many channels": ((1, 5, 6, 300), (2, 2, 300, 3), {}),
    "pointwise": ((2, 4, 5, 6), (1, 1, 6, 7), {}),
    "pointwise, strides": ((2, 4, 5, 6), (1, 1, 6, 7), {"strides": 2}),
    "whole input": ((2, 4, 3, 17), (4, 3, 17, 2), {}),
    "causal": ((2, 9, 5), (3, 5, 4), {"padding": "CAUSAL", "dilation": 2}),
    "1-D": ((2, 9, 5), (4, 5, 20), {"strides": 2, "padding": "SAME"}),
    "3-D": ((2, 5, 4, 6, 3), (2, 3, 2, 3, 18), {"strides": (1, 1, 2), "padding": "SAME"}),
    "no leading axis": ((7, 8, 5), (3, 3, 5, 18), {}),
    "two leading axes": ((2, 3, 7, 8, 5), (3, 3, 5, 18), {}),
    "groups": ((2, 6, 7, 12), (3, 2, 3, 8), {"groups": 4, "strides": 2}),
    "depthwise in blocks": ((1, 6, 5, 80), (3, 3, 1, 160), {"groups": 80, "padding": "SAME"}),
}
CHUNKED = ("tall 3x3", "strides, same", "1-D", "3-D", "depthwise in blocks")


@pytest.fixture
def kernel_gradient(request, monkeypatch):
    """Sends the small shapes of these tests the way that large ones go: whole patches, or chunks of them."""
    if request.param == "lax":
        monkeypatch.setattr(_dispatch, "_FEW_PRODUCTS", 1 << 40)
    else:
        monkeypatch.setattr(_dispatch, "_FEW_PRODUCTS", 0)
        monkeypatch.setattr(_dispatch, "_FEW_CELLS", 0)
        monkeypatch.setattr(_dispatch, "_SOME_CELLS", 0)
        monkeypatch.setattr(_dispatch, "_FEW_CHANNELS", 0)
    if request.param == "chunks":
        monkeypatch.setattr(_dispatch, "_PATCH_BYTES", 1)
        monkeypatch.setattr(_dispatch, "_ROW_COLUMNS", 1)


def _draw(name, dtype):
    x_shape, kernel_shape, arguments = CASES[name]
    rng = np.random.default_rng(7)
    x, dx = (jnp.asarray(rng.normal(size=x_shape), dtype) for _ in range(2))
    kernel, dkernel = (jnp.asarray(rng.normal(size=kernel_shape), dtype) for _ in range(2))
    return (x, kernel, dx, dkernel), arguments


def _everything(x, kernel, dx, dkernel, *, conv):
    """Value, both gradients, forward mode and forward mode over reverse, in one compilation."""

    def value(x, kernel):
        y = conv(x, kernel)
        return jnp.sum(jnp.sin(y)), y

    gradient = jax.grad(value, argnums=(0, 1), has_aux=True)
    return jax.jvp(gradient, (x, kernel), (dx, dkernel))


@pytest.mark.parametrize(
    ("name", "kernel_gradient"),
    [(name, "patches") for name in CASES]
    + [(name, "chunks") for name in CHUNKED]
    + [(name, "lax") for name in CHUNKED],
    indirect=["kernel_gradient"],
)
def test_rows_equals_lax(name, kernel_gradient):
    with jax.enable_x64(True):
        arrays, arguments = _draw(name, jnp.float64)
        results = [
            jax.jit(partial(_everything, conv=partial(ops.conv, formulation=name, **arguments)))(*arrays)
            for name in ("rows", "lax")
        ]
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-11), *results)


@pytest.mark.parametrize("kernel_gradient", ["chunks"], indirect=True)
def test_transformations_commute(kernel_gradient):
    """Rows of a vmap over inputs and kernels, a scan over them and a checkpoint all equal lax on each."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(3)
        x = jnp.asarray(rng.normal(size=(3, 2, 7, 6, 4)))
        kernel = jnp.asarray(rng.normal(size=(3, 3, 3, 4, 18)))

        def both_gradients(x, kernel, formulation):
            conv = partial(ops.conv, formulation=formulation)
            return jax.grad(lambda x, k: jnp.sum(jnp.sin(conv(x, k))), argnums=(0, 1))(x, kernel)

        def remat(x, kernel):
            conv = jax.checkpoint(partial(ops.conv, formulation="rows"))
            return jax.grad(lambda x, k: jnp.sum(jnp.sin(conv(x, k))), argnums=(0, 1))(x, kernel)

        rows = partial(both_gradients, formulation="rows")

        @jax.jit
        def everything(x, kernel):
            scanned = jax.lax.map(lambda pair: rows(*pair), (x, kernel))
            expected = jax.lax.map(lambda pair: both_gradients(*pair, "lax"), (x, kernel))
            shared = jax.vmap(rows, (0, None))(x, kernel[0]), jax.vmap(rows, (None, 0))(x[0], kernel)
            return expected, (jax.vmap(rows)(x, kernel), scanned, jax.vmap(remat)(x, kernel)), shared

        expected, same, shared = everything(x, kernel)
        close = partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-11)
        for result in same:
            jax.tree.map(close, result, expected)
        for result in shared:
            jax.tree.map(lambda a, b: close(a[0], b[0]), result, expected)


@pytest.mark.parametrize("kernel_gradient", ["chunks"], indirect=True)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float16", 4e-3), ("bfloat16", 3e-2)])
def test_low_precision(dtype, tolerance, kernel_gradient):
    """Gradients are as close to float64 at the same rounded inputs as the dtype allows."""
    arrays, arguments = _draw("strides, same", dtype)

    def gradients(x, kernel, formulation):
        return jax.vjp(partial(ops.conv, formulation=formulation, **arguments), x, kernel)[1]

    x, kernel = arrays[:2]
    back = gradients(x, kernel, "rows")
    cotangent = jnp.ones(jax.eval_shape(partial(ops.conv, **arguments), x, kernel).shape, dtype)
    result = back(cotangent)
    with jax.enable_x64(True):
        wide = [jnp.asarray(np.asarray(a, np.float64)) for a in (x, kernel, cotangent)]
        expected = gradients(*wide[:2], "lax")(wide[2])
    for got, exact in zip(result, expected, strict=True):
        assert got.dtype == dtype
        got, exact = np.asarray(got, np.float64), np.asarray(exact)
        assert np.linalg.norm(got - exact) <= tolerance * np.linalg.norm(exact)


def test_first_layer_computes_no_input_gradient():
    """Nothing is spent on the gradient of an input that nobody differentiates."""
    x, kernel = jnp.ones((2, 8, 8, 4)), jnp.ones((3, 3, 4, 32))

    def convolutions(argnums):
        def loss(kernel, x):
            return jnp.sum(jnp.sin(ops.conv(x, kernel, formulation="rows")))

        return str(jax.make_jaxpr(jax.grad(loss, argnums))(kernel, x)).count("conv_general_dilated[")

    assert convolutions((0, 1)) == convolutions((0,)) + 1


def test_empty_batch_and_integers():
    kernel = jnp.ones((3, 3, 2, 4))
    assert ops.conv(jnp.zeros((0, 8, 8, 2)), kernel).shape == (0, 6, 6, 4)
    y = ops.conv(jnp.ones((1, 3, 3, 2), jnp.int32), jnp.ones((3, 3, 2, 4), jnp.int32))
    assert y.dtype == jnp.int32
    assert y.ravel().tolist() == [18] * 4


X, KERNEL = (2, 8, 8, 4), (3, 3, 4, 6)


@pytest.mark.parametrize(
    ("x", "kernel", "arguments", "message"),
    [
        ((2, 2, 8, 4), KERNEL, {}, "spans 3 cells of spatial axis 0, but the input has 2"),
        (X, KERNEL, {"dilation": 4}, "spans 9 cells of spatial axis 0"),
        ((2, 8, 8, 5), KERNEL, {}, "expects x with 4 channels in its last axis, got 5"),
        (X, (3, 3, 2, 6), {"groups": 3}, "groups=3 must divide the 4 channels"),
        (X, (3, 3, 2, 5), {"groups": 2}, "groups=2 must divide .* the 5 features"),
        (X, KERNEL, {"groups": 0}, "groups must be an integer of at least 1, got 0"),
        (X, KERNEL, {"padding": "FULL"}, "unknown padding 'FULL'; use 'VALID', 'SAME'"),
        (X, KERNEL, {"padding": "CAUSAL"}, "'CAUSAL' is defined for one spatial axis"),
        (X, KERNEL, {"padding": ((1, 1),)}, r"must be 2 \(low, high\) pairs"),
        (X, KERNEL, {"padding": ((-1, 1), (0, 0))}, "must not be negative"),
        (X, KERNEL, {"strides": 0}, "strides must be integers of at least 1"),
        (X, KERNEL, {"strides": (1, 2, 3)}, "strides has 3 entries"),
        (X, (3, 6), {}, "kernel must have 3, 4 or 5 axes"),
        ((8, 4), KERNEL, {}, "needs at least 3 axes"),
        (X, KERNEL, {"formulation": "fft"}, "unknown formulation 'fft'"),
    ],
)
def test_errors_name_argument_and_remedy(x, kernel, arguments, message):
    with pytest.raises(ValueError, match=f"conv: .*{message}"):
        ops.conv(jnp.ones(x), jnp.ones(kernel), **arguments)


def test_dtypes_must_agree():
    with pytest.raises(TypeError, match="conv: x is bfloat16 and kernel is float32; cast"):
        ops.conv(jnp.ones(X, jnp.bfloat16), jnp.ones(KERNEL))
