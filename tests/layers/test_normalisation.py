"""Normalisation equals Flax's and PyTorch's, survives offsets, constants and padding, under every transformation."""

import functools

import flax.linen as fnn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import assert_close, cotangent, draw, to_numpy, value_and_gradients

import jaxnn as nn

MASK = np.arange(5) < np.array([[5], [3], [0], [1]])
SHAPE = (4, 5, 6)
LAYERS = {
    "layer_norm": nn.layer_norm(),
    "rms_norm": nn.rms_norm(),
    "group_norm": nn.group_norm(3),
    "instance_norm": nn.instance_norm(),
    "batch_norm": nn.batch_norm(momentum=0.9),
}
STATE = {"mean": draw(6, seed=2), "var": np.square(draw(6, seed=3)) + 0.5}


def _params(layer, dtype):
    spec, _ = jax.eval_shape(layer.init, jax.random.key(0), jax.ShapeDtypeStruct(SHAPE, dtype))
    return {name: jnp.asarray(draw(*leaf.shape, seed=1), dtype) for name, leaf in spec.items()}


def _state(name, dtype):
    return {key: jnp.asarray(leaf, dtype) for key, leaf in STATE.items()} if name == "batch_norm" else {}


@functools.cache
def ours(name, dtype="float64", train=True):
    """Parameters, input, and output, state and gradients of the layer."""
    layer = LAYERS[name]
    with jax.enable_x64(True):
        params, state = _params(layer, dtype), _state(name, dtype)
        x = jnp.asarray(draw(*SHAPE), dtype)
        run = lambda p, x: layer.apply(p, state, x, train=train)  # noqa: E731
        y, grads = value_and_gradients(lambda p, x: run(p, x)[0], params, x)
        _, after = jax.tree.map(np.asarray, jax.jit(run)(params, x))
        return jax.tree.map(np.asarray, params), np.asarray(x), (y, grads), after


FLAX = {
    "layer_norm": fnn.LayerNorm(epsilon=1e-5, use_fast_variance=False, param_dtype=jnp.float64),
    "rms_norm": fnn.RMSNorm(param_dtype=jnp.float64),
    "group_norm": fnn.GroupNorm(3, epsilon=1e-5, use_fast_variance=False, param_dtype=jnp.float64),
    "instance_norm": fnn.InstanceNorm(epsilon=1e-5, use_fast_variance=False, param_dtype=jnp.float64),
}


@pytest.mark.parametrize("name", FLAX)
def test_equals_flax(name):
    params, x, result, _ = ours(name)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        wanted = value_and_gradients(lambda p, x: FLAX[name].apply({"params": p}, x), params, x)
    assert_close(result, wanted, 1e-10)
    assert_close(ours(name, "float32")[2], wanted, 1e-5)


@pytest.mark.parametrize("train", [True, False])
def test_batch_norm_equals_flax(train):
    params, x, result, after = ours("batch_norm", train=train)
    module = fnn.BatchNorm(
        use_running_average=not train, momentum=0.9, use_fast_variance=False, param_dtype=jnp.float64
    )
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):

        def run(p, x):
            return module.apply({"params": p, "batch_stats": STATE}, x, mutable=["batch_stats"])

        wanted = value_and_gradients(lambda p, x: run(p, x)[0], params, x)
        _, mutated = jax.jit(run)(params, x)
    assert_close(result, wanted, 1e-10)
    assert_close(after, dict(mutated["batch_stats"]), 1e-10)
    single = ours("batch_norm", "float32", train)
    assert_close(single[2], wanted, 1e-5)
    assert_close(single[3], dict(mutated["batch_stats"]), 1e-5)


@pytest.mark.parametrize("train", [True, False])
def test_batch_norm_equals_pytorch(train):
    """Values and gradients; PyTorch keeps the unbiased variance, and its momentum is 1 minus ours."""
    torch = pytest.importorskip("torch")
    params, x, result, after = ours("batch_norm", train=train)
    module = torch.nn.BatchNorm1d(6, momentum=0.1, dtype=torch.float64)
    with torch.no_grad():
        for name, value in (("weight", params["scale"]), ("bias", params["bias"])):
            getattr(module, name).copy_(torch.tensor(value))
        module.running_mean.copy_(torch.tensor(STATE["mean"]))
        module.running_var.copy_(torch.tensor(STATE["var"]))
    _compare_torch(torch, module.train(train), x, result)
    count = 20
    unbiased = (
        0.9 * STATE["var"] + (after["var"] - 0.9 * STATE["var"]) * count / (count - 1)
        if train
        else STATE["var"]
    )
    running = {"mean": module.running_mean.numpy(), "var": module.running_var.numpy()}
    assert_close({"mean": after["mean"], "var": unbiased}, running, 1e-10)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "group_norm", "instance_norm"])
