"""Low-rank adapters on chosen dense kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import losses, optim, surgery, testing, train

X = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)), jnp.float32)


def net():
    return nn.chain(trunk=nn.chain(nn.dense(4), jnp.tanh, nn.dropout(0.3)), head=nn.dense(2))


def drawn(tree, seed=1):
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    return structure.unflatten(
        [jax.random.normal(k, v.shape, v.dtype) for k, v in zip(keys, leaves, strict=True)]
    )


def test_it_starts_as_the_model_that_it_adapts():
    model, adapted = net(), surgery.lora(net(), "*", rank=2)
    params, state = adapted.init(jax.random.key(0), X)
    base, _ = model.init(jax.random.key(1), X)
    params = surgery.replace(params, "base", base)
    key = jax.random.key(3)
    y, _ = adapted.apply(params, state, X, key=key, train=True)
    np.testing.assert_array_equal(y, model.apply(base, state, X, key=key, train=True)[0])
    assert params["adapters"]["trunk"]["dense_0"]["lora_a"].shape == (3, 2)
    assert params["adapters"]["head"]["lora_b"].shape == (2, 2)


def test_merging_equals_the_equation():
    model = net()
    adapted = surgery.lora(model, "head", rank=1, alpha=3.0)
    params, state = adapted.init(jax.random.key(0), X)
    params["adapters"] = drawn(params["adapters"])
    merged = adapted.merge(params)
    a, b = (np.asarray(params["adapters"]["head"][name]) for name in ("lora_a", "lora_b"))
    expected = np.asarray(params["base"]["head"]["kernel"]) + 3.0 * a @ b
    np.testing.assert_allclose(merged["head"]["kernel"], expected, rtol=1e-6)
    assert jax.tree.structure(merged) == jax.tree.structure(params["base"])
    np.testing.assert_array_equal(adapted.apply(params, state, X)[0], model.apply(merged, state, X)[0])


def test_gradients_are_those_of_the_two_factors():
    """With ``y = x (W + A B)``: the gradient of ``A`` is ``x' g B'``, that of ``B`` is ``A' x' g``."""
    with jax.enable_x64(True):
        adapted = surgery.lora(nn.dense(4, use_bias=False, param_dtype=jnp.float64), "kernel", rank=2)
        x = np.random.default_rng(1).normal(size=(5, 3))
        params, _ = adapted.init(jax.random.key(0), x)
        params["adapters"] = drawn(params["adapters"])
        g = np.random.default_rng(2).normal(size=(5, 4))
        gradient = jax.grad(lambda p: jnp.sum(adapted.apply(p, {}, jnp.asarray(x))[0] * g))(params)
        a, b = params["adapters"]["lora_a"], params["adapters"]["lora_b"]
        np.testing.assert_allclose(gradient["adapters"]["lora_a"], x.T @ g @ b.T, rtol=1e-12)
        np.testing.assert_allclose(gradient["adapters"]["lora_b"], a.T @ x.T @ g, rtol=1e-12)


def test_the_base_stays_while_the_adapters_train():
    adapted = surgery.lora(net(), ("trunk.*", "head"), rank=1)
    task = train.supervised(adapted, losses.squared_error)
    data = X, jnp.stack([X.sum(-1), X[:, 0]], -1)
    params, _ = task.init(jax.random.key(0), data)
    part = train.partition(params, "adapters.*")
    result = train.fit(
        part.objective(task),
        optim.adam(0.05),
        data,
        epochs=20,
        batch_size=6,
        key=jax.random.key(0),
        progress=False,
    )
    assert set(result.params) == {"adapters"}
    whole = part.merge(result.params)
    assert surgery.difference(whole["base"], params["base"]).equal
    assert result.history["loss"][-1] < 0.8 * result.history["loss"][0]


def test_stacks_attention_and_nothing_else():
    model = nn.chain(
        nn.reshape(4, 4, 1),
        nn.conv(8, (3, 3), padding="SAME"),
        nn.reshape(16, 8),
        nn.repeat(nn.transformer_block(2), 2),
    )
    x = jnp.ones((1, 16))
    adapted = surgery.lora(model, "*", rank=2)
    params, state = adapted.init(jax.random.key(0), x)
    kernels = surgery.get(params["adapters"], "repeat_0")
    assert sorted(kernels) == ["attention", "mlp"]
    assert sorted(kernels["attention"]) == ["key", "output", "query", "value"]
    assert kernels["mlp"]["dense_0"]["lora_b"].shape == (2, 2, 32)
    assert "conv_0" not in params["adapters"]
    y, _ = jax.jit(lambda p: adapted.apply(p, state, x))({**params, "adapters": drawn(params["adapters"])})
    assert y.shape == (1, 16, 8)


def test_a_layer_may_be_called_as_an_adapter_is():
    model = nn.chain(lora_a=nn.dense(3), lora_b=nn.dense(2))
    adapted = surgery.lora(model, "*", rank=1)
    params, _ = adapted.init(jax.random.key(0), X)
    params = drawn(params)
    expected = model.apply(adapted.merge(params), {}, X)[0]
    np.testing.assert_allclose(adapted.apply(params, {}, X)[0], expected, rtol=1e-6)
    assert not np.allclose(expected, model.apply(params["base"], {}, X)[0])


def test_it_is_a_layer_that_passes_the_kit():
    testing.check_layer(
        surgery.lora(nn.chain(nn.dense(3)), "*", rank=2), jax.ShapeDtypeStruct((4, 5), jnp.float32)
    )


@pytest.mark.parametrize(
    ("where", "options", "message"),
    [
        ("heed", {"rank": 1}, "chose no dense kernel; known: 'head.kernel', 'trunk.dense_0.kernel'"),
        (("head", "trunk.dense_9"), {"rank": 1}, "where='trunk.dense_9' chose no dense kernel; did you mean"),
        ("head", {"rank": 3}, r"rank=3 for head.kernel \[4, 2\]"),
        ("head", {"rank": 0}, "rank must be a positive int, got 0"),
        ("head", {"rank": 1, "alpha": -1.0}, "alpha must be a finite positive number"),
    ],
)
def test_mistakes(where, options, message):
    with pytest.raises(ValueError, match=message):
        surgery.lora(net(), where, **options).init(jax.random.key(0), X)


def test_where_must_choose():
    with pytest.raises(TypeError, match="where must be a pattern of paths"):
        surgery.lora(net(), (), rank=1)
