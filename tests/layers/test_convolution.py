"""Convolution and its transpose equal Flax's and PyTorch's, values and gradients, with the same weights."""

import functools

import flax.linen as fnn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import assert_close, cotangent, draw, to_numpy, value_and_gradients

import jaxnn as nn
from jaxnn import interop, ops

# name: (input shape, features, kernel size, arguments of nn.conv)
CONV = {
    "1-D": ((2, 7, 3), 4, (3,), {}),
    "1-D causal": ((2, 7, 3), 4, (3,), {"padding": "CAUSAL"}),
    "1-D causal dilated strided": ((2, 9, 3), 4, (2,), {"padding": "CAUSAL", "dilation": 3, "strides": 2}),
    "2-D strided": ((2, 7, 6, 3), 4, (3, 2), {"strides": (2, 3)}),
    "2-D same strided": ((2, 7, 6, 3), 4, (3, 4), {"strides": 2, "padding": "SAME"}),
    "2-D dilated": ((2, 7, 8, 3), 4, (3, 2), {"dilation": (2, 3), "padding": "SAME"}),
    "2-D pairs": ((2, 5, 4, 3), 4, (3, 3), {"padding": ((1, 0), (2, 3))}),
    "2-D grouped": ((2, 5, 5, 4), 6, (3, 3), {"groups": 2}),
    "2-D depthwise": ((2, 5, 5, 4), 4, (3, 3), {"groups": 4, "padding": "SAME"}),
    "3-D": ((1, 4, 3, 5, 2), 3, (2, 2, 3), {"strides": (1, 1, 2), "padding": "SAME"}),
}
# name: (input shape, features, kernel size, strides, padding, dilation)
TRANSPOSED = {
    "1-D": ((2, 5, 3), 4, (3,), 2, "VALID", 1),
    "1-D kernel below stride": ((2, 5, 3), 4, (2,), 3, "VALID", 1),
    "1-D dilated": ((2, 5, 3), 4, (3,), 2, "SAME", 3),
    "2-D": ((2, 4, 3, 3), 4, (4, 3), (2, 3), "SAME", 1),
    "2-D unstrided": ((2, 4, 3, 3), 4, (3, 3), 1, "VALID", 1),
    "2-D pairs": ((2, 4, 3, 3), 4, (3, 3), 2, ((1, 2), (0, 3)), 1),
    "3-D": ((1, 3, 2, 2, 2), 3, (2, 3, 2), 2, "VALID", 1),
}


@functools.cache
def ours(name, dtype="float64"):
    shape, features, size, arguments = CONV[name]
    return _run(nn.conv(features, size, **arguments), shape, dtype)


@functools.cache
def ours_transposed(name, dtype="float64", formulation=None):
    shape, features, size, strides, padding, dilation = TRANSPOSED[name]
    return _run(
        nn.conv_transpose(features, size, strides, padding, dilation=dilation, formulation=formulation),
        shape,
        dtype,
    )


def _run(layer, shape, dtype):
    """Weights, input, and value and gradients of the layer."""
    with jax.enable_x64(True):
        x = jnp.asarray(draw(*shape), dtype)
        spec, _ = jax.eval_shape(layer.init, jax.random.key(0), x)
        params = {name: jnp.asarray(draw(*leaf.shape, seed=1), dtype) for name, leaf in spec.items()}
        result = value_and_gradients(lambda p, x: layer.apply(p, {}, x)[0], params, x)
        return jax.tree.map(np.asarray, params), np.asarray(x), result


def _flax(module, params, x, tolerance, result):
    with jax.enable_x64(True):
        wanted = value_and_gradients(lambda p, x: module.apply({"params": p}, x), params, x)
    assert_close(result, wanted, tolerance)


@pytest.mark.parametrize("name", CONV)
def test_conv_equals_flax(name):
    _, features, size, arguments = CONV[name]
    options = dict(arguments)
    module = fnn.Conv(
        features,
        size,
        options.get("strides", 1),
        options.get("padding", "VALID"),
        kernel_dilation=options.get("dilation", 1),
        feature_group_count=options.get("groups", 1),
        param_dtype=jnp.float64,
    )
    params, x, result = ours(name)
    _flax(module, params, x, 1e-10, result)


@pytest.mark.parametrize("name", ["2-D same strided", "2-D grouped"])
def test_conv_in_float32_is_close_to_float64(name):
    _, _, single = ours(name, "float32")
    assert single[0].dtype == np.float32
    assert_close(single, ours(name)[2], 1e-5)


