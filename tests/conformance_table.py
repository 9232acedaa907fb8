"""The conformance table: one entry is all that a new layer needs.

Every entry is driven through the whole kit (``jaxnn.testing.check_layer``): jit = eager, vmap over distinct
rows = loop, scan, remat, ``eval_shape`` = actual, dtypes kept, state a fixpoint, one trace, same key = same
output, gradients against finite differences in float64, and error messages.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from jaxnn import testing


@dataclass(frozen=True)
class Entry:
    """One row: what to build, what to feed it, and what the kit should know of it."""

    name: str
    make: Callable[[], Any]
    x: Any
    options: Mapping[str, Any] = field(default_factory=dict)


def f32(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def i32(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)


@nn.model(encoder=nn.dense(3), decoder=nn.dense(4), noise=nn.dropout(0.3))
def autoencoder(m, x):
    return m.decoder(m.noise(jnp.tanh(m.encoder(x))))


@nn.model(shared=nn.dense(4))
def twice(m, x):
    return m.shared(jnp.tanh(m.shared(x)))


MASK = np.arange(5) < np.array([[5], [3], [2]])
IDS = np.arange(15, dtype=np.int32).reshape(3, 5) % 7
NOT_5_CHANNELS = {"bad_inputs": [f32(2, 3, 2, 5), f32(2, 3)], "mask": "raises"}
OFFSET = 1e4 + np.linspace(-1, 1, 45).reshape(3, 5, 3) ** 3
NORM = {"mask": MASK, "precision_points": {"offset 1e4": OFFSET}}
# Without a floating-point input its output stays float32, which the kit's float64 programs do not expect.
INTEGERS = {"bad_inputs": [f32(3, 5)], "lanes": [lane for lane in testing.LANES if lane != "transforms"]}
AUGMENTED = {"unbiased": False, "bad_inputs": [f32(4, 2)]}
# A surrogate is not the derivative of the step itself, so finite differences would refuse it.
SURROGATE = {"lanes": [lane for lane in testing.LANES if lane not in ("gradients", "points")]}

# Finite differences in float64 see nothing of what bfloat16 computes.
LOWERED = {"lanes": ("state", "keys", "errors"), "unbiased": False}

STEPS = {"mask": np.array([[1, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0]], bool)}
DROPPED = {"train": True, "unbiased": False, "lanes": ("values", "keys")}
STACK = STEPS | {"lanes": ("values", "gradients", "masks")}

# The bias of the keys moves all scores of a row alike, which a softmax does not feel: its gradient is 0.
FELT = {"live": ["query", "key']['kernel", "value", "output", "x"]}
SEES = {"depends": np.tril(np.ones((5, 5), bool))}
ATTENTION = FELT | {"mask": MASK}
CAUSAL = ATTENTION | SEES | {"bad_inputs": [i32(3, 5, 4)]}
BLOCK = SEES | {"mask": MASK, "bad_inputs": [f32(3, 5, 3)]}

TABLE = [
    Entry("dense", lambda: nn.dense(3), f32(4, 5), {"bad_inputs": [f32(4, 6), i32(4, 5)]}),
    Entry("dense without bias", lambda: nn.dense(3, use_bias=False), f32(2, 3, 5)),
    Entry("conv", lambda: nn.conv(3, (3, 3)), f32(2, 6, 5, 2), {"bad_inputs": [f32(2, 6, 5, 3), f32(6, 5)]}),
    Entry("conv same strided", lambda: nn.conv(2, (3, 2), strides=2, padding="SAME"), f32(2, 5, 6, 2)),
    Entry("conv causal dilated", lambda: nn.conv(2, (2,), padding="CAUSAL", dilation=2), f32(2, 7, 3)),
    Entry("conv grouped", lambda: nn.conv(4, (2, 2), groups=2, use_bias=False), f32(2, 4, 4, 2)),
    Entry("max_pool", lambda: nn.max_pool((2, 2)), f32(2, 4, 6, 2), {"bad_inputs": [f32(2, 1, 6, 2)]}),
    Entry("max_pool overlapping", lambda: nn.max_pool((3, 3), 2, "SAME"), f32(2, 5, 5, 2)),
    Entry("avg_pool", lambda: nn.avg_pool((2, 2), padding="SAME"), f32(2, 5, 5, 2)),
    Entry("flatten", lambda: nn.flatten(), f32(2, 3, 2)),
    Entry("reshape", lambda: nn.reshape(3, -1), f32(2, 6), {"bad_inputs": [f32(2, 7)]}),
    Entry("dropout", lambda: nn.dropout(0.4), f32(4, 16)),
    Entry("batch_norm", lambda: nn.batch_norm(), f32(6, 3), {"cross_batch": True, "bad_inputs": [f32(6, 4)]}),
    Entry("batch_norm images", lambda: nn.batch_norm(momentum=0.5), f32(3, 2, 2, 3), {"cross_batch": True}),
    Entry(
        "conv depthwise", lambda: nn.conv(4, (3,), groups=2, padding="SAME"), f32(2, 5, 2), {"mask": "raises"}
    ),
    Entry("conv_transpose", lambda: nn.conv_transpose(2, (3, 3), 2, "SAME"), f32(2, 3, 2, 3), NOT_5_CHANNELS),
    Entry("conv_transpose causal", lambda: nn.conv_transpose(2, (3,), 2, "CAUSAL"), f32(2, 4, 3)),
    Entry("conv_transpose grouped", lambda: nn.conv_transpose(4, (2,), 2, groups=2), f32(2, 3, 2)),
    Entry("conv_transpose dilated", lambda: nn.conv_transpose(2, (2,), 3, dilation=2), f32(2, 4, 3)),
    Entry(
        "global_max_pool",
        lambda: nn.global_max_pool(),
        f32(3, 5, 2),
        {"mask": MASK, "bad_inputs": [f32(3, 2)]},
    ),
    Entry(
        "global_avg_pool",
        lambda: nn.global_avg_pool(),
        f32(3, 5, 2),
        {"mask": MASK, "bad_inputs": [f32(3, 2)]},
    ),
    Entry("upsample", lambda: nn.upsample((2, 3)), f32(2, 3, 2, 2), {"bad_inputs": [f32(2, 3)]}),
    Entry("upsample linear", lambda: nn.upsample((2, 3), "linear"), f32(2, 3, 2, 2)),
    Entry(
        "pad", lambda: nn.pad(((1, 2), (0, 1)), "reflect"), f32(2, 3, 2, 2), {"bad_inputs": [f32(2, 1, 2, 2)]}
    ),
    Entry("layer_norm", lambda: nn.layer_norm(), f32(3, 5, 3), NORM | {"bad_inputs": [f32(3, 5, 4)]}),
    Entry("layer_norm without scale", lambda: nn.layer_norm(use_scale=False, use_bias=False), f32(3, 4)),
    Entry("rms_norm", lambda: nn.rms_norm(), f32(3, 5, 4), {"mask": MASK, "bad_inputs": [f32(3, 5, 5)]}),
    Entry("group_norm", lambda: nn.group_norm(1), f32(3, 5, 3), NORM | {"bad_inputs": [f32(3, 5, 4)]}),
    Entry("instance_norm", lambda: nn.instance_norm(), f32(3, 5, 3), NORM | {"bad_inputs": [f32(3, 4)]}),
    Entry("batch_norm masked", lambda: nn.batch_norm(), f32(3, 5, 3), NORM | {"cross_batch": True}),
    # In training the singular vectors are those of the step, held fixed, so finite differences would differ.
    Entry("spectral_norm", lambda: nn.spectral_norm(nn.dense(3)), f32(4, 5), {"train": False}),
    Entry("embedding", lambda: nn.embedding(7, 3), IDS, {"bad_inputs": [f32(3, 5)]}),
    Entry("one_hot", lambda: nn.one_hot(7), IDS, INTEGERS),
    Entry("embedding tied", lambda: nn.embedding(7, 4, tied=True), f32(3, 5, 4), {"mask": MASK}),
    Entry("maxout", lambda: nn.maxout(2), f32(3, 5, 4), {"mask": MASK, "bad_inputs": [f32(3, 5)]}),
    Entry("prelu", lambda: nn.prelu(), f32(3, 5, 4), {"mask": MASK}),
    Entry("prelu by feature", lambda: nn.prelu(shared=False), f32(3, 4), {"bad_inputs": [f32(3, 5)]}),
    Entry("step", lambda: nn.step("sigmoid"), f32(3, 4), SURROGATE),
    Entry("gaussian_noise", lambda: nn.gaussian_noise(0.5), f32(3, 4), {"bad_inputs": [i32(3, 4)]}),
    Entry("random_shift", lambda: nn.random_shift(1), f32(3, 5, 4, 2), AUGMENTED),
    Entry("random_flip", lambda: nn.random_flip(), f32(9, 2, 3, 2), AUGMENTED),
    Entry("random_crop", lambda: nn.random_crop((3, 2), padding=1), f32(3, 5, 4, 2), AUGMENTED),
    Entry("random_rotate", lambda: nn.random_rotate(30.0), f32(3, 5, 4, 2), AUGMENTED),
    Entry("group_norm images", lambda: nn.group_norm(2), f32(2, 3, 2, 4)),
    Entry(
        "lstm",
        lambda: nn.lstm(3),
        f32(3, 4, 2),
        STEPS | {"bad_inputs": [f32(3, 4, 5), f32(3, 2), i32(3, 4, 2)]},
    ),
    Entry(
        "gru reversed", lambda: nn.gru(3, reverse=True), f32(3, 4, 2), STEPS | {"bad_inputs": [f32(3, 4, 5)]}
    ),
    Entry("gru original", lambda: nn.gru(3, form="original", return_sequences=False), f32(3, 4, 2), STEPS),
    Entry("simple_rnn", lambda: nn.simple_rnn(3, return_carry=True, learn_carry=True), f32(3, 4, 2), STEPS),
    Entry("lstm with recurrent dropout", lambda: nn.lstm(4, recurrent_dropout=0.4), f32(3, 4, 2), DROPPED),
    Entry(
        "bidirectional",
        lambda: nn.bidirectional(nn.gru(2)),
        f32(3, 4, 2),
        STEPS | {"bad_inputs": [f32(3, 2)]},
    ),
    Entry(
        "stacked_cell", lambda: nn.rnn(nn.stacked_cell(nn.lstm_cell(2), nn.gru_cell(3))), f32(3, 4, 2), STACK
    ),
    Entry("callable", lambda: jnp.tanh, f32(4, 5)),
    Entry("chain", lambda: nn.chain(nn.dense(4), jax.nn.gelu, nn.dropout(0.2), nn.dense(2)), f32(4, 3)),
    Entry("residual", lambda: nn.residual(nn.chain(nn.dense(4), jnp.tanh)), f32(3, 4)),
    Entry("residual shortcut", lambda: nn.residual(nn.dense(2), nn.dense(2)), f32(3, 4)),
    Entry("branch", lambda: nn.chain(nn.branch(nn.dense(2), a=nn.dense(3)), nn.concatenate()), f32(3, 4)),
    Entry("add", lambda: nn.chain(nn.branch(jnp.tanh, nn.dense(4)), nn.add()), f32(3, 4)),
    Entry("multiply", lambda: nn.chain(nn.branch(jnp.tanh, nn.dense(4)), nn.multiply()), f32(3, 4)),
    Entry("repeat", lambda: nn.repeat(nn.chain(nn.dense(4), jnp.tanh, nn.dropout(0.2)), 3), f32(3, 4)),
    Entry("remat", lambda: nn.remat(nn.chain(nn.dense(4), jnp.tanh, nn.dropout(0.2))), f32(3, 4)),
    Entry("cast", lambda: nn.cast(nn.chain(nn.dense(3), nn.dropout(0.3))), f32(3, 4), LOWERED),
    Entry("parallel", lambda: nn.parallel(nn.dense(3), jnp.tanh), (f32(3, 4), f32(3, 2))),
    Entry("model", lambda: autoencoder, f32(3, 4)),
    Entry("model sharing a child", lambda: twice, f32(3, 4)),
    Entry(
        "attention", lambda: nn.attention(2), f32(3, 5, 4), ATTENTION | {"bad_inputs": [f32(3, 5, 3), f32(4)]}
    ),
    Entry(
        "attention causal", lambda: nn.attention(4, 2, True, rotary=True, head_dim=2), f32(3, 5, 4), CAUSAL
    ),
    Entry("attention cross", lambda: nn.attention(2, use_bias=False), (f32(3, 4, 2), f32(3, 5, 2))),
    Entry("positional_embedding", lambda: nn.positional_embedding(), f32(3, 5, 4), {"mask": MASK}),
    Entry("sinusoidal", lambda: nn.positional_embedding(kind="sinusoidal"), f32(3, 5, 3), {"mask": MASK}),
    Entry("rotary", lambda: nn.rotary(), f32(3, 5, 1, 4), {"mask": MASK, "bad_inputs": [f32(3, 5, 1, 3)]}),
    Entry("transformer_block", lambda: nn.transformer_block(2, 1, True, use_bias=False), f32(3, 5, 4), BLOCK),
    Entry(
        "transformer_block with memory",
        lambda: nn.transformer_block(2, cross=True, pre_norm=False, dropout_rate=0.2, use_bias=False),
        (f32(2, 3, 4), f32(2, 4, 4)),
        {"lanes": ("values", "gradients", "keys"), "unbiased": False},
    ),
]
