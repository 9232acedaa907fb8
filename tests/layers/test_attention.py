"""Attention equals Flax's and PyTorch's with their weights; masks of every kind do what they say."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

import jaxnn as nn
from jaxnn import ops

BATCH, TIME, SOURCE, FEATURES, HEADS = 2, 5, 4, 8, 4


def _draw(*shapes, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def _params(layer, x, seed=1, dtype=np.float64):
    """Parameters with biases off zero."""
    rng = np.random.default_rng(seed)
    params, _ = layer.init(jax.random.key(0), x)
    return jax.tree.map(lambda p: (np.asarray(p) + 0.2 * rng.normal(size=p.shape)).astype(dtype), params)


def _value_and_gradients(apply):
    """Output, and gradients of a generic function of it by all arguments."""

    def run(*arguments):
        y, back = jax.vjp(apply, *arguments)
        return y, back(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    return jax.jit(run)


def _close(actual, expected, dtype):
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        error = np.linalg.norm(np.asarray(a) - np.asarray(b)) / max(np.linalg.norm(np.asarray(b)), 1.0)
        assert error < (1e-10 if dtype == np.float64 else 1e-5)


def _to_flax(params):
    heads = {"query": HEADS, "key": HEADS, "value": HEADS}
    made = {
        part: {
            "kernel": params[part]["kernel"].reshape(-1, n, FEATURES // HEADS),
            "bias": params[part]["bias"].reshape(n, -1),
        }
        for part, n in heads.items()
    }
    kernel = params["output"]["kernel"].reshape(HEADS, -1, FEATURES)
    return {"params": {**made, "out": {"kernel": kernel, "bias": params["output"]["bias"]}}}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", ["self", "causal", "cross", "cross masked"])
def test_equals_flax(case, dtype):
    with jax.enable_x64(dtype == np.float64):
        x, memory = _draw((BATCH, TIME, FEATURES), (BATCH, SOURCE, FEATURES), dtype=dtype)
        pairs = np.random.default_rng(2).random((BATCH, TIME, SOURCE)) < 0.7
        pairs[..., 0] = True
        layer = nn.attention(HEADS, causal=case == "causal")
        theirs = linen.MultiHeadDotProductAttention(HEADS, dtype=dtype)
        given = {"cross": lambda x, m: (x, m), "cross masked": lambda x, m: (x, m, pairs)}.get(
            case, lambda x, m: x
        )
        params = _params(layer, given(x, memory), dtype=dtype)

        def ours(params, x, memory):
            return layer.apply(params, {}, given(x, memory))[0]

        def flax(params, x, memory):
            mask = {"causal": np.tril(np.ones((1, 1, TIME, TIME), bool)), "cross masked": pairs[:, None]}.get(
                case
            )
            other = memory if case.startswith("cross") else x
            with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
                return theirs.apply(_to_flax(params), x, other, mask=mask)

        _close(*(_value_and_gradients(f)(params, x, memory) for f in (ours, flax)), dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", ["self", "cross", "padding"])
def test_equals_torch(case, dtype):
    torch = pytest.importorskip("torch")
    with jax.enable_x64(dtype == np.float64):
        x, memory, cotangent = _draw(
            (BATCH, TIME, FEATURES), (BATCH, SOURCE, FEATURES), (BATCH, TIME, FEATURES), dtype=dtype
        )
        mask = np.array([[True] * SOURCE, [True, True, False, False]])
        torch.manual_seed(0)
        theirs = torch.nn.MultiheadAttention(FEATURES, HEADS, batch_first=True)
        torch.nn.init.normal_(theirs.in_proj_bias)
        theirs = theirs.to(getattr(torch, np.dtype(dtype).name))
        weights = {name: p.detach().numpy() for name, p in theirs.named_parameters()}

        def torch_params(tree):
            """Our tree from PyTorch's, gradients included."""
            kernels = np.split(tree["in_proj_weight"], 3)
            biases = np.split(tree["in_proj_bias"], 3)
            made = {
                part: {"kernel": kernels[i].T, "bias": biases[i]}
                for i, part in enumerate(("query", "key", "value"))
            }
            return {**made, "output": {"kernel": tree["out_proj.weight"].T, "bias": tree["out_proj.bias"]}}

        inputs = [torch.tensor(a, requires_grad=True) for a in (x, memory)]
        other = inputs[0] if case == "self" else inputs[1]
        ignore = torch.tensor(~mask) if case == "padding" else None
        y, _ = theirs(inputs[0], other, other, key_padding_mask=ignore, need_weights=False)
        y.backward(torch.tensor(cotangent))
        gradients = torch_params({name: p.grad.numpy() for name, p in theirs.named_parameters()})

        def ours(params, x, memory):
            other = nn.Masked(memory, mask) if case == "padding" else memory
            return nn.attention(HEADS).apply(params, {}, x if case == "self" else (x, other))[0]

        value, back = jax.vjp(jax.jit(ours), torch_params(weights), x, memory)
        by_params, *by_inputs = back(cotangent)
        expected = [a.grad.numpy() if a.grad is not None else np.zeros(a.shape) for a in inputs]
        _close((value, by_params, by_inputs), (y.detach().numpy(), gradients, expected), dtype)


