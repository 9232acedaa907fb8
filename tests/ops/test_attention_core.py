"""Every formulation of attention equals a NumPy oracle, in value and derivatives, under every mask."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import ops

CASES = {
    "plain": {},
    "causal": {"causal": True},
    "causal in blocks": {
        "queries": 150,
        "keys": 150,
        "batch": (1,),
        "heads": 2,
        "kv_heads": 1,
        "causal": True,
    },
    "grouped": {"heads": 6, "kv_heads": 2},
    "one key head, causal": {"heads": 4, "kv_heads": 1, "causal": True},
    "cross": {"queries": 3, "keys": 7},
    "padding": {"mask": (2, 1, 1, 5)},
    "per head": {"mask": (1, 4, 5, 5), "kv_heads": 2},
    "per query": {"mask": (5, 5)},
    "mask and causal": {"mask": (2, 1, 5, 5), "causal": True},
    "no leading axis": {"batch": (), "mask": (1, 5, 5)},
    "two leading axes": {"batch": (2, 3), "mask": (2, 1, 1, 1, 5)},
}


def _draw(batch=(2,), queries=5, keys=5, heads=4, kv_heads=4, mask=None, causal=False, dtype=np.float64):
    rng = np.random.default_rng(3)
    q = rng.normal(size=(*batch, queries, heads, 6)).astype(dtype)
    k, v = rng.normal(size=(2, *batch, keys, kv_heads, 6)).astype(dtype)
    allowed = None if mask is None else rng.random(mask) < 0.6
    return (q, k, v), allowed, causal


def _oracle(q, k, v, mask, causal):
    """Straight from the definition, one query at a time."""
    heads, queries, keys = q.shape[-2], q.shape[-3], k.shape[-3]
    k, v = (np.repeat(x, heads // k.shape[-2], axis=-2) for x in (k, v))
    allowed = np.ones((*q.shape[:-3], heads, queries, keys), bool)
    allowed &= True if mask is None else mask
    allowed &= np.tril(np.ones((queries, keys), bool)) if causal else True
    y = np.zeros_like(q)
    for index in np.ndindex(*q.shape[:-3], heads, queries):
        *lead, h, t = index
        seen = allowed[index]
        if seen.any():
            scores = k[(*lead, slice(None), h)][seen] @ q[(*lead, t, h)] / np.sqrt(q.shape[-1])
            weights = np.exp(scores - scores.max())
            y[(*lead, t, h)] = weights / weights.sum() @ v[(*lead, slice(None), h)][seen]
    return y


def _everything(arrays, directions, *, attend):
    """Value, gradients, the forward-mode derivative and a second derivative, in one compilation."""

    def value(arrays):
        y = attend(*arrays)
        return jnp.sum(jnp.sin(y)), y

    (grads, y), (second, dy) = jax.jvp(jax.grad(value, has_aux=True), (arrays,), (directions,))
    return y, grads, dy, second


@pytest.mark.parametrize("name", CASES)
def test_formulations_agree(name):
    with jax.enable_x64(True):
        arrays, mask, causal = _draw(**CASES[name])
        directions = tuple(np.cos(x) for x in arrays)
        results = []
        for formulation in ("lax", "rows"):
            attend = partial(ops.attention, mask=mask, causal=causal, formulation=formulation)
            results.append(jax.jit(partial(_everything, attend=attend))(arrays, directions))
        fused = jax.jit(partial(ops.attention, mask=mask, causal=causal, formulation="fused"))(*arrays)
    oracle = _oracle(*arrays, mask, causal)
    for y in (results[0][0], results[1][0]):
        np.testing.assert_allclose(y, oracle, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(fused, oracle, rtol=1e-5, atol=1e-5)  # its softmax is in float32
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-11), *results)


@pytest.mark.parametrize("formulation", ["lax", "rows", "fused"])
def test_masked_rows_give_zero_and_unseen_keys_have_no_influence(formulation):
    (q, k, v), _, _ = _draw(dtype=np.float32)
    mask = np.ones((2, 1, 5, 5), bool)
    mask[0] = False  # no query of row 0 sees anything
    mask[1, :, 2] = False  # nor query 2 of row 1
    mask[1, :, :, 4] = False  # and nobody sees key 4
    poisoned = [x.copy() for x in (k, v)]
    for x in poisoned:
        x[0], x[1, 4] = np.nan, np.inf

    def run(k, v):
        return jax.vjp(lambda *a: ops.attention(*a, mask=mask, formulation=formulation), q, k, v)

    y, back = run(*poisoned)
    grads = back(jnp.ones_like(y))
    clean, clean_back = run(k, v)
    jax.tree.map(np.testing.assert_array_equal, (y, *grads), (clean, *clean_back(jnp.ones_like(y))))
    assert not np.any(y[0])
    assert not np.any(y[1, 2])
    assert np.all(np.any(y[1, 3] != 0, axis=-1))
    for gradient in grads:
        assert not np.any(gradient[0])
    assert not np.any(grads[0][1, 2])
    assert not np.any(grads[1][1, 4])
    assert not np.any(grads[2][1, 4])


@pytest.mark.parametrize("formulation", ["lax", "rows"])
def test_causal_gradient_of_later_positions_is_exactly_zero(formulation):
    (q, k, v), _, _ = _draw(batch=(), queries=70, keys=70, heads=2, kv_heads=1, dtype=np.float32)

    def rows(q, k, v):
        return jnp.sum(ops.attention(q, k, v, causal=True, formulation=formulation)[66])

    for gradient in jax.grad(rows, argnums=(0, 1, 2))(q, k, v):
        assert not np.any(gradient[67:])
    assert np.any(jax.grad(rows, argnums=2)(q, k, v)[66])


@pytest.mark.parametrize("formulation", ["lax", "rows", "fused"])
def test_half_precision_keeps_its_dtype_and_a_float32_softmax(formulation):
    (q, k, v), _, _ = _draw(queries=3, keys=300, dtype=np.float32)
    low = [jnp.asarray(x, jnp.bfloat16) for x in (q, k, v)]
    exact = _oracle(*(np.asarray(x, np.float64) for x in low), None, False)
    y = ops.attention(*low, formulation=formulation)
    assert y.dtype == jnp.bfloat16
    error = np.linalg.norm(np.asarray(y, np.float64) - exact) / np.linalg.norm(exact)
    assert error < 6e-3


def test_empty_sequences():
    q, k = jnp.ones((2, 0, 4, 3)), jnp.ones((2, 5, 4, 3))
    assert ops.attention(q, k, k).shape == (2, 0, 4, 3)
    np.testing.assert_array_equal(ops.attention(k, q, q, formulation="rows"), np.zeros_like(k))
    np.testing.assert_array_equal(ops.attention(k, q, q, formulation="lax"), np.zeros_like(k))


def test_large_scores_stay_finite():
    q = jnp.asarray([1e4, -1e4, 0.0]).reshape(3, 1, 1)
    for formulation in ("lax", "rows"):
        y, back = jax.vjp(partial(ops.attention, formulation=formulation, causal=True), q, q, q)
        assert np.isfinite(y).all()
        assert all(np.isfinite(g).all() for g in back(jnp.ones_like(y)))


ERRORS = {
    "kv_heads must divide the heads": (ValueError, {"k": (2, 5, 3, 6), "v": (2, 5, 3, 6)}),
    "got kv_heads=8 and heads=4": (ValueError, {"k": (2, 5, 8, 6), "v": (2, 5, 8, 6)}),
    "same positions and heads": (ValueError, {"v": (2, 4, 4, 6)}),
    "agree in their leading axes": (ValueError, {"q": (3, 5, 4, 6)}),
    "as many queries as keys": (ValueError, {"q": (2, 3, 4, 6), "causal": True}),
    "at least 3 axes": (ValueError, {"q": (5, 6)}),
    "got int32": (TypeError, {"dtype": np.int32}),
    "unknown formulation 'flash'": (ValueError, {"formulation": "flash"}),
    r"mask must have shape .*\(2, 4, 5, 5\)": (ValueError, {"mask": np.ones((2, 5, 5), bool)}),
    "mask must be boolean": (TypeError, {"mask": np.ones((5, 5), np.float32)}),
    "'fused' needs values": (ValueError, {"v": (2, 5, 4, 3), "formulation": "fused"}),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wrong(message):
    kind, changes = ERRORS[message]
    changes = dict(changes)
    shapes = {name: changes.pop(name, (2, 5, 4, 6)) for name in "qkv"}
    dtype = changes.pop("dtype", np.float32)
    with pytest.raises(kind, match=message.replace("kv_heads must", "kv_heads of k and v must")):
        ops.attention(*(jnp.ones(shape, dtype) for shape in shapes.values()), **changes)