def test_equals_pytorch(name):
    torch = pytest.importorskip("torch")
    params, x, result, _ = ours(name)
    module = {
        "layer_norm": lambda: torch.nn.LayerNorm(6, dtype=torch.float64),
        "rms_norm": lambda: torch.nn.RMSNorm(6, eps=1e-6, dtype=torch.float64),
        "group_norm": lambda: torch.nn.GroupNorm(3, 6, dtype=torch.float64),
        "instance_norm": lambda: torch.nn.InstanceNorm1d(6, affine=True, dtype=torch.float64),
    }[name]()
    with torch.no_grad():
        module.weight.copy_(torch.tensor(params["scale"]))
        if "bias" in params:
            module.bias.copy_(torch.tensor(params["bias"]))
    _compare_torch(torch, module, x, result, channels_first=name in ("group_norm", "instance_norm"))


def _compare_torch(torch, module, x, result, channels_first=True):
    move = (lambda a: np.moveaxis(a, -1, 1)) if channels_first else lambda a: a
    back = (lambda a: np.moveaxis(a, 1, -1)) if channels_first else lambda a: a
    tensor = torch.tensor(move(x).copy(), requires_grad=True)
    out = module(tensor)
    leaves = (tensor, *module.parameters())
    dx, *grads = to_numpy(torch.autograd.grad(out, leaves, torch.tensor(move(cotangent(x.shape)).copy())))
    wanted = back(out.detach().numpy()), (dict(zip(("scale", "bias"), grads, strict=False)), back(dx))
    assert_close(result, wanted, 1e-10)


@pytest.mark.parametrize("name", ["layer_norm", "group_norm", "instance_norm", "batch_norm"])
@pytest.mark.parametrize("masked", [False, True])
def test_offset_of_1e4_keeps_the_variance(name, masked):
    """float32 with an offset equals float64 at the same rounded numbers, where one pass loses all digits."""
    rounded = np.asarray(draw(*SHAPE) + 1e4, np.float32)
    mask = MASK if masked else np.ones_like(MASK)

    def run(dtype):
        with jax.enable_x64(dtype == "float64"):
            layer = LAYERS[name]
            params, state = _params(layer, dtype), _state(name, dtype)

            def normalise(p, x):
                x = nn.Masked(x, jnp.asarray(mask)) if masked else x
                y, _ = layer.apply(p, state, x, train=True)
                return jnp.where(mask[..., None], y.value, 0) if masked else y

            return value_and_gradients(normalise, params, jnp.asarray(rounded, dtype))

    assert_close(run("float32"), run("float64"), 1e-5)


def _constant_gradient(u, axes):
    return (u - u.mean(axes, keepdims=True)) / np.sqrt(1e-5)


@pytest.mark.parametrize(
    ("name", "axes"), [("layer_norm", 2), ("group_norm", None), ("instance_norm", 1), ("batch_norm", (0, 1))]
)
@pytest.mark.parametrize("value", [0.1, 12345.678])
def test_constant_values_give_the_bias(name, axes, value):
    """Output exactly the bias; gradient (scale u - mean(scale u)) / sqrt(epsilon), at any offset."""
    layer = LAYERS[name]
    params, state = _params(layer, "float32"), _state(name, "float32")
    x = jnp.full(SHAPE, value, jnp.float32)
    y, (_, dx) = value_and_gradients(lambda p, x: layer.apply(p, state, x, train=True)[0], params, x)
    np.testing.assert_array_equal(y, np.broadcast_to(params["bias"], SHAPE))
    u = cotangent(SHAPE) * np.asarray(params["scale"], np.float64)
    if name == "group_norm":
        wanted = _constant_gradient(u.reshape(4, 5, 3, 2), (1, 3)).reshape(SHAPE)
    else:
        wanted = _constant_gradient(u, axes)
    assert_close(dx, wanted, 1e-5)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("content", [np.nan, 1e30])
def test_padding_reaches_nothing(name, content):
    """Outputs at real positions, gradients of everything, and statistics are those of any other padding, bit for bit."""
    layer = LAYERS[name]
    params, state = _params(layer, "float32"), _state(name, "float32")

    @jax.jit
    def run(x):
        def loss(p, x):
            y, after = layer.apply(p, state, nn.Masked(x, jnp.asarray(MASK)), train=True)
            real = jnp.where(MASK[..., None], y.value, 0)
            return jnp.sum(real * cotangent(SHAPE).astype(np.float32)), (real, after)

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)

    x = np.asarray(draw(*SHAPE), np.float32)
    clean, dirty = (run(np.where(MASK[..., None], x, fill)) for fill in (0.0, np.float32(content)))
    jax.tree.map(np.testing.assert_array_equal, dirty, clean)
    assert np.isfinite(jax.tree.leaves(clean)[0])
    dx = np.asarray(clean[1][1])
    assert np.all(dx[~MASK] == 0)
    assert np.all(np.abs(dx[0]).sum(-1) > 0)


