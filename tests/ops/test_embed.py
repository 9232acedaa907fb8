"""Rows of a table: against a product with one-hot vectors, and against a loop in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import ops

IDS = jnp.array([[1, 0, 1], [4, 1, 2]])


def table(dtype=jnp.float32):
    return jax.random.normal(jax.random.key(0), (5, 3)).astype(dtype)


def product(t, ids):
    return jnp.einsum("...v,vd->...d", jax.nn.one_hot(ids, t.shape[0], dtype=t.dtype), t)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.checkpoint], ids=["eager", "jit", "remat"])
def test_value_and_derivatives_are_those_of_the_product(wrap) -> None:
    with jax.enable_x64(True):
        t = table(jnp.float64)
        embed = wrap(ops.embed)
        np.testing.assert_allclose(embed(t, IDS), product(t, IDS), rtol=1e-12)

        def of(lookup):
            return lambda t: jnp.sum(jnp.sin(lookup(t, IDS)) ** 3)

        np.testing.assert_allclose(jax.grad(of(embed))(t), jax.grad(of(product))(t), rtol=1e-10)
        np.testing.assert_allclose(
            jax.hessian(of(embed))(t), jax.hessian(of(product))(t), rtol=1e-9, atol=1e-12
        )
        v = jnp.cos(t)
        np.testing.assert_allclose(
            jax.jvp(of(embed), (t,), (v,))[1], jax.jvp(of(product), (t,), (v,))[1], rtol=1e-10
        )


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_gradients_of_a_frequent_id_are_added_in_float32(dtype) -> None:
    ids = jnp.zeros(4096, jnp.int32).at[0].set(1)
    gradient = jax.jit(jax.grad(lambda t: ops.embed(t, ids).sum()))(table(dtype))
    assert gradient.dtype == dtype
    np.testing.assert_array_equal(
        gradient.astype(np.float32)[:2, 0], [np.float32(jnp.asarray(4095, dtype)), 1.0]
    )
    tangent = jax.jvp(lambda t: ops.embed(t, ids), (table(dtype),), (table(dtype),))[1]
    assert tangent.dtype == dtype
    np.testing.assert_array_equal(tangent, table(dtype)[ids])


def test_ids_outside_are_nan_rows_and_ignored_in_updates() -> None:
    t, ids = table(), jnp.array([-1, 5, 4])
    rows = np.asarray(ops.embed(t, ids))
    assert np.isnan(rows[:2]).all()
    np.testing.assert_array_equal(rows[2], t[4])
    np.testing.assert_array_equal(
        ops.sparse_update(t, ids, jnp.ones((3, 3))), np.asarray(t) + np.eye(5)[4][:, None].astype(np.float32)
    )
    gradient = jax.grad(lambda t: jnp.nansum(ops.embed(t, ids)))(t)
    np.testing.assert_array_equal(gradient, np.eye(5, dtype=np.float32)[:, 4:] * np.ones(3, np.float32))


@pytest.mark.parametrize("rows", [200, 300])
def test_small_integer_ids_reach_what_they_can(rows: int) -> None:
    t = jnp.arange(rows, dtype=jnp.float32)[:, None]
    ids = jnp.array([-1, 0, 127], jnp.int8)
    assert np.isnan(ops.embed(t, ids)[0]).all()
    np.testing.assert_array_equal(ops.embed(t, ids)[1:, 0], [0.0, 127.0])


def test_an_update_adds_every_occurrence_in_a_loop_and_under_vmap() -> None:
    with jax.enable_x64(True):
        t = table(jnp.float64)
        batches = jax.random.randint(jax.random.key(1), (6, 4), -1, 5)
        rows = jax.random.normal(jax.random.key(2), (6, 4, 3))
        looped = jax.jit(
            lambda t: jax.lax.scan(lambda t, b: (ops.sparse_update(t, *b), None), t, (batches, rows))[0]
        )(t)
        expected = np.array(t)
        for ids, new in zip(np.asarray(batches), np.asarray(rows), strict=True):
            for one, row in zip(ids, new, strict=True):
                if one >= 0:
                    expected[one] += row
        np.testing.assert_allclose(looped, expected, rtol=1e-12)
        many = jax.vmap(ops.sparse_update, (None, 0, 0))(t, batches, rows)
        np.testing.assert_allclose(many.sum(0) - 5 * t, expected, rtol=1e-10)
        np.testing.assert_allclose(
            jax.grad(lambda rows: jnp.sum(ops.sparse_update(t, batches[0], rows) ** 2))(rows[0]),
            np.where(
                batches[0][:, None] >= 0, 2 * ops.sparse_update(t, batches[0], rows[0])[batches[0]], 0.0
            ),
            rtol=1e-10,
        )


def test_mistakes() -> None:
    t = table()
    with pytest.raises(TypeError, match="ids must be integers"):
        ops.embed(t, jnp.ones(2))
    with pytest.raises(TypeError, match="table must be floating"):
        ops.embed(jnp.ones((2, 2), int), IDS)
    with pytest.raises(ValueError, match=r"table must be \[rows, features\]"):
        ops.sparse_update(jnp.ones(2), IDS, jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"rows must have the shape of ids.*\[2, 3, 3\]"):
        ops.sparse_update(t, IDS, jnp.ones((2, 3)))
    with pytest.raises(TypeError, match="dtype of the table"):
        ops.sparse_update(t, IDS, jnp.ones((2, 3, 3), jnp.float16))


def test_tables_may_be_numpy_arrays() -> None:
    t = np.asarray(table())
    np.testing.assert_array_equal(ops.embed(t, IDS), t[np.asarray(IDS)])
    assert ops.sparse_update(t, jnp.array([0]), jnp.ones((1, 3))).shape == (5, 3)
