"""Global pooling, upsampling and padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import draw

import jaxnn as nn

MASK = np.arange(5) < np.array([[5], [3], [0], [1]])
POOLS = {"global_max_pool": np.max, "global_avg_pool": np.mean}


def apply(layer, x):
    return layer.apply({}, {}, x)[0]


@pytest.mark.parametrize("name", POOLS)
def test_global_pool_equals_numpy(name):
    x = np.asarray(draw(2, 3, 4, 5), np.float32)
    layer = getattr(nn, name)
    np.testing.assert_allclose(apply(layer(), x), POOLS[name](x, (1, 2)), rtol=1e-6)
    np.testing.assert_allclose(apply(layer((-2, 0)), x), POOLS[name](x, (0, 2)), rtol=1e-5)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("content", [np.nan, np.inf, -1e30])
def test_global_pool_takes_real_positions_alone(name, content):
    """A row without real positions gives 0 with gradient 0."""
    x = np.asarray(draw(4, 5, 2), np.float32)
    padded = jnp.asarray(np.where(MASK[..., None], x, np.float32(content)))
    run = lambda x: apply(getattr(nn, name)(), nn.Masked(x, jnp.asarray(MASK)))  # noqa: E731
    wanted = np.stack(
        [POOLS[name](row[real], 0) if real.any() else np.zeros(2) for row, real in zip(x, MASK, strict=True)]
    )
    np.testing.assert_allclose(run(padded), wanted, rtol=1e-5)
    dx = np.asarray(jax.grad(lambda x: run(x).sum())(padded))
    assert np.all(dx[~MASK] == 0)
    np.testing.assert_allclose(dx.sum(1), np.where(MASK.any(1)[:, None], np.ones((4, 2)), 0), rtol=1e-6)


def test_what_is_left_of_a_mask_stays():
    x, mask = jnp.ones((2, 3, 4, 5)), jnp.asarray(MASK[:2, :3])
    kept = apply(nn.global_avg_pool((2,)), nn.Masked(x, mask))
    np.testing.assert_array_equal(kept.mask, mask)
    assert kept.value.shape == (2, 3, 5)
    assert apply(nn.global_avg_pool(), nn.Masked(x, mask)).shape == (2, 5)
    deep = jnp.zeros((2, 3, 4), bool).at[0, 1, 2].set(True)
    left = apply(nn.global_max_pool((2,)), nn.Masked(x, deep))
    np.testing.assert_array_equal(left.mask, deep.any(2))
    np.testing.assert_array_equal(left.value[..., 0], deep.any(2))


def test_equal_largest_values_share_the_gradient():
    dx = jax.grad(lambda x: apply(nn.global_max_pool(), x).sum())(jnp.ones((1, 4, 2)))
    np.testing.assert_array_equal(dx, np.full((1, 4, 2), 0.25))


def test_mean_of_bfloat16_is_summed_in_float32():
    y = apply(nn.global_avg_pool(), jnp.ones((1, 1000, 1), jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    assert y.item() == 1.0


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_upsample_equals_pytorch(rank):
    torch = pytest.importorskip("torch")
    x = np.asarray(draw(2, *(4, 3, 2)[:rank], 3), np.float32)
    factors = (2, 3, 4)[:rank]
    tensor = torch.tensor(np.moveaxis(x, -1, 1).copy())
    for method, theirs in (("nearest", "nearest"), ("linear", ["linear", "bilinear", "trilinear"][rank - 1])):
        wanted = torch.nn.functional.interpolate(
            tensor, scale_factor=tuple(map(float, factors)), mode=theirs
        ).numpy()
        y = apply(nn.upsample(factors, method), x)
        np.testing.assert_allclose(np.moveaxis(y, -1, 1), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
def test_pad_equals_numpy(mode):
    x = np.asarray(draw(2, 4, 3, 2), np.float32)
    options = {"constant_values": 7.0} if mode == "constant" else {}
    wanted = np.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), mode, **options)
    np.testing.assert_array_equal(apply(nn.pad(((1, 2), (0, 1)), mode, 7.0), x), wanted)


@pytest.mark.parametrize("layer", [nn.upsample((2,)), nn.pad(((1, 1),))])
def test_layers_that_would_forget_a_mask_refuse_it(layer):
    with pytest.raises(TypeError, match="can't honour a mask"):
        apply(layer, nn.Masked(jnp.ones((2, 3, 1)), jnp.ones((2, 3), bool)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.global_max_pool(1), "axes must be a tuple of ints or None, got int 1"),
        (lambda: nn.global_avg_pool((True,)), "axes must be ints"),
        (
            lambda: apply(nn.global_avg_pool((-1,)), jnp.ones((2, 3, 4))),
            "distinct axes of the input before its last",
        ),
        (lambda: apply(nn.global_max_pool(), jnp.ones((2, 0, 4))), "nothing to pool"),
        (lambda: apply(nn.global_max_pool(), jnp.ones((2, 4))), "at least 3 axes"),
        (lambda: apply(nn.global_max_pool(), jnp.ones((2, 3, 4), int)), "floating-point input"),
        (lambda: nn.upsample(2), "factors must be a tuple of positive ints"),
        (lambda: nn.upsample((2,), "cubic"), "method must be one of 'nearest', 'linear'"),
        (lambda: nn.pad((1, 1)), r"write \(\(1, 1\), \(1, 1\)\)"),
        (lambda: nn.pad(((1, -1),)), "must not be negative"),
        (lambda: nn.pad(((1, 1.0),)), "widths must be ints"),
        (lambda: nn.pad(((1, 1),), "mirror"), "mode must be one of"),
        (lambda: apply(nn.pad(((1, 1),), "reflect"), jnp.ones((2, 1, 3))), "needs 2 cell"),
    ],
)
def test_bad_arguments_and_inputs_are_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