@pytest.mark.parametrize("name", ["group_norm", "instance_norm"])
def test_masked_statistics_are_those_of_the_real_part(name):
    layer = LAYERS[name]
    params = _params(layer, "float32")
    x = jnp.asarray(draw(*SHAPE), jnp.float32)
    run = jax.jit(lambda x: layer.apply(params, {}, x)[0])
    masked = run(nn.Masked(x, jnp.asarray(MASK)))
    np.testing.assert_allclose(masked.value[1, :3], run(x[1:2, :3])[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(masked.mask, MASK)


def test_masked_batch_norm_equals_the_real_positions_alone():
    layer = LAYERS["batch_norm"]
    params, state = _params(layer, "float32"), _state("batch_norm", "float32")
    x = jnp.asarray(draw(*SHAPE), jnp.float32)
    y, after = layer.apply(params, state, nn.Masked(x, jnp.asarray(MASK)), train=True)
    wanted, expected = layer.apply(params, state, x[MASK], train=True)
    assert_close((y.value[MASK], after), (wanted, expected), 1e-5)
    _, untouched = layer.apply(params, state, nn.Masked(x, jnp.zeros_like(MASK)), train=True)
    jax.tree.map(np.testing.assert_array_equal, untouched, state)


def test_batch_norm_and_dropout_trained_in_scan_and_vmapped_over_seeds_equal_single_runs():
    # In float64 throughout: float32 parameters would be rounded otherwise in one compiled program than in another.
    with jax.enable_x64(True):
        own = {"param_dtype": "float64"}
        model = nn.chain(
            nn.dense(4, use_bias=False, **own),  # before a batch norm a bias has no gradient but rounding's
            nn.batch_norm(momentum=0.8, **own),
            jnp.tanh,
            nn.remat(nn.chain(nn.dropout(0.3), nn.dense(1, **own))),
        )
    x = draw(6, 3)

    def train(key):
        params, state = model.init(jax.random.fold_in(key, 0), jnp.asarray(x))

        def loss(params, state, key):
            y, state = model.apply(params, state, jnp.asarray(x), key=key, train=True)
            return jnp.mean(jnp.square(y - 1)), state

        def step(carry, key):
            (value, state), grads = jax.value_and_grad(loss, has_aux=True)(*carry, key)
            return (jax.tree.map(lambda p, g: p - 0.1 * g, carry[0], grads), state), value

        return jax.lax.scan(step, (params, state), jax.random.split(jax.random.fold_in(key, 1), 4))

    with jax.enable_x64(True):
        layers = jax.random.split(jax.random.key(5), 8)
        together = jax.jit(jax.vmap(train))(layers)
        single = jax.jit(train)
        apart = jax.tree.map(lambda *leaves: np.stack(leaves), *(single(key) for key in layers))
        assert {leaf.dtype for leaf in jax.tree.leaves(together)} == {np.dtype("float64")}
        assert_close(together, apart, 1e-12)
    (_, state), losses = together
    assert np.ptp(state["batch_norm_0"]["mean"], 0).min() > 0
    assert np.all(losses[:, -1] < losses[:, 0])


@pytest.mark.parametrize("name", LAYERS)
def test_low_precision_keeps_float32_statistics(name):
    """bfloat16 input with float32 parameters: as exact as the rounded input allows."""
    params, state = _params(LAYERS[name], "float32"), _state(name, "float32")
    x = jnp.asarray(draw(*SHAPE) * 3 + 50, jnp.bfloat16)
    run = jax.jit(lambda x: LAYERS[name].apply(params, state, x, train=True)[0])
    low, wide = run(x), run(x.astype(jnp.float32))
    assert low.dtype == jnp.float32
    assert_close(low, wide, 1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.layer_norm(epsilon=0), "epsilon must be a finite positive number"),
        (lambda: nn.rms_norm(epsilon="small"), "epsilon must be a number"),
        (lambda: nn.group_norm(0), "groups must be a positive int, got 0"),
        (lambda: nn.group_norm(2.5), "groups must be a positive int, got float 2.5"),
        (lambda: nn.instance_norm(param_dtype=jnp.int32), "param_dtype must be a floating-point dtype"),
        (lambda: nn.batch_norm(momentum=1.5), r"momentum must be in \[0, 1\]"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (nn.group_norm(4), jnp.ones((2, 6)), "groups must divide the features, got groups=4"),
        (nn.instance_norm(), jnp.ones((2, 1, 6)), "at least 2 positions"),
        (nn.layer_norm(), jnp.ones((2, 6), jnp.int32), "expected a floating-point input"),
        (nn.layer_norm(), jnp.ones(()), r"expected input \[..., features\]"),
    ],
)
def test_bad_inputs_are_refused(layer, x, message):
    with pytest.raises((ValueError, TypeError), match=message):
        layer.init(jax.random.key(0), x)


@pytest.mark.parametrize("name", LAYERS)
def test_other_features_are_refused(name):
    layer = LAYERS[name]
    with pytest.raises(ValueError, match=rf"{name}: expected input \[..., 6\], got float32\[4, 5, 9\]"):
        layer.apply(_params(layer, "float32"), _state(name, "float32"), jnp.ones((4, 5, 9)))
