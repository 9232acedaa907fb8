"""The mistakes that are made most: each message says where, what was expected, what came, and what to do."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxnn as nn
from jaxnn import losses

X = jnp.ones((2, 5, 8))
INTEGERS = X.astype(jnp.int32)
KEY = jax.random.key(0)


def run(layer: nn.Layer, x: Any, first: Any = None) -> Any:
    params, state = layer.init(KEY, x if first is None else first)
    return layer.apply(params, state, x, train=True)


MISTAKES = {
    "heads that do not divide": (
        lambda: run(nn.attention(3), X),
        r"attention: num_heads must divide the input's features, got num_heads=3 .*\[2, 5, 8\]; pass head_dim",
    ),
    "kv_heads above num_heads": (
        lambda: nn.attention(4, kv_heads=8),
        r"attention: kv_heads must divide num_heads, got kv_heads=8 and num_heads=4; .* use one of 1, 2, 4",
    ),
    "kernel larger than the input": (
        lambda: run(nn.conv(2, (3, 3)), jnp.ones((1, 2, 5, 1))),
        r"conv: the window spans 3 cells of spatial axis 0, but the input has 2.*; use a smaller kernel",
    ),
    "window larger than the input": (
        lambda: run(nn.avg_pool((1, 6)), jnp.ones((1, 2, 5, 1))),
        r"avg_pool: the window spans 6 cells of spatial axis 1, but the input has 5.*; use a smaller",
    ),
    "groups that do not divide": (
        lambda: run(nn.group_norm(3), X),
        r"group_norm: groups must divide the features, got groups=3 .*\[2, 5, 8\]; use a divisor",
    ),
    "mask of another length": (
        lambda: nn.Masked(X, jnp.ones((2, 4), bool)),
        r"Masked: .* must be a prefix of the value's, got value float32\[2, 5, 8\] and mask bool\[2, 4\]; mark",
    ),
    "mask without time": (
        lambda: run(nn.gru(3), nn.Masked(X, jnp.ones(2, bool))),
        r"gru: expected a mask \[batch, time\] .*float32\[2, 5, 8\], got bool\[2\]; mark steps",
    ),
    "mask over features": (
        lambda: run(nn.batch_norm(), nn.Masked(X, jnp.ones((2, 5, 8), bool)), X),
        r"batch_norm: the mask must mark positions .* got .*bool\[2, 5, 8\]\); drop the mask's last axis",
    ),
    "mask of pairs": (
        lambda: run(nn.attention(2), (X, None, jnp.ones((2, 4, 5), bool))),
        r"attention: .* must be \[time, source\] = \[5, 5\].*any axis may be 1, got \[2, 4, 5\]",
    ),
    "numbers of words for an embedding": (
        lambda: run(nn.embedding(9, 2), X),
        r"embedding: expected integer ids, got float32\[2, 5, 8\]; convert ids",
    ),
    "label outside the classes": (
        lambda: losses.cross_entropy(jnp.ones((2, 3)), jnp.array([0, 3])),
        r"cross_entropy: labels must be in \[0, 3\), got labels from 0 to 3; give the model as many outputs",
    ),
}
FLOAT_LAYERS = {
    "dense": nn.dense(3),
    "conv": nn.conv(3, (2,)),
    "conv_transpose": nn.conv_transpose(3, (2,)),
    "max_pool": nn.max_pool((2,)),
    "batch_norm": nn.batch_norm(),
    "layer_norm": nn.layer_norm(),
    "group_norm": nn.group_norm(2),
    "lstm": nn.lstm(3),
    "attention": nn.attention(2),
    "gaussian_noise": nn.gaussian_noise(0.1),
    "prelu": nn.prelu(),
    "maxout": nn.maxout(2),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_message(name: str) -> None:
    call, pattern = MISTAKES[name]
    with pytest.raises((ValueError, TypeError), match=pattern):
        call()


@pytest.mark.parametrize("name", FLOAT_LAYERS)
def test_integers_are_refused(name: str) -> None:
    with pytest.raises(
        TypeError, match=rf"{name}\w*: expected a floating-point input, got int32\[.*; convert"
    ):
        run(FLOAT_LAYERS[name], INTEGERS)
