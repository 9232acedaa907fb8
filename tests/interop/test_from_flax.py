"""Weights from linen and nnx, and back: equal outputs, gradients and statistics."""

import re

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax_models import MODELS, draw, filled

import jaxnn as nn
from jaxnn import interop
from jaxnn.interop._flax_call import flax_promotion

DTYPES = {"float32": (np.float32, 1e-5), "float64": (np.float64, 1e-10)}


def linen_case(name, dtype):
    case = MODELS[name]
    case = case._replace(linen=case.linen(dtype))
    x = draw(*case.shape).astype(dtype)
    flags = {"train": False} if name == "resnet" else {}
    with flax_promotion():
        variables = filled(
            dict(jax.eval_shape(lambda: case.linen.init(jax.random.key(0), x, **flags))), dtype
        )
    return case, x, variables


def nnx_case(name, dtype):
    case = MODELS[name]
    graphdef, state = nnx.split(nnx.eval_shape(lambda: case.nnx(nnx.Rngs(0), dtype)))
    module = nnx.merge(graphdef, filled(state, dtype))
    return case, draw(*case.shape).astype(dtype), module


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MODELS)
def test_linen(name, dtype):
    kind, tolerance = DTYPES[dtype]
    with jax.enable_x64(dtype == "float64"):
        case, x, variables = linen_case(name, kind)
        model = case.model()
        for train in case.trains:
            found = interop.check_flax(
                case.linen, model, x, case.linen_names, variables=variables, train=train
            )
            assert found.tolerance == tolerance
        back_and_forth(case, model, x, variables, case.linen_names)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MODELS)
def test_nnx(name, dtype):
    kind, tolerance = DTYPES[dtype]
    with jax.enable_x64(dtype == "float64"):
        case, x, module = nnx_case(name, kind)
        model = case.model()
        for train in case.trains:
            found = interop.check_flax(module, model, x, case.nnx_names, train=train)
            assert found.tolerance == tolerance
        back_and_forth(case, model, x, module, case.nnx_names)


def back_and_forth(case, model, x, source, names):
    """Ours have the trees of init; theirs come back bit for bit, and other weights of ours arrive too."""
    trees = interop.from_flax(source, model, x, names)
    made = jax.eval_shape(lambda: model.init(jax.random.key(0), x))
    assert jax.tree.map(jnp.shape, trees) == jax.tree.map(jnp.shape, made)
    back = interop.to_flax(*trees, model, x, source, names)
    assert type(back) is type(source)
    same(weights(back), weights(source))
    doubled = jax.tree.map(lambda leaf: leaf + leaf, trees)
    same(interop.from_flax(interop.to_flax(*doubled, model, x, source, names), model, x, names), doubled)
    same(weights(source), weights(back))


def weights(source):
    return (
        nnx.to_pure_dict(nnx.state(source, nnx.Not(nnx.RngState)))
        if isinstance(source, nnx.Module)
        else source
    )


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_from_linen_to_nnx_through_ours():
    case, x, variables = linen_case("lenet", np.float32)
    model, module = case.model(), case.nnx(nnx.Rngs(1), np.float32)
    trees = interop.from_flax(variables, model, x, case.linen_names)
    before = weights(module)
    other = interop.to_flax(*trees, model, x, module, case.nnx_names)
    with flax_promotion():
        np.testing.assert_allclose(other(jnp.asarray(x)), case.linen.apply(variables, x), rtol=1e-6)
    same(weights(module), before)


def test_shapes_alone_are_enough_to_go_back():
    case, x, variables = linen_case("lenet", np.float32)
    model = case.model()
    trees = interop.from_flax(variables, model, x, case.linen_names)
    with flax_promotion():
        like = jax.eval_shape(case.linen.init, jax.random.key(0), x)
    same(interop.to_flax(*trees, model, x, like, case.linen_names), variables)


def test_a_state_of_nnx_and_parameters_alone():
    module = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    x, model = jnp.ones((1, 3)), nn.dense(2)
    trees = interop.from_flax(nnx.state(module), model, x, {"": ""})
    state = interop.to_flax(*trees, model, x, nnx.state(module), {"": ""})
    assert isinstance(state, nnx.State)
    bare = {"kernel": module.kernel[...], "bias": module.bias[...]}
    same(interop.from_flax(bare, model, x, {"": ""}), trees)
    same(interop.to_flax(*trees, model, x, bare, {"": ""}), bare)