@pytest.mark.parametrize("name", CONV)
def test_conv_equals_pytorch(name):
    torch = pytest.importorskip("torch")
    _, _, size, arguments = CONV[name]
    params, x, (y, (grads, dx)) = ours(name)
    rank = len(size)
    per_axis = lambda value: (value,) * rank if isinstance(value, int) else value  # noqa: E731
    strides, dilation = (per_axis(arguments.get(key, 1)) for key in ("strides", "dilation"))
    padding = arguments.get("padding", "VALID")
    extent = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    if padding == "CAUSAL":
        padding = ((extent[0] - 1, 0),)
    elif isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(x.shape[1:-1], extent, strides, padding)

    weight = torch.tensor(np.moveaxis(params["kernel"], (-1, -2), (0, 1)).copy(), requires_grad=True)
    bias = torch.tensor(params["bias"], requires_grad=True)
    tensor = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    padded = torch.nn.functional.pad(tensor, [w for pair in reversed(padding) for w in pair])
    function = getattr(torch.nn.functional, f"conv{rank}d")
    out = function(padded, weight, bias, strides, 0, dilation, arguments.get("groups", 1))
    _compare(torch, out, (weight, bias, tensor), y, grads, dx, (0, 1))


def _compare(torch, out, leaves, y, grads, dx, front):
    u = torch.tensor(np.moveaxis(cotangent(y.shape), -1, 1).copy())
    dweight, dbias, dtensor = to_numpy(torch.autograd.grad(out, leaves, u))
    wanted = (
        np.moveaxis(out.detach().numpy(), 1, -1),
        ({"bias": dbias, "kernel": np.moveaxis(dweight, front, (-1, -2))}, np.moveaxis(dtensor, 1, -1)),
    )
    assert_close((y, (grads, dx)), wanted, 1e-10)


@pytest.mark.parametrize("name", TRANSPOSED)
def test_conv_transpose_equals_flax(name):
    _, features, size, strides, padding, dilation = TRANSPOSED[name]
    rank = len(size)
    module = fnn.ConvTranspose(
        features,
        size,
        (strides,) * rank if isinstance(strides, int) else strides,
        padding,
        kernel_dilation=(dilation,) * rank,
        param_dtype=jnp.float64,
    )
    params, x, result = ours_transposed(name)
    _flax(module, params, x, 1e-10, result)


@pytest.mark.parametrize("name", ["1-D kernel below stride", "2-D pairs", "3-D"])
def test_formulations_of_conv_transpose_agree(name):
    _, _, result = ours_transposed(name)
    assert_close(result, ours_transposed(name, formulation="lax")[2], 1e-12)
    assert_close(result, ours_transposed(name, formulation="patches")[2], 1e-12)
    assert_close(ours_transposed(name, "float32")[2], result, 1e-5)


@pytest.mark.parametrize(
    ("rank", "size", "stride", "pad", "extra", "dilation"),
    [(1, 4, 2, 1, 0, 1), (2, 3, 2, 1, 1, 1), (2, 2, 3, 0, 2, 2)],
)
def test_conv_transpose_equals_pytorch(rank, size, stride, pad, extra, dilation):
    torch = pytest.importorskip("torch")
    reach = dilation * (size - 1)
    layer = nn.conv_transpose(
        4, (size,) * rank, stride, ((reach - pad, reach - pad + extra),) * rank, dilation=dilation
    )
    params, x, (y, (grads, dx)) = _run(layer, (2, *(4, 3)[:rank], 3), "float64")
    axes = tuple(range(rank))
    flip = lambda kernel: np.flip(kernel, axes)  # noqa: E731
    weight = torch.tensor(np.moveaxis(flip(params["kernel"]), (-2, -1), (0, 1)).copy(), requires_grad=True)
    bias = torch.tensor(params["bias"], requires_grad=True)
    tensor = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    function = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    out = function(tensor, weight, bias, stride, pad, extra, 1, dilation)
    grads = {"bias": grads["bias"], "kernel": flip(grads["kernel"])}
    _compare(torch, out, (weight, bias, tensor), y, grads, dx, (1, 0))


