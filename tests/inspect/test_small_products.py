"""Products that a CPU computes written out are shown and counted as products."""

import jax
import jax.numpy as jnp

import jaxnn as nn
from jaxnn import inspect
from jaxnn.inspect._flops import count_flops


def test_a_small_product_that_is_written_out_is_shown_as_a_product():
    model = nn.chain(nn.dense(3), nn.dense(2))
    x = jnp.ones((1, 2))
    params, state = model.init(jax.random.key(0), x)
    graph = str(inspect.computation_graph(lambda p: model.apply(p, state, x)[0].sum(), params))
    assert "[[1 1]] @ p[dense_0][kernel]" in graph
    assert "v2 @ p[dense_1][kernel]" in graph
    assert "FLOPs, forward: 29" in str(inspect.summary(model, x))  # 2 * 2 * 3 + 3 + 2 * 3 * 2 + 2
    many = jax.vmap(lambda p: model.apply(p, state, x)[0])
    lanes = jax.tree.map(lambda leaf: jnp.stack([leaf] * 7), params)
    assert sum(count_flops(jax.make_jaxpr(many)(lanes)).values()) == 7 * 29