def test_grouped_heads_equal_repeated_heads():
    layer, full = nn.attention(4, kv_heads=2), nn.attention(4)
    (x,) = _draw((BATCH, TIME, FEATURES), dtype=np.float32)
    params = _params(layer, x, dtype=np.float32)

    def repeated(part):
        return {
            "kernel": np.repeat(part["kernel"].reshape(FEATURES, 2, 2), 2, axis=1).reshape(FEATURES, 8),
            "bias": np.repeat(part["bias"].reshape(2, 2), 2, axis=0).reshape(8),
        }

    wide = {**params, "key": repeated(params["key"]), "value": repeated(params["value"])}
    y, _ = layer.apply(params, {}, x)
    np.testing.assert_allclose(y, full.apply(wide, {}, x)[0], rtol=1e-5, atol=1e-6)


def _padded(fill, length=5, dtype=np.float32):
    x, memory = _draw((BATCH, length, FEATURES), (BATCH, length, FEATURES), dtype=dtype)
    mask = np.array([[True, True, True, False, True], [False] * 5])[:, :length]
    return [nn.Masked(np.where(mask[..., None], a, fill).astype(dtype), mask) for a in (x, memory)]


@pytest.mark.parametrize("case", ["self", "causal", "memory", "both", "grouped rotary"])
def test_what_stands_in_padding_changes_nothing(case):
    layer = {
        "causal": nn.attention(4, causal=True),
        "grouped rotary": nn.attention(4, kv_heads=1, rotary=True),
    }.get(case, nn.attention(4))
    plain = _draw((BATCH, TIME, FEATURES), seed=5, dtype=np.float32)[0]

    def given(x, memory):
        return {"memory": (plain, memory), "both": (x, memory)}.get(case, x)

    @jax.jit
    def run(params, inputs):
        def apply(params, inputs):
            y, _ = layer.apply(params, {}, given(*inputs))
            if isinstance(y, nn.Masked):
                y = jnp.where(y.mask[..., None], y.value, 0)
            return y

        y, back = jax.vjp(apply, params, inputs)
        by_params, by_inputs = back(jnp.ones_like(y))
        return y, by_params, [g.value for g in by_inputs]

    params = _params(layer, given(*_padded(0.0)), dtype=np.float32)
    results = [run(params, _padded(fill)) for fill in (0.0, 1e30, np.nan, np.inf)]
    for other in results[1:]:
        jax.tree.map(np.testing.assert_array_equal, results[0], other)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results[0]))


def test_a_position_that_sees_nothing_gives_the_bias():
    layer = nn.attention(4)
    x, memory = _draw((BATCH, TIME, FEATURES), (BATCH, SOURCE, FEATURES), dtype=np.float32)
    params = _params(layer, (x, memory), dtype=np.float32)
    y, _ = layer.apply(params, {}, (x, nn.Masked(memory, np.array([[True] * 4, [False] * 4]))))
    np.testing.assert_array_equal(y[1], np.broadcast_to(params["output"]["bias"], y[1].shape))
    assert not np.allclose(y[0], params["output"]["bias"])


def test_masks_of_every_shape_say_the_same():
    layer = nn.attention(4)
    (x,) = _draw((BATCH, TIME, FEATURES), dtype=np.float32)
    params = _params(layer, x, dtype=np.float32)
    window = (np.arange(TIME)[:, None] - np.arange(TIME)[None, :]) ** 2 <= 1
    windowed = nn.attention(4, mask=lambda query, key: (query - key) ** 2 <= 1)
    expected = windowed.apply(params, {}, x)[0]
    for shape in ((), (BATCH,), (1,), (BATCH, 4), (1, 4), (BATCH, 1)):
        mask = np.broadcast_to(window, (*shape, TIME, TIME))
        np.testing.assert_array_equal(layer.apply(params, {}, (x, None, mask))[0], expected)
    both = nn.attention(4, causal=True).apply(params, {}, (x, None, window))[0]
    lower = layer.apply(params, {}, (x, None, np.tril(window)))[0]
    np.testing.assert_allclose(both, lower, rtol=1e-6, atol=1e-6)
    padded = nn.Masked(x, np.arange(TIME)[None, :] < np.array([[3], [5]]))
    both = layer.apply(params, {}, (padded, None, window))[0].value
    alone = layer.apply(params, {}, (x[:1, :3], None, window[:3, :3]))[0]
    np.testing.assert_allclose(both[:1, :3], alone, rtol=1e-5, atol=1e-6)


