"""Laws of layers on sequences, over drawn shapes, masks and positions: padding never counts, causal is causal."""

import functools
from typing import Any

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from parity import draw

import jaxnn as nn

FEATURES = 4
SHAPES = [(2, 3), (3, 5)]
MASKED = {
    "attention": nn.attention(2),
    "attention causal, grouped, rotary": nn.attention(4, 2, causal=True, rotary=True, head_dim=2),
    "transformer_block": nn.transformer_block(2, causal=True),
    "batch_norm": nn.batch_norm(momentum=0.5),
    "layer_norm": nn.layer_norm(),
    "group_norm": nn.group_norm(2),
    "global_max_pool": nn.global_max_pool(),
    "global_avg_pool": nn.global_avg_pool(),
    "gru last": nn.gru(3, return_sequences=False),
    "pointwise": nn.chain(nn.dense(3), jnp.tanh, nn.positional_embedding(kind="sinusoidal"), nn.prelu()),
}
CAUSAL = {
    "attention": nn.attention(2, causal=True),
    "window": nn.attention(2, causal=True, mask=lambda query, key: query - key < 2),
    "transformer_block": nn.repeat(nn.transformer_block(2, 1, causal=True), 2),
    "conv": nn.conv(3, (2,), padding="CAUSAL", dilation=2),
    "conv_transpose": nn.conv_transpose(3, (3,), padding="CAUSAL"),
    "lstm": nn.chain(nn.lstm(3), nn.gru(3)),
}
few = hypothesis.settings(max_examples=8)


def made(layer: nn.Layer, shape: tuple[int, int]) -> tuple[Any, Any, np.ndarray]:
    x = draw(*shape, FEATURES).astype(np.float32)
    params, state = layer.init(jax.random.key(0), jnp.asarray(x))
    params = jax.tree.map(lambda p: p + 0.3 * draw(*p.shape, seed=1).astype(p.dtype), params)
    return params, state, x


@functools.cache
def padded_program(name: str, shape: tuple[int, int]) -> Any:
    """Outputs at real positions, statistics, and gradients by parameters and input."""
    params, state, x = made(MASKED[name], shape)

    @jax.jit
    def run(x: Any, mask: Any) -> Any:
        def loss(params: Any, x: Any) -> Any:
            y, after = MASKED[name].apply(params, state, nn.Masked(x, mask), train=True)
            if isinstance(y, nn.Masked):
                y = jnp.where(y.mask[..., None], y.value, 0)
            return jnp.sum(jnp.sin(y)), (y, after)

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)

    return run, x


@pytest.mark.parametrize("name", MASKED)
def test_the_content_of_padding_changes_nothing(name: str) -> None:
    @few
    @hypothesis.given(st.sampled_from(SHAPES), st.data(), st.sampled_from([np.nan, np.inf, -1e30]))
    def law(shape: tuple[int, int], data: Any, rubbish: float) -> None:
        run, x = padded_program(name, shape)
        bits = data.draw(st.lists(st.booleans(), min_size=x[..., 0].size, max_size=x[..., 0].size))
        mask = np.array(bits).reshape(shape)
        fill = np.float32(rubbish)
        clean, dirty = run(x, mask), run(np.where(mask[..., None], x, fill), mask)
        jax.tree.map(np.testing.assert_array_equal, dirty, clean)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))
        assert not np.asarray(dirty[1][1])[~mask].any()

    law()


@functools.cache
def causal_program(name: str, shape: tuple[int, int]) -> Any:
    params, state, x = made(CAUSAL[name], shape)

    @jax.jit
    def slope(x: Any, last: Any) -> Any:
        def early(x: Any) -> Any:
            y, _ = CAUSAL[name].apply(params, state, x)
            seen = (jnp.arange(shape[1]) <= last).astype(y.dtype)
            return jnp.sum(jnp.sin(y) * jnp.broadcast_to(seen[None, :, None], y.shape))

        return jax.grad(early)(x)

    return slope, x


@pytest.mark.parametrize("name", CAUSAL)
def test_causal_outputs_depend_on_no_later_input(name: str) -> None:
    @few
    @hypothesis.given(st.sampled_from(SHAPES), st.data())
    def law(shape: tuple[int, int], data: Any) -> None:
        slope, x = causal_program(name, shape)
        last = data.draw(st.integers(0, shape[1] - 1))
        gradient = np.asarray(slope(x, last))
        assert not gradient[:, last + 1 :].any()
        assert gradient[:, last].all()

    law()
