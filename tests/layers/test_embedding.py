"""Embeddings, one-hot vectors and the tied output projection."""

import flax.linen as fnn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import assert_close, cotangent, draw, to_numpy, value_and_gradients

import jaxnn as nn

IDS = np.array([[3, 0, 3], [6, 1, 2]])
MASK = np.array([[True, True, False], [True, False, False]])


@pytest.fixture(scope="module")
def ours():
    layer = nn.embedding(7, 4, tied=True)
    with jax.enable_x64(True):
        table, h = {"embedding": jnp.asarray(draw(7, 4))}, jnp.asarray(draw(2, 3, 4))
        looked_up = value_and_gradients(lambda p: layer.apply(p, {}, jnp.asarray(IDS))[0], table)
        projected = value_and_gradients(lambda p, h: layer.apply(p, {}, h)[0], table, h)
    return looked_up, projected


def test_equals_flax(ours):
    module = fnn.Embed(7, 4, param_dtype=jnp.float64)
    with jax.enable_x64(True):
        table, h = {"embedding": jnp.asarray(draw(7, 4))}, jnp.asarray(draw(2, 3, 4))
        looked_up = value_and_gradients(lambda p: module.apply({"params": p}, jnp.asarray(IDS)), table)
        attend = lambda p, h: module.apply({"params": p}, h, method="attend")  # noqa: E731
        projected = value_and_gradients(attend, table, h)
    assert_close(ours, (looked_up, projected), 1e-10)


def test_equals_pytorch(ours):
    torch = pytest.importorskip("torch")
    table = torch.tensor(draw(7, 4), requires_grad=True)
    out = torch.nn.functional.embedding(torch.tensor(IDS), table)
    grads = to_numpy(torch.autograd.grad(out, table, torch.tensor(cotangent(out.shape))))
    assert_close(ours[0], (out.detach().numpy(), ({"embedding": grads[0]},)), 1e-10)


def test_rows_start_with_unit_expected_length():
    params, _ = nn.embedding(2000, 16).init(jax.random.key(0), jnp.asarray(IDS))
    assert abs(float(jnp.mean(jnp.sum(jnp.square(params["embedding"]), -1))) - 1) < 0.03


def test_masked_ids_keep_their_mask_whatever_the_padding_holds():
    layer = nn.embedding(7, 4)
    params, _ = layer.init(jax.random.key(0), jnp.asarray(IDS))
    ids = np.where(MASK, IDS, -5)

    def total(params, ids):
        y, _ = layer.apply(params, {}, nn.Masked(ids, jnp.asarray(MASK)))
        return jnp.sum(jnp.where(MASK[..., None], y.value, 0)), y

    (value, y), grads = jax.value_and_grad(total, has_aux=True)(params, jnp.asarray(ids))
    np.testing.assert_array_equal(y.mask, MASK)
    np.testing.assert_array_equal(y.value[MASK], params["embedding"][IDS[MASK]])
    assert np.isfinite(value)
    touched = np.zeros(7, bool)
    touched[IDS[MASK]] = True
    np.testing.assert_array_equal(np.any(np.asarray(grads["embedding"]) != 0, -1), touched)


def test_ids_of_no_row_raise_when_known_and_give_nan_when_traced():
    layer = nn.embedding(7, 4)
    params, _ = layer.init(jax.random.key(0), jnp.asarray(IDS))
    for wrong in (7, -1):
        ids = jnp.array([0, wrong, 2])
        with pytest.raises(ValueError, match=rf"ids must be in \[0, 7\), got {wrong} \(and 0 more\)"):
            layer.apply(params, {}, ids)
        y = jax.jit(lambda ids: layer.apply(params, {}, ids)[0])(ids)
        np.testing.assert_array_equal(np.isnan(y).any(-1), [False, True, False])


def test_tied_model_trains_one_table_from_both_ends():
    @nn.model(tokens=nn.embedding(5, 4, tied=True))
    def copy(m, ids):
        return m.tokens(m.tokens(ids))

    ids = jnp.arange(5)
    params, state = copy.init(jax.random.key(0), ids)
    assert list(params) == ["tokens"]
    table = params["tokens"]["embedding"]
    np.testing.assert_allclose(copy.apply(params, state, ids)[0], table @ table.T, rtol=1e-6)
    masked, _ = copy.apply(params, state, nn.Masked(ids, ids < 3))
    np.testing.assert_array_equal(masked.mask, [True, True, True, False, False])
    gradient = jax.grad(lambda p: jnp.sum(copy.apply(p, state, ids)[0]))(params)["tokens"]["embedding"]
    np.testing.assert_allclose(gradient, 2 * jnp.broadcast_to(table.sum(0), (5, 4)), rtol=1e-5)


def test_one_hot_equals_rows_of_the_identity_under_jit_and_vmap():
    layer = nn.one_hot(7, dtype=jnp.bfloat16)
    y = jax.jit(jax.vmap(lambda ids: layer.apply({}, {}, ids)[0]))(IDS)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y.astype(jnp.float32), np.eye(7)[IDS])
    masked, _ = layer.apply({}, {}, nn.Masked(jnp.asarray(np.where(MASK, IDS, 99)), jnp.asarray(MASK)))
    np.testing.assert_array_equal(masked.mask, MASK)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.embedding(0, 4), "embedding: num_embeddings must be a positive int, got 0"),
        (lambda: nn.embedding(4, True), "embedding: features must be a positive int, got bool True"),
        (lambda: nn.one_hot(2.5), "one_hot: num_classes must be a positive int"),
        (lambda: nn.embedding(4, 2).init(jax.random.key(0), jnp.ones(3)), "pass tied=True"),
        (lambda: nn.embedding(4, 2, tied=True).init(jax.random.key(0), jnp.ones(3)), r"expected \[..., 2\]"),
        (lambda: nn.one_hot(4).apply({}, {}, jnp.array([4])), r"one_hot: ids must be in \[0, 4\), got 4"),
        (lambda: nn.one_hot(4).apply({}, {}, jnp.ones(2)), "one_hot: expected integer ids, got float32"),
        (lambda: nn.embedding(4, 2).apply({}, {}, jnp.array([1])), "expected params with 'embedding'"),
        (
            lambda: nn.embedding(4, 2).apply({"embedding": jnp.ones((2, 4))}, {}, jnp.array([1])),
            r"expected embedding \[4, 2\] in params, got float32\[2, 4\]",
        ),
        (
            lambda: nn.one_hot(4).apply({}, {}, nn.Masked(jnp.ones((2, 3), int), jnp.ones(2, bool))),
            "the mask of ids must have their shape",
        ),
    ],
)
def test_bad_arguments_and_inputs_are_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
