"""Convolutions padded beyond their kernel, and by less than nothing, against sums written out in NumPy.

jaxlib 0.10.2 reads memory that was never written in some of their gradients, so each case is drawn several times.
"""

from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import ops


def _cells(cells, outputs, tap, stride, dilation, low, spread):
    """The cell under a tap for each output, and whether there is one: not in padding or between spread cells."""
    at = np.arange(outputs) * stride + tap * dilation - low
    real = (at >= 0) & (at <= (cells - 1) * spread) & (at % spread == 0)
    return np.where(real, at // spread, 0), real


def _convolution(x, kernel, cotangent, strides, padding, dilation, groups, spread):
    """Value and both gradients of a convolution of ``x`` with its cells ``spread`` apart, one tap at a time."""
    (*window, inputs, features), outputs = kernel.shape, cotangent.shape[1:-1]
    own = np.kron(np.eye(groups), np.ones((inputs, features // groups)))
    y, dx, dkernel = np.zeros(cotangent.shape), np.zeros(x.shape), np.zeros(kernel.shape)
    for taps in np.ndindex(*window):
        axes = zip(
            x.shape[1:-1], outputs, taps, strides, dilation, [low for low, _ in padding], spread, strict=True
        )
        at, real = zip(*(_cells(*axis) for axis in axes), strict=True)
        place, mask = (slice(None), *np.ix_(*at)), reduce(np.multiply.outer, real)[None, ..., None]
        weights, rows = np.tile(kernel[taps], (groups, 1)) * own, x[place] * mask
        y += rows @ weights
        np.add.at(dx, place, (cotangent @ weights.T) * mask)
        product = rows.reshape(-1, rows.shape[-1]).T @ cotangent.reshape(-1, features)
        dkernel[taps] = (own * product).reshape(groups, inputs, features).sum(0)
    return y, dx, dkernel


def _check(operation, x_shape, kernel_shape, strides, padding, dilation, groups, dtype, transposed, seeds):
    call = partial(operation, strides=strides, padding=padding, dilation=dilation, groups=groups)
    spec = jax.eval_shape(
        call, jax.ShapeDtypeStruct(x_shape, dtype), jax.ShapeDtypeStruct(kernel_shape, dtype)
    )

    @jax.jit
    def everything(x, kernel, cotangent):
        y, back = jax.vjp(call, x, kernel)
        return y, *back(cotangent)

    ones = (1,) * len(strides)
    steps, spread = (ones, strides) if transposed else (strides, ones)
    tolerance = 3e-2 if dtype == "bfloat16" else 1e-5
    for seed in seeds:
        rng = np.random.default_rng(seed)
        arrays = [jnp.asarray(rng.normal(size=shape), dtype) for shape in (x_shape, kernel_shape, spec.shape)]
        wide = [np.asarray(array, np.float64) for array in arrays]
        expected = _convolution(*wide, steps, padding, dilation, groups, spread)
        for got, exact in zip(everything(*arrays), expected, strict=True):
            assert got.dtype == dtype
            error = np.abs(np.asarray(got, np.float64) - exact).max()
            assert error <= tolerance * max(1, np.abs(exact).max())


def _drawn(seed, lowest):
    """Shapes and arguments of up to three axes, at least one of them padded beyond the kernel's reach."""
    rng = np.random.default_rng(seed)
    rank = 1 + seed % 3
    groups, inputs, outputs = (int(n) for n in rng.integers(1, (4, 5, 4)))
    most = (0, 11, 10, 7)[rank]
    cells, window, strides, dilation = (
        rng.integers(least, most, rank).tolist() for least, most in ((4, most), (1, 4), (1, 3), (1, 3))
    )
    reach = [(size - 1) * step for size, step in zip(window, dilation, strict=True)]
    padding = [
        (int(rng.integers(lowest, r + 4)), int(rng.integers(r + 1 if axis == 0 else 0, r + 4)))
        for axis, r in enumerate(reach)
    ]
    cells = [n + r for n, r in zip(cells, reach, strict=True)]
    x, kernel = (2, *cells, groups * inputs), (*window, inputs, groups * outputs)
    return x, kernel, tuple(strides), tuple(padding), tuple(dilation), groups


REPORTED = {
    "two groups": ((1, 6, 2), (2, 1, 8), (1,), ((3, 0),), (1,), 2, "float32"),
    "three groups": ((2, 9, 6), (3, 2, 3), (1,), ((5, 0),), (1,), 3, "bfloat16"),
    "pictures": ((2, 9, 10, 4), (3, 3, 4, 8), (1, 1), ((3, 5), (4, 0)), (1, 1), 1, "float32"),
    "more features": ((2, 9, 10, 8), (3, 3, 8, 5), (1, 1), ((3, 5), (4, 0)), (1, 1), 1, "float32"),
    "one tap": ((2, 5, 6, 3), (1, 1, 3, 4), (1, 1), ((0, 2), (3, 0)), (1, 1), 1, "float32"),
    "steps that leave cells over": (
        (2, 10, 9, 3),
        (3, 3, 3, 4),
        (2, 2),
        ((1, 0), (4, 3)),
        (1, 1),
        1,
        "float32",
    ),
}


@pytest.mark.parametrize("formulation", [None, "lax"])
@pytest.mark.parametrize("case", REPORTED.values(), ids=REPORTED)
def test_a_convolution_padded_beyond_its_kernel(case, formulation):
    _check(partial(ops.conv, formulation=formulation), *case, transposed=False, seeds=range(4))


@pytest.mark.parametrize("formulation", ["rows", "lax"])
@pytest.mark.parametrize("seed", range(6))
def test_drawn_convolutions_padded_beyond_their_kernel(seed, formulation):
    dtype = "bfloat16" if seed % 4 == 1 else "float32"
    case = (*_drawn(seed, 0), dtype)
    _check(partial(ops.conv, formulation=formulation), *case, transposed=False, seeds=(seed, 100))


@pytest.mark.parametrize("formulation", ["patches", "lax"])
@pytest.mark.parametrize("seed", range(6))
def test_drawn_transposed_convolutions_padded_widely_or_negatively(seed, formulation):
    dtype = "bfloat16" if seed % 4 == 1 else "float32"
    case = (*_drawn(seed, -2), dtype)
    _check(partial(ops.conv_transpose, formulation=formulation), *case, transposed=True, seeds=(seed, 100))


@pytest.mark.parametrize(
    "padding", [((2, -2), (0, 0)), ((-2, 2), (0, 0)), ((-2, 2), (-1, -1)), ((0, 0), (5, -2))]
)
def test_transposed_convolutions_whose_padding_cancels(padding):
    case = ((2, 9, 10, 4), (3, 3, 4, 5), (1, 1), padding, (1, 1), 1, "float32")
    _check(partial(ops.conv_transpose, formulation="lax"), *case, transposed=True, seeds=range(3))


def test_a_layer_padded_beyond_its_kernel_has_the_same_gradient_at_each_call():
    layer = nn.conv(8, (2,), padding=((3, 0),), groups=2, use_bias=False)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 6, 2)), jnp.float32)
    params, _ = layer.init(jax.random.key(0), x)
    gradient = jax.grad(lambda x: jnp.sum(layer.apply(params, {}, x)[0] ** 2))
    kernel = np.asarray(params["kernel"], np.float64)
    rows = ops.conv(x, params["kernel"], padding=((3, 0),), groups=2)
    exact = _convolution(
        np.asarray(x, np.float64), kernel, 2 * np.asarray(rows, np.float64), (1,), ((3, 0),), (1,), 2, (1,)
    )[1]
    for _ in range(5):
        np.testing.assert_allclose(gradient(x), exact, rtol=1e-4, atol=1e-5)


def test_a_second_derivative_of_a_convolution_padded_beyond_its_kernel():
    rng = np.random.default_rng(1)
    x, dx = (jnp.asarray(rng.normal(size=(1, 6, 4)), jnp.float32) for _ in range(2))
    kernel = jnp.asarray(rng.normal(size=(2, 2, 6)), jnp.float32)

    def loss(x, padding):
        return jnp.sum(jnp.sin(ops.conv(x, kernel, padding=padding, groups=2)))

    def slope(x, padding):
        return jax.jvp(jax.grad(partial(loss, padding=padding)), (x,), (dx,))[1]

    # Outputs of padding alone are constants.
    np.testing.assert_allclose(slope(x, ((3, 2),)), slope(x, ((1, 1),)), rtol=1e-4, atol=1e-5)
