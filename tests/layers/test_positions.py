"""Functions under a mask: those that act on each position alone keep it, and all others are refused."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn

KEY = jax.random.key(0)
MASK = jnp.array([[True, True, False], [True, False, False]])
X = jax.random.normal(KEY, (2, 3, 4))
TABLE = jax.random.normal(jax.random.key(1), (3, 4))
WEIGHTS = jax.random.normal(jax.random.key(2), (4, 5))


@jax.custom_vjp
def cube(v):
    return v**3


cube.defvjp(lambda v: (v**3, v), lambda v, g: (3 * v * v * g,))


def counted(v):
    return jax.lax.fori_loop(0, 3, lambda i, w: jnp.tanh(w) + v, v)


def halved(v):
    return jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] / 2), (0, v))[1]


ALONE: dict[str, Callable[[Any], Any]] = {
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "gelu": jax.nn.gelu,
    "elu": jax.nn.elu,
    "softplus": jax.nn.softplus,
    "log_softmax": jax.nn.log_softmax,
    "softmax": jax.nn.softmax,
    "softmax over axis 2": partial(jax.nn.softmax, axis=2),
    "standardize": jax.nn.standardize,
    "glu": jax.nn.glu,
    "logsumexp": lambda v: jax.nn.logsumexp(v, axis=-1, keepdims=True),
    "compiled": jax.jit(lambda v: jnp.where(v > 0, v, jnp.expm1(v))),
    "clip": lambda v: jnp.clip(v, -0.3, 0.3),
    "norm": lambda v: v / jnp.linalg.norm(v, axis=-1, keepdims=True),
    "mean of features": lambda v: v.mean(-1),
    "features": lambda v: v * TABLE[None, :1],
    "positions": lambda v: v + TABLE[None],
    "a draw": lambda v: v + jax.random.normal(KEY, v.shape),
    "product": lambda v: v @ WEIGHTS,
    "einsum": lambda v: jnp.einsum("btf,fg->btg", v, WEIGHTS),
    "einsum turned": lambda v: jnp.einsum("fg,btf->btg", WEIGHTS, v),
    "gram": lambda v: jnp.einsum("btf,btg->btfg", v, v),
    "flip of features": lambda v: v[..., ::-1],
    "roll of features": lambda v: jnp.roll(v, 1, -1),
    "cumsum of features": lambda v: jnp.cumsum(v, -1),
    "sorted features": lambda v: jnp.sort(v, -1),
    "order of features": lambda v: jnp.take_along_axis(v, jnp.argsort(v, -1), -1),
    "some features": lambda v: v[..., jnp.array([0, 2])],
    "largest features": lambda v: jax.lax.top_k(v, 2)[0],
    "one feature set": lambda v: v.at[..., 0].set(1.0),
    "one feature added to": lambda v: v.at[:, :, 1].add(v[:, :, 0]),
    "padded features": lambda v: jnp.pad(v, ((0, 0), (0, 0), (1, 2))),
    "heads": lambda v: v.reshape(2, 3, 2, 2).mean(-1),
    "turned and back": lambda v: jnp.transpose(jnp.transpose(v, (2, 0, 1)) * 2, (1, 2, 0)),
    "spectrum": lambda v: jnp.abs(jnp.fft.rfft(v)),
    "constant": lambda v: jnp.ones(v.shape),
    "custom gradient": cube,
    "checkpoint": jax.checkpoint(jnp.sin),
    "mapped": jax.vmap(jax.vmap(lambda row: row - row.mean())),
    "counted loop": counted,
    "loop": halved,
    "branch": lambda v: jax.lax.cond(TABLE[0, 0] > 0, jnp.sin, jnp.cos, v),
    "stacked": lambda v: jnp.stack([v, -v], -1),
}
MIXED: dict[str, Callable[[Any], Any]] = {
    "mean": lambda v: v - v.mean(),
    "mean over time": lambda v: v - v.mean(1, keepdims=True),
    "mean over examples": lambda v: v - v.mean(0, keepdims=True),
    "maximum": lambda v: v / jnp.max(v),
    "softmax over all": partial(jax.nn.softmax, axis=None),
    "softmax over time": partial(jax.nn.softmax, axis=1),
    "softmax over examples": partial(jax.nn.softmax, axis=0),
    "sum over examples": lambda v: v.sum(0),
    "sum over examples kept": lambda v: jnp.broadcast_to(v.sum(0, keepdims=True), v.shape),
    "cumsum": lambda v: jnp.cumsum(v, 1),
    "running maximum": lambda v: jax.lax.cummax(v, 1),
    "roll": lambda v: jnp.roll(v, 1, 1),
    "flip": lambda v: jnp.flip(v, 1),
    "reversed examples": lambda v: v[::-1],
    "sorted": lambda v: jnp.sort(v, 1),
    "first": lambda v: v - v[:1],
    "first step": lambda v: v - v[:, :1],
    "norm": lambda v: v / jnp.linalg.norm(v),
    "norm where it is large": lambda v: v / jnp.maximum(1e6, jnp.linalg.norm(v)),
    "where any": lambda v: jnp.where(jnp.any(v > 1e6), 0.0, v),
    "cond": lambda v: jax.lax.cond(v.sum() > 1e6, jnp.zeros_like, lambda w: w, v),
    "loop until": lambda v: jax.lax.while_loop(lambda w: w.sum() > 1e6, lambda w: w / 2, v),
    "scan over time": lambda v: jnp.moveaxis(
        jax.lax.scan(lambda c, w: (c + w, c + w), jnp.zeros((2, 4)), jnp.moveaxis(v, 1, 0))[1], 0, 1
    ),
    "loop that mixes late": lambda v: jax.lax.fori_loop(0, 3, lambda i, c: (c[1], c[1][:, ::-1]), (v, v))[0],
    "variance": lambda v: jax.nn.standardize(v, axis=(0, 1, 2)),
    "other shape, same size": lambda v: v.reshape(3, 2, 4).swapaxes(0, 1),
    "time and features swapped": lambda v: v.reshape(2, 4, 3).swapaxes(1, 2),
    "outer": lambda v: jnp.einsum("btf,bsf->bts", v, v) @ v,
    "gram": lambda v: jnp.einsum("btf,bsf->bts", v, v),
    "convolution": lambda v: jax.lax.conv_general_dilated(
        v, jnp.ones((3, 4, 4)), (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
    ),
    "gather": lambda v: jnp.take(v, jnp.array([1, 2, 0]), axis=1),
    "order over time": lambda v: jnp.take_along_axis(v, jnp.argsort(v, 1), 1),
    "one step set": lambda v: v.at[:, 0].set(v[:, 1]),
    "shifted": lambda v: jnp.pad(v[:, :-1], ((0, 0), (1, 0), (0, 0))),
    "halves": lambda v: jnp.concatenate([v[:, 1:], v[:, :1]], 1),
    "associative scan": lambda v: jax.lax.associative_scan(jnp.add, v, axis=1),
    "callback": lambda v: jax.pure_callback(lambda w: w - np.mean(w), v, v),
    "spectrum over time": lambda v: jnp.fft.fft(v, axis=1).real,
    "mean of merged positions": lambda v: (v.reshape(6, 4) - v.reshape(6, 4).mean(0, keepdims=True)).reshape(
        2, 3, 4
    ),
    "merged and split otherwise": lambda v: v.reshape(6, 4).reshape(3, 2, 4).swapaxes(0, 1),
    "merged, cut and split": lambda v: v.reshape(6, 4)[::-1].reshape(2, 3, 4),
    "merged with features": lambda v: v.reshape(-1)[::-1].reshape(2, 3, 4),
    "one value": lambda v: v.mean(),
    "grad of the mean": lambda v: jax.grad(lambda w: (w.mean() ** 2).sum())(v),
    "compiled": jax.jit(lambda v: v - v.mean()),
    "checkpoint": jax.checkpoint(lambda v: v - v.mean()),
    "mapped over features": jax.vmap(lambda row: row - row.mean(), in_axes=2, out_axes=2),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", ALONE)
def test_what_acts_on_each_position_gives_the_unmasked_values(name: str, compiled: bool) -> None:
    layer = nn.chain(ALONE[name])
    run = jax.jit(lambda x: layer.apply({}, {}, x)[0]) if compiled else lambda x: layer.apply({}, {}, x)[0]
    got = run(nn.Masked(jnp.where(MASK[..., None], X, jnp.nan), MASK))
    for leaf, wanted in zip(jax.tree.leaves(got.value), jax.tree.leaves(ALONE[name](X)), strict=True):
        np.testing.assert_allclose(leaf[MASK], wanted[MASK], rtol=1e-5, atol=1e-6)
        assert not leaf[~MASK].any()
    assert (got.mask == MASK).all()


@pytest.mark.parametrize("lift", ["chain", "stateless"])
@pytest.mark.parametrize("name", MIXED)
def test_what_mixes_positions_is_refused(name: str, lift: str) -> None:
    function = MIXED[name]
    layer = (
        nn.chain(function)
        if lift == "chain"
        else nn.stateless("f", None, lambda params, v: function(v), masked="pointwise")
    )
    x = nn.Masked(X, MASK)
    with pytest.raises(TypeError, match=r"\(which needs more than one position .*can't honour a mask"):
        jax.eval_shape(lambda x: layer.apply({}, {}, x)[0], x)


@pytest.mark.parametrize("features", [(1, 40), (2, 32), (32, 1), (32, 3)], ids=str)
@pytest.mark.parametrize("lead", [(1, 1), (1, 3), (2, 1), (2, 3), (4,), (2, 1, 3)], ids=str)
def test_products_act_on_each_position_whatever_their_formulation(
    lead: tuple[int, ...], features: tuple[int, int]
) -> None:
    """On a CPU a product merges the axes of positions, or is written out."""
    x = jax.random.normal(KEY, (*lead, features[0]))
    weights = jnp.ones(features)
    layer = nn.dense(features[1])
    params, state = layer.init(KEY, x)
    whole = nn.Masked(x, jnp.ones(lead, bool))
    wanted = layer.apply(params, state, x)[0]
    np.testing.assert_array_equal(layer.apply(params, state, whole)[0].value, wanted)
    own = nn.chain(lambda v: (v.reshape(-1, features[0]) @ weights).reshape(*lead, features[1]))
    np.testing.assert_allclose(own.apply({}, {}, whole)[0].value, x @ weights, rtol=1e-5)


def test_the_mean_of_all_positions_that_are_real() -> None:
    x = nn.Masked(jnp.arange(6.0).reshape(1, 2, 3), jnp.ones((1, 2), bool))
    with pytest.raises(TypeError, match="can't honour a mask"):
        nn.chain(lambda v: v - v.mean()).apply({}, {}, x)


def test_a_mask_of_examples_leaves_time_to_the_function() -> None:
    x = nn.Masked(X, jnp.array([True, False]))
    centred = nn.chain(lambda v: v - v.mean(1, keepdims=True)).apply({}, {}, x)[0]
    np.testing.assert_allclose(centred.value[0], X[0] - X[0].mean(0, keepdims=True), rtol=1e-5, atol=1e-6)


def test_a_scale_that_is_traced_is_no_obstacle() -> None:
    def run(scale: Any, x: Any) -> Any:
        return nn.chain(lambda v: v * scale).apply({}, {}, x)[0].value.sum()

    assert np.isfinite(jax.grad(run)(2.0, nn.Masked(X, MASK)))
    with pytest.raises(TypeError, match="can't honour a mask"):
        jax.grad(
            lambda scale: (
                nn.chain(lambda v: v - scale * v.mean()).apply({}, {}, nn.Masked(X, MASK))[0].value.sum()
            )
        )(2.0)


@pytest.mark.parametrize("size", [0, 1])
def test_few_positions(size: int) -> None:
    x = nn.Masked(jnp.ones((2, size, 4)), jnp.ones((2, size), bool))
    assert nn.chain(jax.nn.gelu, jax.nn.softmax).apply({}, {}, x)[0].value.shape == (2, size, 4)


def test_ids_become_vectors() -> None:
    ids = nn.Masked(jnp.array([[1, 2, 9], [0, 9, 9]]), MASK)
    rows = nn.chain(lambda i: jnp.take(WEIGHTS, i, axis=0, mode="clip")).apply({}, {}, ids)[0]
    np.testing.assert_array_equal(rows.value[0, 0], WEIGHTS[1])
