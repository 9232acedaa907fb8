"""Every formulation of pooling equals lax's in value and derivative, with ties, padding and low precision."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import inspect, ops
from jaxnn.ops._window import read_window

# name: shape of x, window, arguments
CASES = {
    "2x2": ((2, 6, 7, 3), (2, 2), {}),
    "3x3 in steps of 2": ((2, 9, 8, 3), (3, 3), {"strides": 2}),
    "same": ((2, 7, 9, 2), (3, 2), {"strides": (2, 1), "padding": "SAME"}),
    "pairs": ((2, 6, 5, 2), (3, 3), {"strides": (2, 3), "padding": ((2, 0), (1, 2))}),
    "gaps": ((1, 9, 9, 2), (2, 2), {"strides": 3}),
    "1-D": ((2, 11, 3), (4,), {"strides": 3}),
    "1-D, causal": ((2, 8, 3), (3,), {"strides": 1, "padding": "CAUSAL"}),
    "3-D": ((1, 4, 5, 4, 2), (2, 3, 2), {"padding": "SAME"}),
    "no leading axis": ((6, 7, 3), (2, 2), {}),
    "two leading axes": ((2, 3, 4, 4, 2), (2, 2), {}),
}
POOLS = pytest.mark.parametrize("pool", [ops.max_pool, ops.avg_pool], ids=["max", "avg"])


def _value_and_gradient(x, *, pool):
    y, back = jax.vjp(pool, x)
    return y, back(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))[0]


@POOLS
@pytest.mark.parametrize("name", CASES)
def test_slices_equal_lax(name, pool):
    shape, window, arguments = CASES[name]
    draw = np.random.default_rng(3).integers(-3, 3, size=shape)  # many ties
    with jax.enable_x64(True):
        x = jnp.asarray(draw, jnp.float64)
        results = [
            jax.jit(
                partial(
                    _value_and_gradient,
                    pool=partial(pool, window=window, formulation=formulation, **arguments),
                )
            )(x)
            for formulation in ("slices", "lax")
        ]
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12), *results)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_a_forward_pass_alone_has_the_bits_of_the_one_before_a_gradient(padding):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 7, 9, 2)), jnp.float32)
    x = x.at[0, 2, 3, 1].set(jnp.nan).at[1, 0, 0, 0].set(-jnp.inf)
    call = partial(ops.max_pool, window=(3, 2), padding=padding, formulation="slices")
    np.testing.assert_array_equal(jax.jit(call)(x), jax.jit(lambda x: jax.vjp(call, x)[0])(x))
    if padding == "SAME":
        graph = inspect.computation_graph(lambda x: jnp.nansum(call(x)), x)
        assert "padded_max_pool(x)" in str(graph)


@POOLS
def test_transformations_commute(pool):
    """vmap, scan, checkpoint, forward mode and a second derivative all equal lax's."""
    with jax.enable_x64(True):
        x, dx = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 5, 6, 2)))

        def gradient(x, formulation):
            call = partial(pool, window=(3, 2), strides=2, padding="SAME", formulation=formulation)
            return jax.grad(lambda x: jnp.sum(jnp.sin(call(x))))(x)

        slices, by_lax = partial(gradient, formulation="slices"), partial(gradient, formulation="lax")

        @jax.jit
        def everything(x, dx):
            expected, second = by_lax(x), jax.jvp(by_lax, (x,), (dx,))[1]
            ways = jax.vmap(slices)(x), jax.lax.map(slices, x), jax.checkpoint(slices)(x)
            return expected, second, ways, jax.jvp(slices, (x,), (dx,))[1]

        expected, second, ways, own_second = everything(x, dx)
        for way in ways:
            np.testing.assert_allclose(way, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(own_second, second, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("formulation", ["slices", "lax"])
def test_ties_go_to_the_first(formulation):
    pool = partial(ops.max_pool, window=(2, 2), formulation=formulation)
    gradient = jax.grad(lambda x: jnp.sum(pool(x)))(jnp.zeros((1, 4, 4, 1)))
    np.testing.assert_array_equal(gradient[0, :, :, 0], np.tile([[1.0, 0.0], [0.0, 0.0]], (2, 2)))


@pytest.mark.parametrize("formulation", ["slices", "lax"])
def test_cells_as_low_as_the_padding_before_them_get_the_whole_gradient(formulation):
    pool = partial(ops.max_pool, window=(2, 2), formulation=formulation)
    lowest = jnp.full((1, 3, 3, 1), -jnp.inf)
    gradient = jax.grad(lambda x: jnp.sum(pool(x, strides=2, padding=((1, 0), (1, 0)))))(lowest)
    assert float(gradient.sum()) == 4.0


def _written_out(x, window, arguments, cotangent, largest):
    """Value and gradient of a pool, one output at a time: the first largest cell, or the mean, of real cells."""
    read = read_window("pool", x.shape[1:-1], window, **{"padding": "VALID", **arguments})
    dx = np.zeros(x.shape)
    y = np.zeros((x.shape[0], *read.output(x.shape[1:-1]), x.shape[-1]))
    for place in np.ndindex(*y.shape):
        spans = [
            range(max(at * stride - low, 0), min(at * stride - low + size, cells))
            for at, stride, (low, _), size, cells in zip(
                place[1:-1], read.strides, read.padding, read.size, x.shape[1:-1], strict=True
            )
        ]
        cells = [(place[0], *cell, place[-1]) for cell in itertools.product(*spans)]
        values = np.array([x[cell] for cell in cells])
        y[place] = values.max() if largest else values.mean()
        for cell, share in zip(cells, (np.arange(len(cells)) == values.argmax()) * 1.0, strict=True):
            dx[cell] += cotangent[place] * (share if largest else 1 / len(cells))
    return y, dx


@pytest.mark.parametrize("formulation", [None, "slices", "lax"])
@pytest.mark.parametrize(
    ("shape", "window", "arguments"),
    [
        ((1, 4, 5, 4, 2), (3, 3, 2), {"strides": 2, "padding": "SAME"}),
        ((1, 4, 3, 6, 1), (2, 3, 2), {"strides": (1, 2, 1), "padding": ((1, 1), (2, 2), (0, 0))}),
        ((1, 5, 4, 4, 2), (2, 1, 2), {"strides": (1, 3, 2)}),
        ((2, 7, 6, 2), (3, 2), {"strides": (3, 1), "padding": ((2, 1), (0, 1))}),
        ((2, 15, 3), (4,), {"strides": 2, "padding": ((3, 3),)}),
    ],
)
def test_windows_of_minus_infinity_equal_pooling_written_out(shape, window, arguments, formulation):
    rng = np.random.default_rng(2)
    drawn = rng.integers(-3, 3, size=shape).astype(np.float32)
    x = np.where(rng.random(shape) < 0.8, -np.inf, drawn).astype(np.float32)
    arguments = {"strides": window, **arguments}
    pools = [(ops.max_pool, x, True), (ops.avg_pool, drawn, False)]
    for pool, cells, largest in pools:
        call = partial(pool, window=window, formulation=formulation, **arguments)
        y, dx = jax.jit(partial(_value_and_gradient, pool=call))(cells)
        cotangent = np.cos(np.arange(y.size)).reshape(y.shape)
        expected = _written_out(cells, window, arguments, cotangent, largest)
        np.testing.assert_allclose(y, expected[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(dx, expected[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("formulation", ["slices", "lax"])
def test_max_of_nan_infinity_and_integers(formulation):
    pool = partial(ops.max_pool, window=(2,), formulation=formulation)
    y = pool(jnp.array([[1.0], [jnp.nan], [jnp.nan], [1.0], [-jnp.inf], [-jnp.inf]]))
    np.testing.assert_array_equal(y.ravel(), [np.nan, np.nan, -np.inf])
    y = pool(jnp.array([[-5], [-7], [-9]], jnp.int8), padding="SAME")
    assert y.dtype == jnp.int8
    assert y.ravel().tolist() == [-5, -9]


@pytest.mark.parametrize("formulation", ["slices", "lax"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mean_is_summed_in_float32(formulation, dtype):
    """A sum kept in bfloat16 would stall after 256 cells, and one in float16 overflow."""
    pool = jax.jit(partial(ops.avg_pool, window=(300,), formulation=formulation))
    y = pool(jnp.full((300, 1), 300.0, dtype))
    assert y.dtype == dtype
    assert float(y[0, 0]) == 300.0


def test_mean_divides_by_real_cells():
    y = ops.avg_pool(jnp.ones((1, 5, 5, 1)), (3, 3), strides=2, padding="SAME")
    np.testing.assert_allclose(y, np.ones((1, 3, 3, 1)), rtol=1e-6)


@POOLS
@pytest.mark.parametrize(
    ("shape", "window", "arguments", "message"),
    [
        ((1, 3, 8, 2), (4, 2), {}, "spans 4 cells of spatial axis 0, but the input has 3"),
        ((3, 2), (2, 2), {}, "needs x with at least 3 axes"),
        ((1, 8, 8, 2), (2, 0), {}, "window must be integers of at least 1"),
        ((1, 8, 8, 2), (2, 2), {"strides": (1,)}, "strides has 1 entries"),
        ((1, 8, 8, 2), (2, 2), {"padding": "HALF"}, "unknown padding 'HALF'"),
        ((1, 8, 8, 2), (2, 2), {"padding": ((2, 0), (0, 0))}, "nothing but padding"),
        ((1, 8, 8, 2), (2, 2), {"formulation": "rows"}, "unknown formulation 'rows'"),
    ],
)
def test_errors_name_argument_and_remedy(pool, shape, window, arguments, message):
    with pytest.raises(ValueError, match=f"{pool.__name__}: .*{message}"):
        pool(jnp.ones(shape), window, **arguments)


def test_wrong_types():
    with pytest.raises(TypeError, match="avg_pool: x must be floating, got int32; cast"):
        ops.avg_pool(jnp.ones((4, 1), jnp.int32), (2,))
    with pytest.raises(TypeError, match=r"max_pool: window must have one entry per .* such as \(2, 2\)"):
        ops.max_pool(jnp.ones((4, 4, 1)), 2)