@pytest.mark.parametrize("formulation", ["patches", "lax"])
@pytest.mark.parametrize("features", [4, 8], ids=["depthwise", "grouped"])
def test_grouped_conv_transpose_equals_pytorch(features, formulation):
    torch = pytest.importorskip("torch")
    groups = 4 if features == 4 else 2
    layer = nn.conv_transpose(
        features, (3, 2), 2, ((1, 2), (1, 1)), groups=groups, formulation=formulation, use_bias=False
    )
    params, x, (y, (grads, dx)) = _run(layer, (2, 3, 4, 4), "float64")
    assert params["kernel"].shape == (3, 2, 4 // groups, features)

    def as_torch(kernel):
        """``(*window, in / groups, features)`` as ``(in, features / groups, *window)``, mirrored."""
        blocks = np.flip(kernel, (0, 1)).reshape(3, 2, 4 // groups, groups, features // groups)
        return blocks.transpose(3, 2, 4, 0, 1).reshape(4, features // groups, 3, 2)

    weight = torch.tensor(as_torch(params["kernel"]).copy(), requires_grad=True)
    tensor = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    out = torch.nn.functional.conv_transpose2d(tensor, weight, None, 2, (1, 0), (1, 0), groups)
    u = torch.tensor(np.moveaxis(cotangent(y.shape), -1, 1).copy())
    wanted = to_numpy((out, *torch.autograd.grad(out, (weight, tensor), u)))
    found = np.moveaxis(y, -1, 1), as_torch(grads["kernel"]), np.moveaxis(dx, -1, 1)
    assert_close(found, wanted, 1e-10)


def test_conv_transpose_is_the_transpose_of_conv():
    """<conv(x), y> = <x, conv_transpose(y)> with the kernel mirrored and its channels exchanged."""
    x, y, kernel = draw(1, 8, 2), draw(1, 3, 4), draw(3, 2, 4)
    with jax.enable_x64(True):
        left = np.vdot(ops.conv(x, kernel, 2), y)
        mirrored = np.swapaxes(kernel[::-1], 1, 2)
        right = np.vdot(x[:, :7], ops.conv_transpose(y, mirrored, 2))
    np.testing.assert_allclose(left, right, rtol=1e-12)


@pytest.mark.parametrize(
    "layer", [nn.conv(1, (3,), padding="CAUSAL"), nn.conv_transpose(1, (3,), 2, "CAUSAL")]
)
def test_causal_outputs_see_no_later_input(layer):
    x = jnp.asarray(draw(1, 6, 1), jnp.float32)
    params, _ = layer.init(jax.random.key(0), x)
    jacobian = jax.jit(jax.jacobian(lambda x: layer.apply(params, {}, x[None, :, None])[0][0, :, 0]))(
        x[0, :, 0]
    )
    outputs, inputs = np.indices(jacobian.shape)
    later = inputs > outputs // (jacobian.shape[0] // 6)
    assert np.all(np.asarray(jacobian)[later] == 0)
    assert np.all(np.diagonal(np.asarray(jacobian)[:: jacobian.shape[0] // 6]) != 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.conv_transpose(0, (3,)), "features must be a positive int, got 0"),
        (lambda: nn.conv_transpose(2, 3), "kernel_size must be a tuple"),
        (lambda: nn.conv_transpose(2, (3, 3), strides=(2,)), "strides must have 2 entries"),
        (lambda: nn.conv_transpose(2, (1, 1, 1, 1)), "1 to 3 entries"),
        (
            lambda: nn.conv_transpose(3, (2,), groups=2),
            "groups must divide features, got groups=2, features=3",
        ),
    ],
)
def test_conv_transpose_refuses_bad_arguments(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (nn.conv(2, (3, 3)), (1, 2, 5, 1), "spans 3 cells of spatial axis 0, but the input has 2"),
        (nn.conv_transpose(2, (3,), padding="FULL"), (1, 4, 1), "unknown padding 'FULL'"),
        (nn.conv_transpose(2, (3,), padding=((0, 0, 0),)), (1, 4, 1), r"must be 1 \(low, high\) pairs"),
        (nn.conv_transpose(2, (3,), padding=((-3, -3),)), (1, 4, 1), "leaves no output"),
        (nn.conv_transpose(2, (3, 3), padding="CAUSAL"), (1, 4, 4, 1), "defined for one spatial axis"),
        (nn.conv_transpose(2, (3,), formulation="rows"), (1, 4, 1), "unknown formulation 'rows'"),
        (nn.conv_transpose(2, (3, 3)), (4, 1), "expected input"),
        (
            nn.conv_transpose(2, (3,), groups=2),
            (1, 4, 3),
            "groups must divide the input's channels, got groups=2",
        ),
    ],
)
def test_convolutions_refuse_bad_inputs(layer, x, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda x: layer.apply(layer.init(jax.random.key(0), x)[0], {}, x)[0], jnp.ones(x))


def test_weights_of_grouped_conv_transpose_come_from_pytorch():
    torch = pytest.importorskip("torch")
    module = torch.nn.ConvTranspose1d(4, 6, 3, 2, groups=2)
    layer, x = nn.conv_transpose(6, (3,), 2, groups=2), draw(2, 5, 4).astype(np.float32)
    params, _ = interop.from_torch(module.state_dict(), nn.chain(up=layer), x, {"up": ""})
    y, _ = layer.apply(params["up"], {}, x)
    wanted = module(torch.tensor(np.moveaxis(x, -1, 1).copy())).detach().numpy()
    np.testing.assert_allclose(np.moveaxis(np.asarray(y), -1, 1), wanted, atol=1e-5)
