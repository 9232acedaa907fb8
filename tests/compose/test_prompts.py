"""Prompts of every integer dtype are read as they are, and ids that nothing stands for are named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn

MODEL = nn.chain(nn.embedding(200, 8), nn.gru(8), nn.dense(200))
CELL = nn.decoding_cell(MODEL, 6)
PROMPT = np.array([[100, 3, 120], [7, 127, 0]])


@pytest.fixture(scope="module")
def params():
    return jax.tree.map(lambda p: 3 * p, CELL.init(jax.random.key(0), jnp.zeros(2, jnp.int32)))


def test_no_dtype_of_a_prompt_changes_its_ids(params):
    expected = nn.generate(CELL, params, jnp.asarray(PROMPT, jnp.int32), 3)
    assert int(expected.tokens.max()) > 127, "ids that a small integer could not hold are what this is about"
    for dtype in (np.int8, np.uint8, np.int16, np.uint32, np.int64):
        found = nn.generate(CELL, params, PROMPT.astype(dtype), 3)
        np.testing.assert_array_equal(found.tokens, expected.tokens)
        assert found.tokens.dtype == jnp.int32
    masked = nn.Masked(
        jnp.asarray(np.c_[PROMPT, [[5], [5]]], jnp.uint8), np.array([[True] * 3 + [False]] * 2)
    )
    np.testing.assert_array_equal(nn.generate(CELL, params, masked, 3).tokens, expected.tokens)


def test_one_token_of_one_row(params):
    row = nn.generate(CELL, params, jnp.asarray([[7]], jnp.uint8), 2)
    both = nn.generate(CELL, params, jnp.asarray([[7], [100]], jnp.uint8), 2)
    np.testing.assert_array_equal(row.tokens[0], both.tokens[0])


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (np.array([[1, 2], [200, 3]]), r"ids must be in \[0, 200\), got 200"),
        (np.array([[1, 2], [250, 3]], np.uint8), r"ids must be in \[0, 200\), got 250"),
        (np.array([[1, -1]], np.int8), "ids of at least 0 that fit int32, got -1"),
        (np.array([[1, 2**32 + 5]]), "fit int32, got 4294967301"),
        (np.array([[1, 2**31]], np.uint32), "fit int32, got 2147483648"),
        (nn.Masked(np.array([[1, 2, 300]]), np.array([[True, True, True]])), "got 300"),
    ],
)
def test_ids_that_nothing_stands_for_are_named(params, prompt, message):
    with pytest.raises(ValueError, match=message):
        nn.generate(CELL, params, prompt, 2)


def test_padding_may_hold_anything(params):
    prompt = nn.Masked(
        np.array([[1, 2, -9], [3, 999, 999]]), np.array([[True, True, False], [True, False, False]])
    )
    assert np.isfinite(nn.generate(CELL, params, prompt, 2).log_probability).all()


def test_a_length_penalty_that_is_no_number_raises(params):
    with pytest.raises(ValueError, match="length_penalty must be a finite number, got nan"):
        nn.generate(CELL, params, PROMPT, 2, beams=2, length_penalty=float("nan"))


def test_a_cell_of_ones_own_is_looked_at_once_and_needs_no_arrays_of_numpy():
    calls = []

    def step(params, carry, x, *, key=None, train=False):
        calls.append(None)
        return carry, params["rows"][x.at[0].add(0)]

    cell = nn.Cell("own", lambda key, x: {}, lambda params, x: jnp.zeros(x.shape), step)
    params = {"rows": jnp.roll(jnp.eye(4), 1, axis=1)}
    np.testing.assert_array_equal(nn.generate(cell, params, [[1, 2]], 2).tokens, [[3, 0]])
    traced = len(calls)
    np.testing.assert_array_equal(nn.generate(cell, params, [[2, 0]], 2).tokens, [[1, 2]])
    assert len(calls) == traced > 0
