"""The block equals its definition from Flax's parts, keeps padding out, and sees no later position."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

import jaxnn as nn


def _generic(params, dtype=np.float64):
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda p: (np.asarray(p) + 0.2 * rng.normal(size=p.shape)).astype(dtype), params)


def _flax_heads(part):
    width = part["query"]["kernel"].shape[-1]
    made = {
        name: {
            "kernel": part[name]["kernel"].reshape(-1, 2, width // 2),
            "bias": part[name]["bias"].reshape(2, -1),
        }
        for name in ("query", "key", "value")
    }
    out = part["output"]
    return {
        "params": {**made, "out": {"kernel": out["kernel"].reshape(2, width // 2, -1), "bias": out["bias"]}}
    }


def _flax_block(params, x, memory, pre_norm, cross, dtype):
    attend = linen.MultiHeadDotProductAttention(2, dtype=dtype)
    norm = linen.LayerNorm(epsilon=1e-5, use_fast_variance=False, dtype=dtype)
    causal = np.tril(np.ones((1, 1, x.shape[1], x.shape[1]), bool))

    def mlp(h):
        h = jax.nn.gelu(h @ params["mlp"]["dense_0"]["kernel"] + params["mlp"]["dense_0"]["bias"])
        return h @ params["mlp"]["dense_1"]["kernel"] + params["mlp"]["dense_1"]["bias"]

    sublayers = [("attention", lambda h: attend.apply(_flax_heads(params["attention"]), h, mask=causal))]
    if cross:
        sublayers += [("cross", lambda h: attend.apply(_flax_heads(params["cross_attention"]), h, memory))]
    for name, f in [*sublayers, ("mlp", mlp)]:
        scaled = {"params": params[f"{name}_norm"]}
        x = x + f(norm.apply(scaled, x)) if pre_norm else norm.apply(scaled, x + f(x))
    return x


@pytest.mark.parametrize(("pre_norm", "cross"), [(True, False), (True, True), (False, True)])
def test_equals_flax_parts(pre_norm, cross):
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x, memory, cotangent = (
            rng.normal(size=(2, 5, 8)),
            rng.normal(size=(2, 3, 8)),
            rng.normal(size=(2, 5, 8)),
        )
        block = nn.transformer_block(2, causal=True, cross=cross, pre_norm=pre_norm)
        params = _generic(block.init(jax.random.key(0), (x, memory) if cross else x)[0])

        def ours(params, x, memory):
            y, _ = block.apply(params, {}, (x, memory) if cross else x)
            return y[0] if cross else y

        def theirs(params, x, memory):
            with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
                return _flax_block(params, x, memory, pre_norm, cross, x.dtype)

        results = []
        for function in (ours, theirs):

            @jax.jit
            def run(*arguments, function=function):
                y, back = jax.vjp(function, *arguments)
                return y, back(cotangent)

            results.append(run(params, x, memory))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10), *results)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_padding_changes_nothing_and_nothing_looks_ahead(pre_norm):
    block = nn.repeat(nn.transformer_block(2, 1, causal=True, cross=True, pre_norm=pre_norm), 2)
    rng = np.random.default_rng(0)
    x, memory = rng.normal(size=(2, 5, 4)).astype(np.float32), rng.normal(size=(2, 3, 4)).astype(np.float32)
    real = np.arange(5)[None, :] < np.array([[5], [3]])
    heard = np.array([[True, False, True], [False, False, False]])

    def given(fill):
        return tuple(
            nn.Masked(np.where(m[..., None], a, fill).astype(np.float32), m)
            for a, m in ((x, real), (memory, heard))
        )

    params = _generic(block.init(jax.random.key(0), given(0.0))[0], np.float32)

    @jax.jit
    def run(params, inputs):
        def loss(params, inputs, upto):
            (y, _), _ = block.apply(params, {}, inputs)
            kept = jnp.where(y.mask[..., None] & (jnp.arange(5) <= upto)[None, :, None], y.value, 0)
            return jnp.sum(jnp.sin(kept)), kept

        gradient = jax.grad(loss, argnums=(0, 1), has_aux=True, allow_int=True)
        (by_params, by_inputs), y = gradient(params, inputs, 4)
        early = gradient(params, inputs, 1)[0][1][0].value
        return y, by_params, [g.value for g in by_inputs], early

    results = [run(params, given(fill)) for fill in (0.0, np.nan, 1e30)]
    for other in results[1:]:
        jax.tree.map(np.testing.assert_array_equal, results[0], other)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results[0]))
    early = results[0][3]
    assert not np.any(early[:, 2:])
    assert np.any(early[:, 1])


def test_remat_repeat_and_cast_give_the_same():
    block = nn.transformer_block(2, causal=True, dropout_rate=0.3, norm=nn.rms_norm, use_bias=False)
    plain, remade = nn.repeat(block, 3), nn.repeat(nn.remat(block), 3)
    x = jax.random.normal(jax.random.key(1), (2, 5, 8))
    params, state = plain.init(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, remade.init(jax.random.key(0), x)[0])

    def loss(params, layer):
        return jnp.sum(layer.apply(params, state, x, key=jax.random.key(2), train=True)[0] ** 2)

    gradients = [jax.grad(loss)(params, layer) for layer in (plain, remade)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), *gradients)
    low, _ = nn.cast(plain).apply(params, state, x)
    high, _ = plain.apply(params, state, x)
    assert low.dtype == jnp.bfloat16
    assert np.linalg.norm(low.astype(jnp.float32) - high) < 0.03 * np.linalg.norm(high)


X = jax.ShapeDtypeStruct((2, 5, 8), jnp.float32)


@pytest.mark.parametrize(
    ("message", "block", "x"),
    [
        (r"cross=True expects \(x, memory\)", nn.transformer_block(2, cross=True), X),
        (r"expected x or \(x, None, mask\)", nn.transformer_block(2), (X, X)),
        ("num_heads must divide the input's features", nn.transformer_block(3), X),
        (
            "expected a floating-point input",
            nn.transformer_block(2),
            jax.ShapeDtypeStruct((2, 5, 8), jnp.int32),
        ),
    ],
)
def test_errors_at_use(message, block, x):
    with pytest.raises((ValueError, TypeError), match=message):
        block.init(jax.random.key(0), x)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("mlp_ratio must be a finite positive number", {"mlp_ratio": 0}),
        ("dropout_rate is the probability of dropping", {"dropout_rate": 1.0}),
        ("kv_heads must divide num_heads", {"kv_heads": 3}),
    ],
)
def test_errors_in_construction(message, options):
    with pytest.raises((ValueError, TypeError), match=message):
        nn.transformer_block(2, **options)
