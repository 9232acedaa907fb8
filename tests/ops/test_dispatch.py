"""The formulation is that of the platform on which a program will run, not of the machine that traces it."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import losses, ops, optim, train
from jaxnn.ops._dispatch import lowered_for

CPU = jax.devices("cpu")[0]
X = jnp.ones((2, 8, 8, 3))
KERNEL = jnp.ones((3, 3, 3, 4))


# Each with a word that its formulation for a CPU shows and another platform's does not.
FUNCTIONS = {
    "conv": (lambda x: ops.conv(x, KERNEL), X, "conv_rows"),
    "conv, groups": (lambda x: ops.conv(x, KERNEL[:, :, :1].repeat(3, -1), groups=3), X, "conv_rows"),
    "conv_transpose": (lambda x: ops.conv_transpose(x, KERNEL, 2), X, "dot_general"),
    "max_pool": (lambda x: ops.max_pool(x, (2, 2)), X, "slice"),
    "max_pool, padded": (lambda x: ops.max_pool(x, (3, 3), 2, "SAME"), X, "padded_max_pool"),
    "avg_pool": (lambda x: ops.avg_pool(x, (2, 2)), X, "slice"),
    "product of many axes": (None, X, "reshape"),
    "small product": (None, X, "small_product"),
}


def _run(name):
    function, x, _ = FUNCTIONS[name]
    if function is not None:
        return function, (x,)
    layer = nn.dense(40 if name.endswith("axes") else 4)
    params, _ = layer.init(jax.random.key(0), x)
    return (lambda p, x: layer.apply(p, {}, x)[0]), (params, x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_platform_is_told_by_context(name):
    function, arguments = _run(name)
    word = FUNCTIONS[name][2]
    traced = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), arguments)

    def text():
        # A function of its own each time, whose trace nothing has kept.
        def outputs(*arguments):
            return function(*arguments)

        return str(jax.make_jaxpr(outputs)(*traced))

    assert word in text()
    for platform in ("cuda", "tpu"):
        with lowered_for((platform,)):
            assert word not in text()
    with lowered_for(("cpu", "cuda")):
        assert word not in text(), "a program for both takes what runs well on both"


def test_another_backend_is_the_default_and_the_work_is_on_a_cpu(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    traced = jax.ShapeDtypeStruct(X.shape, X.dtype), jax.ShapeDtypeStruct(KERNEL.shape, KERNEL.dtype)

    def text(*arguments):
        return str(jax.make_jaxpr(lambda *a: ops.conv(*a))(*arguments))

    assert "conv_rows" not in text(*traced)
    with jax.default_device(CPU):
        assert "conv_rows" in text(*traced)
    assert "conv_rows" in str(jax.make_jaxpr(lambda x: ops.conv(x, KERNEL))(traced[0])), (
        "the kernel is on a CPU"
    )
    with lowered_for(("cuda",)):
        assert "conv_rows" not in text(*traced)


@nn.model(
    conv=nn.chain(nn.conv(8, (3, 3)), jax.nn.relu, nn.max_pool((2, 2)), nn.avg_pool((2, 2), 1)),
    up=nn.conv_transpose(4, (2, 2), 2),
    flat=nn.flatten(),
    read=nn.chain(nn.dense(12), nn.layer_norm()),
    recur=nn.lstm(12),
    attend=nn.attention(2),
    head=nn.dense(3),
)
def everything(m, x):
    h = m.read(m.flat(m.up(m.conv(x)))[:, None] * jnp.ones((1, 5, 1)))
    return m.head(m.attend(m.recur(h)).mean(axis=1))


def test_a_step_for_another_platform_is_the_same_step():
    """Traced for a GPU it has none of the formulations for a CPU, forward or backward, and the same numbers."""
    x = jax.random.normal(jax.random.key(0), (4, 10, 10, 2))
    batch = (x, jnp.array([0, 1, 2, 1]))
    objective = train.supervised(everything, losses.cross_entropy)
    rule = optim.sgd(1e-2)
    start = train.TrainState.create(objective, rule, jax.random.key(1), batch)
    found = []
    for context in (contextlib.nullcontext(), lowered_for(("cuda",))):
        with context:
            step = jax.jit(train.make_step(objective, rule)).trace(start, batch)
            text = str(step.jaxpr)
        found.append((text, step.lower().compile()(start, batch)[0].params))
    ours, theirs = found
    assert "conv_rows" in ours[0]
    assert "conv_rows" not in theirs[0]
    assert "reduce_window_max" in theirs[0]
    assert "select_and_scatter_add" in theirs[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), ours[1], theirs[1])
