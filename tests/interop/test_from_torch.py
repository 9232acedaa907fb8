"""Weights from PyTorch: equal outputs and gradients, and errors that name what does not fit."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch_models import MODELS, draw

import jaxnn as nn
from jaxnn import interop, surgery

torch = pytest.importorskip("torch")

DTYPES = {"float32": (np.float32, 1e-5), "float64": (np.float64, 1e-10)}
# What float64 alone proves need not be compiled twice.
PAIRS = [
    (name, dtype)
    for name in MODELS
    for dtype in DTYPES
    if dtype == "float64"
    or name not in ("encoder pre-norm", "upsampler", "behind a flatten", "cells", "fused")
]


@pytest.mark.parametrize(("name", "dtype"), PAIRS)
def test_outputs_and_gradients_are_equal(name, dtype):
    case = MODELS[name]
    kind, tolerance = DTYPES[dtype]
    torch.manual_seed(0)
    module = case.module()
    module = module.double() if kind is np.float64 else module
    for buffer, value in module.named_buffers():
        if "running" in buffer:
            value.copy_(torch.rand_like(value) + 0.5)
    x = draw(*case.shape).astype(kind)
    for train in case.trains:
        found = interop.check_torch(
            module, case.model(), x, case.names, inputs=case.inputs, outputs=case.outputs, train=train
        )
        assert found.tolerance == tolerance
        assert len(found.errors) == len(list(module.named_parameters())) + 2
        assert f"{len(found.errors)} arrays agree to {tolerance:.0e}" in str(found)


def linear_and_model():
    return torch.nn.Sequential(torch.nn.Linear(3, 2)), nn.chain(nn.dense(2))


def test_trees_are_those_of_init():
    for case in MODELS.values():
        x = jax.ShapeDtypeStruct(case.shape, jnp.float32)
        model = case.model()
        found = interop.from_torch(case.module().state_dict(), model, x, case.names)
        made = jax.eval_shape(lambda model=model, x=x: model.init(jax.random.key(0), x))
        assert jax.tree.structure(found) == jax.tree.structure(made)
        for ours, expected in zip(jax.tree.leaves(found), jax.tree.leaves(made), strict=True):
            assert (ours.shape, ours.dtype) == (expected.shape, expected.dtype)


def test_no_memory_is_shared_with_the_module():
    module, model = linear_and_model()
    params, _ = interop.from_torch(module.state_dict(), model, jnp.ones((1, 3)), {"dense_0": "0"})
    before = params["dense_0"]["kernel"].copy()
    with torch.no_grad():
        module[0].weight.zero_()
    np.testing.assert_array_equal(params["dense_0"]["kernel"], before)


def test_the_module_is_left_as_it_was():
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    model = nn.chain(nn.dense(4), nn.batch_norm())
    module.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    interop.check_torch(
        module, model, draw(5, 3).astype(np.float32), {"dense_0": "0", "batch_norm_0": "1"}, train=True
    )
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_check_finds_a_wrong_gate_order_and_a_wrong_flatten():
    """Both give equal shapes, so nothing but numbers can tell."""
    case = MODELS["lenet"]
    names = {**case.names, "dense_0": "fc1"}
    with pytest.raises(
        ValueError, match=r"check_torch: .* further apart than 1e-05, .*: output, gradient of"
    ):
        interop.check_torch(
            case.module(), case.model(), draw(*case.shape).astype(np.float32), names, inputs=case.inputs
        )
    swapped = {"bidirectional_{i}.forward": "*_l{i}_reverse", "bidirectional_{i}.backward": "*_l{i}"}
    case = MODELS["bidirectional lstm"]
    with pytest.raises(ValueError, match="further apart"):
        interop.check_torch(
            case.module(), case.model(), draw(*case.shape).astype(np.float32), swapped, outputs=case.outputs
        )


def test_tokens_tied_stacks_and_leaves_of_ones_own():
    """Integer inputs, copies stacked by ``repeat``, a layer that no rule knows."""

    def scale():
        return nn.stateless(
            "scale",
            lambda key, x: {"scale": jnp.ones((1, x.shape[-1]))},
            lambda p, x: x * jnp.broadcast_to(p["scale"], x.shape),
        )

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(7, 4)
            self.layers = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(3))
            self.gamma = torch.nn.Parameter(torch.randn(4, 1))

        def forward(self, x):
            h = self.words(x)
            for layer in self.layers:
                h = torch.tanh(layer(h))
            return h * self.gamma.T

    model = nn.chain(nn.embedding(7, 4), nn.repeat(nn.chain(nn.dense(4), jnp.tanh), 3), scale())
    names = {
        "embedding_0": "words",
        "repeat_0.dense_0": "layers.{copy}",
        "scale_0.scale": interop.Tensor("gamma", permute=(1, 0)),
    }
    torch.manual_seed(1)
    found = interop.check_torch(Net(), model, np.arange(6).reshape(2, 3), names)
    assert len(found.errors) == 9


@pytest.mark.parametrize(
    ("weights", "names", "message"),
    [
        (
            {"fc.weight": (2, 3)},
            {"dense_0": "fd"},
            "dense_0 (dense): no tensor 'fd.weight'; did you mean 'fc.weight'?",
        ),
        (
            {"fc.weight": (2, 3)},
            {"dense_0": "fc"},
            "dense_0 (dense): no tensor 'fc.bias'; did you mean 'fc.weight'?",
        ),
        (
            {"fc.weight": (2, 4), "fc.bias": (2,)},
            {"dense_0": "fc"},
            "dense_0.kernel: expected float32[3, 2], got float64[4, 2]",
        ),
        (
            {"fc.weight": (2, 3), "fc.bias": (2,), "old.weight": (1,)},
            {"dense_0": "fc"},
            "1 tensor(s) belong to no layer of this model: old.weight",
        ),
        (
            {"fc.weight": (2, 3), "fc.bias": (2,)},
            {"dense_0": "fc", "dens_1": "x"},
            "names has 'dens_1', which is no layer",
        ),
        ({"dense_0.weight": (2, 3), "dense_0.bias": (2,)}, None, None),
    ],
)
def test_what_does_not_fit_is_named(weights, names, message):
    arrays = {name: np.ones(shape) for name, shape in weights.items()}
    if message is None:
        interop.from_torch(arrays, nn.chain(nn.dense(2)), jnp.ones((1, 3)), names)
        return
    with pytest.raises(ValueError, match=re.escape(f"from_torch: {message}")):
        interop.from_torch(arrays, nn.chain(nn.dense(2)), jnp.ones((1, 3)), names)


def test_a_layer_that_no_rule_knows():
    mystery = nn.stateless("mystery", lambda key, x: {"gain": jnp.ones(3)}, lambda p, x: x * p["gain"])
    with pytest.raises(
        ValueError, match=r"no rule tells where a layer of kind 'mystery' finds gain; map them"
    ):
        interop.from_torch({"gain": np.ones(3)}, nn.chain(mystery), jnp.ones(3), {"mystery_0": "gain"})


def test_what_is_no_tensor():
    with pytest.raises(TypeError, match=r"expected a state dict, got \[int 1\]; pass module\.state_dict"):
        interop.from_torch([1], nn.dense(2), jnp.ones((1, 3)))  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"w\.weight: expected a tensor or an array, got str"):
        interop.from_torch({"w.weight": "x"}, nn.dense(2), jnp.ones((1, 3)), {"": "w"})
    sparse = {"w.weight": torch.ones(2, 3).to_sparse(), "w.bias": torch.ones(2)}
    with pytest.raises(TypeError, match=r"w\.weight: .*; convert it first, as in tensor\.float\(\)"):
        interop.from_torch(sparse, nn.dense(2), jnp.ones((1, 3)), {"": "w"})
    nowhere = torch.nn.Linear(3, 2, device="meta").state_dict()
    with pytest.raises(TypeError, match=r"weight: .*no data!.*; convert it first"):
        interop.from_torch(nowhere, nn.dense(2), jnp.ones((1, 3)), {"": "*"})


@pytest.mark.parametrize(
    "name",
    [
        "bfloat16",
        "float16",
        "float8_e4m3fn",
        "float8_e5m2",
        "float8_e4m3fnuz",
        "float8_e5m2fnuz",
        "float8_e8m0fnu",
    ],
)
def test_dtypes_that_numpy_lacks_come_bit_for_bit(name):
    raw = torch.arange(256, dtype=torch.uint8)
    bits = raw if "float8" in name else torch.arange(2**16, dtype=torch.int32).to(torch.uint16)
    tensor = bits.view(getattr(torch, name))
    model, x = nn.embedding(len(bits), 1), jnp.ones(1, jnp.int32)
    params, _ = interop.from_torch({"weight": tensor[:, None]}, model, x, {"": ""})
    found = params["embedding"][:, 0]
    assert found.dtype == getattr(jnp, name).dtype
    np.testing.assert_array_equal(found.view(bits.numpy().dtype), bits.numpy())
    one = interop.from_torch({"w": tensor[0]}, nn.prelu(), jnp.ones(1), {"negative_slope": "w"})[0]
    assert one["negative_slope"].dtype == found.dtype


def test_a_bfloat16_module_is_compared():
    module, model = linear_and_model()
    x = draw(4, 3).astype(jnp.bfloat16)
    found = interop.check_torch(module.bfloat16(), model, x, {"dense_0": "0"}, tolerance=0.05)
    assert max(found.errors.values()) < 0.02


def test_a_published_file_is_read_without_torch(tmp_path):
    from safetensors.torch import save_file

    module, model = linear_and_model()
    save_file(module.state_dict(), tmp_path / "x")
    x, names = jnp.ones((1, 3)), {"dense_0": "0"}
    found = interop.from_torch(interop.load_safetensors(tmp_path / "x"), model, x, names)
    expected = interop.from_torch(module.state_dict(), model, x, names)
    assert surgery.difference(found[0], expected[0]).equal


def test_torch_is_never_imported():
    import subprocess
    import sys

    code = (
        "import sys, numpy as np, jax.numpy as jnp, jaxnn as nn\n"
        "from jaxnn import interop\n"
        "interop.from_torch({'weight': np.ones((2, 3)), 'bias': np.ones(2)}, nn.dense(2), jnp.ones((1, 3)), {'': '*'})\n"
        "print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