def test_rotary_composes_to_the_option():
    (x,) = _draw((BATCH, TIME, FEATURES), dtype=np.float32)
    layer = nn.attention(2, rotary=True, causal=True, rotary_base=100.0)
    params = _params(layer, x, dtype=np.float32)
    turn = nn.rotary(100.0)

    def heads(part):
        return (x @ params[part]["kernel"] + params[part]["bias"][None, None]).reshape(BATCH, TIME, 2, 4)

    q, k = (turn.apply({}, {}, jnp.asarray(heads(part)))[0] for part in ("query", "key"))
    y = ops.attention(q, k, jnp.asarray(heads("value")), causal=True).reshape(BATCH, TIME, FEATURES)
    y = y @ params["output"]["kernel"] + params["output"]["bias"][None, None]
    np.testing.assert_allclose(layer.apply(params, {}, x)[0], y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pairs", ["halves", "neighbours"])
def test_rotary_is_a_rotation_by_position(pairs):
    with jax.enable_x64(True):
        (x,) = _draw((1, 6, 1, 8))
        y, _ = nn.rotary(50.0, pairs=pairs).apply({}, {}, jnp.asarray(x))
    angle = np.arange(6)[:, None] * 50.0 ** (-np.arange(0, 8, 2) / 8)
    split = {
        "halves": lambda a: (a[..., :4], a[..., 4:]),
        "neighbours": lambda a: (a[..., ::2], a[..., 1::2]),
    }[pairs]
    z = np.exp(1j * angle) * (split(x)[0] + 1j * split(x)[1])[0, :, 0]
    np.testing.assert_allclose(split(np.asarray(y))[0][0, :, 0], z.real, atol=1e-12)
    np.testing.assert_allclose(split(np.asarray(y))[1][0, :, 0], z.imag, atol=1e-12)


def test_positional_embeddings():
    with jax.enable_x64(True):
        x = jnp.zeros((2, 7, 5))
        y, _ = nn.positional_embedding(kind="sinusoidal").apply({}, {}, x)
        angle = np.arange(7)[:, None] / 10_000.0 ** (2 * (np.arange(5) // 2) / 6)
        expected = np.where(np.arange(5) % 2, np.cos(angle), np.sin(angle))
        np.testing.assert_allclose(y, np.broadcast_to(expected, y.shape), atol=1e-12)
    layer = nn.positional_embedding(9)
    params, _ = layer.init(jax.random.key(0), x)
    masked, _ = layer.apply(params, {}, nn.Masked(jnp.zeros((2, 7, 5), jnp.float32), np.ones((2, 7), bool)))
    np.testing.assert_array_equal(masked.value[1], params["embedding"][:7])
    assert nn.positional_embedding().init(jax.random.key(0), x)[0]["embedding"].shape == (7, 5)


X = jax.ShapeDtypeStruct((2, 5, 8), jnp.float32)
BAD = {
    "kv_heads must divide num_heads, got kv_heads=3": lambda: nn.attention(4, kv_heads=3),
    "kv_heads must divide num_heads, got kv_heads=8": lambda: nn.attention(4, kv_heads=8),
    "num_heads must be a positive int, got 0": lambda: nn.attention(0),
    "head_dim must be a positive int": lambda: nn.attention(4, head_dim=-1),
    "causal must be a Python bool": lambda: nn.attention(4, causal=1),
    "mask must be a function": lambda: nn.attention(4, mask=np.ones((5, 5), bool)),
    "num_heads must divide the input's features": lambda: _apply(nn.attention(3), X),
    "expected a floating-point input": lambda: _apply(
        nn.attention(2), jax.ShapeDtypeStruct((2, 5, 8), jnp.int32)
    ),
    "at least 2 axes": lambda: _apply(nn.attention(2), jax.ShapeDtypeStruct((8,), jnp.float32)),
    "same leading axes": lambda: _apply(nn.attention(2), (X, jax.ShapeDtypeStruct((3, 5, 8), jnp.float32))),
    "causal=True compares positions of one sequence": lambda: _apply(nn.attention(2, causal=True), (X, X)),
    r"must be \[time, source\] = \[5, 5\]": lambda: _apply(
        nn.attention(2), (X, None, jax.ShapeDtypeStruct((2, 4, 5), bool))
    ),
    "a mask must be boolean": lambda: _apply(
        nn.attention(2), (X, None, jax.ShapeDtypeStruct((5, 5), jnp.float32))
    ),
    "must give booleans": lambda: _apply(nn.attention(2, mask=lambda q, k: q - k), X),
    "entries": lambda: _apply(nn.attention(2), (X, X, X, X)),
    r"the query expects input \[\.\.\., 8\]": lambda: nn.attention(2).apply(
        nn.attention(2).init(jax.random.key(0), X)[0], {}, jnp.ones((2, 5, 6))
    ),
    "head_dim must be even": lambda: _apply(nn.attention(8, rotary=True), X),
    "pairs must be one of": lambda: nn.rotary(pairs="thirds"),
    "kind must be one of": lambda: nn.positional_embedding(5, "fourier"),
    "has no table": lambda: nn.positional_embedding(5, "sinusoidal"),
    "at most 3": lambda: _apply(nn.positional_embedding(3), X),
}


def _apply(layer, x):
    params, state = jax.eval_shape(layer.init, jax.random.key(0), x)
    return jax.eval_shape(partial(layer.apply), params, state, x)


@pytest.mark.parametrize("message", BAD)
def test_errors_name_argument_and_remedy(message):
    with pytest.raises((ValueError, TypeError), match=message):
        BAD[message]()
