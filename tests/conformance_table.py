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

import jaxnn as nn


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
    Entry("callable", lambda: jnp.tanh, f32(4, 5)),
    Entry("chain", lambda: nn.chain(nn.dense(4), jax.nn.gelu, nn.dropout(0.2), nn.dense(2)), f32(4, 3)),
    Entry("residual", lambda: nn.residual(nn.chain(nn.dense(4), jnp.tanh)), f32(3, 4)),
    Entry("residual shortcut", lambda: nn.residual(nn.dense(2), nn.dense(2)), f32(3, 4)),
    Entry("branch", lambda: nn.chain(nn.branch(nn.dense(2), a=nn.dense(3)), nn.concatenate()), f32(3, 4)),
    Entry("add", lambda: nn.chain(nn.branch(jnp.tanh, nn.dense(4)), nn.add()), f32(3, 4)),
    Entry("multiply", lambda: nn.chain(nn.branch(jnp.tanh, nn.dense(4)), nn.multiply()), f32(3, 4)),
    Entry("repeat", lambda: nn.repeat(nn.chain(nn.dense(4), jnp.tanh, nn.dropout(0.2)), 3), f32(3, 4)),
    Entry("remat", lambda: nn.remat(nn.chain(nn.dense(4), jnp.tanh, nn.dropout(0.2))), f32(3, 4)),
    Entry("model", lambda: autoencoder, f32(3, 4)),
    Entry("model sharing a child", lambda: twice, f32(3, 4)),
]
