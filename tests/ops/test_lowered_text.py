"""What a whole training step is lowered to for an accelerator, read off the program's text, from a CPU."""

import re

import jax
import jax.numpy as jnp
import pytest

import jaxnn as nn
from jaxnn import losses, optim, train
from jaxnn.ops._dispatch import lowered_for

BATCH = 4
WAITS = re.compile(r"stablehlo\.is_finite %\w+ : \(tensor<f32>\)")
MODELS = {
    "convolutions": (
        nn.chain(
            nn.conv(8, (3, 3)), jax.nn.relu, nn.max_pool((2, 2)), nn.avg_pool((2, 2), 1), nn.dropout(0.2),
            nn.flatten(), nn.dense(3),
        ),
        jax.ShapeDtypeStruct((BATCH, 10, 10, 2), jnp.float32),
    ),
    "recurrent": (
        nn.chain(nn.embedding(11, 6), nn.lstm(5), nn.gru(5, return_sequences=False), nn.dense(3)),
        jax.ShapeDtypeStruct((BATCH, 7), jnp.int32),
    ),
    "transformer": (
        nn.chain(
            nn.embedding(11, 8), nn.positional_embedding(), nn.transformer_block(2, causal=True),
            nn.global_avg_pool(), nn.dense(3),
        ),
        jax.ShapeDtypeStruct((BATCH, 7), jnp.int32),
    ),
}  # fmt: skip


def lowered(name: str, platform: str) -> str:
    """The text of one step of ``name``, forward, backward and update, for ``platform``."""
    model, inputs = MODELS[name]
    # An objective of its own, so that no trace for another platform is taken up again.
    objective = train.supervised(model, losses.cross_entropy)
    rule = optim.adam(1e-3)
    batch = (inputs, jax.ShapeDtypeStruct((BATCH,), jnp.int32))
    key = jax.eval_shape(jax.random.key, 0)
    with lowered_for((platform,)):
        start = jax.eval_shape(lambda key: train.TrainState.create(objective, rule, key, batch), key)
        step = jax.jit(train.make_step(objective, rule)).trace(start, batch)
        return step.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_nothing_for_a_cpu_is_in_an_accelerators_step(name: str, platform: str) -> None:
    ours, theirs = lowered(name, "cpu"), lowered(name, platform)
    # Updates that wait for all gradients read one number of each, whose sum they test.
    assert WAITS.search(ours)
    assert not WAITS.search(theirs)
    if name == "convolutions":
        assert "stablehlo.select_and_scatter" not in ours
        assert "stablehlo.select_and_scatter" in theirs, "max pooling is the accelerator's own"
        assert theirs.count("stablehlo.convolution") == 2, "forward and the kernel's gradient"
        assert theirs.count("stablehlo.reduce_window") >= 2