@pytest.mark.parametrize("target", ["Scan_0.Dense_0", "Dense_{copy}"])
def test_copies_come_stacked_or_one_by_one(target):
    model, x = nn.chain(nn.repeat(nn.chain(nn.dense(3), jnp.tanh), 2)), jnp.ones((1, 3))
    kernels, biases = draw(2, 3, 3), draw(2, 3)
    if "copy" in target:
        tree = {f"Dense_{i}": {"kernel": kernels[i], "bias": biases[i]} for i in range(2)}
    else:
        tree = {"Scan_0": {"Dense_0": {"kernel": kernels, "bias": biases}}}
    names = {"repeat_0.dense_0": target}
    params, state = interop.from_flax({"params": tree}, model, x, names)
    np.testing.assert_array_equal(params["repeat_0"]["dense_0"]["kernel"], kernels)
    same(interop.to_flax(params, state, model, x, {"params": tree}, names), {"params": tree})


def test_nnx_has_no_second_bias_of_a_gru():
    model, x = nn.gru(4), jnp.ones((1, 5, 3))
    module = nnx.GRUCell(3, 4, rngs=nnx.Rngs(0))
    params, state = interop.from_flax(module, model, x, {"": ""})
    assert not params["recurrent_bias"].any()
    params["recurrent_bias"] = jnp.ones(4)
    with pytest.raises(ValueError, match="recurrent_bias has no place in this Flax cell"):
        interop.to_flax(params, state, model, x, module, {"": ""})


KERNEL, BIAS = np.ones((3, 2), np.float32), np.zeros(2, np.float32)


@pytest.mark.parametrize(
    ("tree", "names", "message"),
    [
        (
            {"Dense_0": {"kernel": KERNEL}},
            {"dense_0": "Dense_0"},
            "dense_0 (dense): no array 'Dense_0.bias'; did you mean",
        ),
        (
            {"Dense_0": {"kernel": KERNEL, "bias": BIAS}},
            {"dense_0": "Dens"},
            "no array 'Dens.bias'; did you mean",
        ),
        (
            {"Dense_0": {"kernel": KERNEL.T, "bias": BIAS}},
            {"dense_0": "Dense_0"},
            "dense_0.kernel: expected float32[3, 2], got float32[2, 3] from Dense_0.kernel",
        ),
        (
            {"Dense_0": {"kernel": KERNEL, "bias": BIAS}, "Dense_1": {"bias": BIAS}},
            {"dense_0": "Dense_0"},
            "1 array(s) belong to no layer of this model: Dense_1.bias",
        ),
        (
            {"dense_0": {"kernel": KERNEL, "bias": BIAS}},
            {"dense_9": "x"},
            "names has 'dense_9', which is no layer",
        ),
    ],
)
def test_what_does_not_fit_is_named(tree, names, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        interop.from_flax({"params": tree}, nn.chain(nn.dense(2)), jnp.ones((1, 3)), names)


def test_going_back_names_what_does_not_fit():
    model, x = nn.chain(nn.dense(2)), jnp.ones((1, 3))
    params, state = model.init(jax.random.key(0), x)
    like = {"params": {"dense_0": {"kernel": KERNEL, "bias": BIAS}, "more": {"kernel": KERNEL}}}
    with pytest.raises(ValueError, match=r"to_flax: nothing of this model goes to more\.kernel"):
        interop.to_flax(params, state, model, x, like)
    with pytest.raises(ValueError, match=r"to_flax: dense_0\.bias: not in params"):
        interop.to_flax(
            {"dense_0": {"kernel": KERNEL}},
            state,
            model,
            x,
            {"params": {"dense_0": like["params"]["dense_0"]}},
        )


def test_check_finds_another_epsilon():
    theirs = linen.LayerNorm(1e-3)
    x = draw(2, 4).astype(np.float32)
    variables = theirs.init(jax.random.key(0), x)
    with pytest.raises(ValueError, match=r"check_flax: .* further apart than 1e-05"):
        interop.check_flax(theirs, nn.layer_norm(), x, {"": ""}, variables=variables)


def test_what_is_nothing_of_flax():
    with pytest.raises(TypeError, match=r"from_flax: expected the variables of linen.* got \[\]"):
        interop.from_flax([], nn.dense(2), jnp.ones((1, 3)))
