"""Recurrent layers equal Flax's and PyTorch's with the same weights, in outputs, carries and gradients."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import assert_close, cotangent, draw, to_numpy, value_and_gradients

import jaxnn as nn

BATCH, TIME, INPUTS, FEATURES = 2, 4, 3, 5
LENGTHS = np.array([4, 2])
DTYPES = [(np.float64, 1e-10), (np.float32, 1e-5)]
# Our gates in the order of our kernel, by Flax's names.
FLAX_GATES = {"lstm": "ifgo", "gru": "rzn"}


def from_flax(kind: str, tree: Any) -> Any:
    """Our parameters, from those of a Flax cell."""
    if kind == "simple_rnn":
        names = {"input_kernel": tree["i"]["kernel"], "recurrent_kernel": tree["h"]["kernel"]}
        return names | {"bias": tree["i"]["bias"]}
    gates = FLAX_GATES[kind]
    kernels = [jnp.concatenate([tree[side + gate]["kernel"] for gate in gates], -1) for side in "ih"]
    params = dict(zip(("input_kernel", "recurrent_kernel"), kernels, strict=True))
    side = "h" if kind == "lstm" else "i"
    params["bias"] = jnp.concatenate([tree[side + gate]["bias"] for gate in gates])
    return params if kind == "lstm" else params | {"recurrent_bias": tree["hn"]["bias"]}


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize("kind", ["lstm", "gru", "simple_rnn"])
def test_equals_flax(kind: str, dtype: Any, tolerance: float) -> None:
    with jax.enable_x64(dtype == np.float64):
        cells = {"lstm": linen.LSTMCell, "gru": linen.GRUCell, "simple_rnn": linen.SimpleCell}
        theirs = linen.RNN(
            cells[kind](FEATURES, param_dtype=dtype, dtype=dtype), reverse=True, keep_order=True
        )
        ours = getattr(nn, kind)(FEATURES, reverse=True)
        x = draw(BATCH, TIME, INPUTS).astype(dtype)
        tree = theirs.init(jax.random.key(0), x)["params"]["cell"]
        leaves, structure = jax.tree.flatten(tree)
        drawn = [draw(*leaf.shape, seed=i).astype(dtype) for i, leaf in enumerate(leaves)]
        tree = jax.tree.map(jnp.asarray, structure.unflatten(drawn))
        mask = np.arange(TIME) < LENGTHS[:, None]

        def flax(tree: Any, x: Any) -> Any:
            y = theirs.apply({"params": {"cell": tree}}, x, seq_lengths=LENGTHS)
            return jnp.where(mask[..., None], y, 0)

        def jaxnn(tree: Any, x: Any) -> Any:
            y = ours.apply(from_flax(kind, tree), {}, nn.Masked(x, mask))[0]
            return jnp.where(mask[..., None], y.value, 0)

        assert_close(value_and_gradients(jaxnn, tree, x), value_and_gradients(flax, tree, x), tolerance)


def from_torch(kind: str, weights: Any, suffix: str = "") -> Any:
    """Our parameters, from those of a PyTorch module: kernels transposed, two biases added up."""
    first, second = weights[f"bias_ih_l0{suffix}"], weights[f"bias_hh_l0{suffix}"]
    params = {
        "input_kernel": weights[f"weight_ih_l0{suffix}"].T,
        "recurrent_kernel": weights[f"weight_hh_l0{suffix}"].T,
        "bias": first + second,
    }
    if kind == "gru":
        gates = 2 * FEATURES
        params["bias"] = jnp.concatenate([(first + second)[:gates], first[gates:]])
        params["recurrent_bias"] = second[gates:]
    return params


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "gru", "simple_rnn"])
def test_equals_torch(kind: str, bidirectional: bool, dtype: Any, tolerance: float) -> None:
    torch = pytest.importorskip("torch")
    modules = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "simple_rnn": torch.nn.RNN}
    torch.manual_seed(0)
    module = modules[kind](INPUTS, FEATURES, batch_first=True, bidirectional=bidirectional)
    module = module.to(torch.float64 if dtype == np.float64 else torch.float32)
    x = draw(BATCH, TIME, INPUTS).astype(dtype)
    leaf = torch.from_numpy(x).requires_grad_()
    packed = torch.nn.utils.rnn.pack_padded_sequence(leaf, torch.from_numpy(LENGTHS), batch_first=True)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(module(packed)[0], batch_first=True, total_length=TIME)
    y.backward(torch.from_numpy(cotangent(tuple(y.shape)).astype(dtype)))
    weights = dict(module.named_parameters())
    expected = to_numpy((y, ({name: w.grad for name, w in weights.items()}, leaf.grad)))

    with jax.enable_x64(dtype == np.float64):
        layer = getattr(nn, kind)(FEATURES)
        mask = np.arange(TIME) < LENGTHS[:, None]

        def run(weights: Any, x: Any) -> Any:
            params = from_torch(kind, weights)
            if bidirectional:
                params = {"forward": params, "backward": from_torch(kind, weights, "_reverse")}
            both = nn.bidirectional(layer) if bidirectional else layer
            y = both.apply(params, {}, nn.Masked(x, mask))[0]
            return jnp.where(mask[..., None], y.value, 0)

        assert_close(value_and_gradients(run, to_numpy(weights), x), expected, tolerance)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def test_the_original_form_equals_its_paper() -> None:
    """Cho et al. (2014), equations 5 to 8: the reset gate acts on ``h`` before the product."""
    with jax.enable_x64(True):
        layer = nn.gru(FEATURES, form="original", return_carry=True, param_dtype=jnp.float64)
        shapes = {"input_kernel": (INPUTS, 15), "recurrent_kernel": (FEATURES, 15), "bias": (15,)}
        params = {name: draw(*shape) for name, shape in shapes.items()}
        x, h = draw(BATCH, TIME, INPUTS), draw(BATCH, FEATURES)
        (y, _), _ = jax.jit(lambda p, x, h: layer.apply(p, {}, (x, h)))(params, x, h)
        wr, wu, wn = np.split(params["input_kernel"], 3, -1)
        ur, uu, un = np.split(params["recurrent_kernel"], 3, -1)
        br, bu, bn = np.split(params["bias"], 3)
        for t in range(TIME):
            r = sigmoid(x[:, t] @ wr + h @ ur + br)
            u = sigmoid(x[:, t] @ wu + h @ uu + bu)
            n = np.tanh(x[:, t] @ wn + (r * h) @ un + bn)
            h = u * h + (1 - u) * n
            assert_close(y[:, t], h, 1e-12)


def test_the_original_form_equals_torch_where_the_reset_gate_is_constant() -> None:
    """Both forms are one then: PyTorch's weights give the same outputs and input gradients."""
    torch = pytest.importorskip("torch")
    module = torch.nn.GRU(INPUTS, FEATURES, batch_first=True).double()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight[:FEATURES] = 0.0
            if name == "bias_hh_l0":
                weight[2 * FEATURES :] = 0.0
    leaf = torch.from_numpy(draw(BATCH, TIME, INPUTS)).requires_grad_()
    y = module(leaf)[0]
    y.backward(torch.from_numpy(cotangent(tuple(y.shape))))
    with jax.enable_x64(True):
        layer = nn.gru(FEATURES, form="original")
        params = from_torch("gru", to_numpy(dict(module.named_parameters())))
        del params["recurrent_bias"]
        found, (dx,) = value_and_gradients(lambda x: layer.apply(params, {}, x)[0], leaf.detach().numpy())
        assert_close((found, dx), to_numpy((y, leaf.grad)), 1e-10)
