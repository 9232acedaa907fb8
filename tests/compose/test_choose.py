"""What is left to draw from, against the definition in NumPy: temperature, then top_k, then top_p, by rank."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import jaxnn as nn
from jaxnn.compose._choose import candidates, log_probabilities


def oracle(logits, top_k, temperature, top_p):
    """Which tokens stay and with what probability; equal logits count by their place."""
    logits = np.asarray(logits, np.float64)
    scaled = (logits - logits.max()) / temperature
    order = np.argsort(-scaled, kind="stable")[: top_k or logits.size]
    p = np.exp(scaled[order])
    p /= p.sum()
    if top_p is not None and top_p < 1:
        enough = np.cumsum(p) >= top_p * (1 - 1e-6)
        count = int(np.argmax(enough)) + 1
        order, p = order[:count], p[:count] / p[:count].sum()
    found = np.zeros(logits.size)
    found[order] = p
    return order, found


COMPILED = jax.jit(candidates, static_argnums=1)


def left(logits, top_k=None, temperature=1.0, top_p=None):
    top_p = None if top_p is None else jnp.float32(top_p)
    return np.asarray(COMPILED(jnp.asarray(logits)[None], top_k, jnp.float32(temperature), top_p))


def kept(*arguments, **options):
    """Places that stay of one row."""
    return set(np.flatnonzero(left(*arguments, **options)[0] > -np.inf).tolist())


@pytest.mark.parametrize(
    ("probabilities", "top_p", "count"),
    [
        ([0.3, 0.1, 0.1, 0.5], 0.8, 2),
        (np.full(1000, 1e-3), 0.1, 100),
        (np.full(1000, 1e-3), 0.999, 999),
        (np.full(50_257, 1.0), 0.1, 5026),
        (np.full(50_257, 1.0), 1.0, 50_257),
        (np.full(50_257, 1.0), 1e-30, 1),
        ([0.25, 0.25, 0.25, 0.25], 0.5, 2),
        ([0.2, 0.4, 0.4], 0.8, 2),
        (np.r_[1.0, np.full(999, 1e-9)], 1.0, 1000),
    ],
)
def test_the_fewest_whose_probabilities_reach_top_p(probabilities, top_p, count):
    logits = jnp.log(jnp.asarray(probabilities, jnp.float32))
    best = np.argsort(-np.asarray(probabilities, np.float64), kind="stable")[:count]
    for offset in (0.0, 16.0):
        assert kept(logits + offset, top_p=top_p) == set(best.tolist())


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    values=st.lists(st.integers(-6, 6), min_size=9, max_size=9)
    | st.lists(st.just(3), min_size=1, max_size=1),
    step=st.sampled_from([1.0, 0.25, 0.0]),
    offset=st.sampled_from([0.0, 1e4, -1e4]),
    top_k=st.sampled_from([None, 1, 4]),
    temperature=st.sampled_from([0.5, 1.0, 4.0]),
    top_p=st.sampled_from([None, 1e-6, 0.1, 0.5, 0.8, 0.95, 1.0]),
    impossible=st.booleans(),
)
def test_what_stays_is_what_the_definition_says(values, step, offset, top_k, temperature, top_p, impossible):
    logits = np.asarray(values, np.float32) * np.float32(step) + np.float32(offset)
    if impossible:
        logits[: (len(values) - 1) // 2] = -np.inf
    top_k = None if top_k is None else min(top_k, len(values))
    order, p = oracle(logits, top_k, temperature, top_p)
    possible = {place for place in order.tolist() if logits[place] > -np.inf}
    assert kept(logits, top_k, temperature, top_p) == possible
    found = left(logits, top_k, temperature, top_p)
    np.testing.assert_allclose(np.exp(found[0]) / np.exp(found[0]).sum(), p, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_the_nucleus_of_a_large_vocabulary_holds_its_mass(dtype):
    logits = jnp.asarray(3 * np.random.default_rng(0).normal(size=50_257), dtype).astype(jnp.float32)
    for top_p in (0.5, 0.9, 0.99):
        order, _ = oracle(logits, None, 1.0, top_p)
        found = kept(logits, top_p=top_p)
        # The tokens at the border have probabilities of a few parts in a million, which sums in float32 feel.
        assert abs(len(found) - len(order)) <= 1
        full = np.argsort(-np.asarray(logits, np.float64), kind="stable")
        assert found == set(full[: len(found)].tolist())


@pytest.mark.parametrize("count", [1, 3, 7])
def test_top_k_keeps_as_many_whatever_is_equal(count):
    for logits in (np.zeros(8), np.array([0.0, -0.0] * 4), np.array([1.0, 2.0] * 4), np.full(8, -3.0)):
        logits = np.asarray(logits, np.float32)
        order, _ = oracle(logits, count, 1.0, None)
        assert kept(logits, top_k=count) == set(order.tolist())
        assert len(kept(logits, top_k=count, temperature=1e38)) == count


def test_extreme_temperatures_are_greedy_and_uniform():
    logits = np.array([1.0, 3.0, -np.inf, 2.9, 3.0], np.float32)

    def probabilities(temperature):
        p = np.exp(left(logits, temperature=temperature)[0])
        return p / p.sum()

    for temperature in (1e-3, 1e-38, 1e-45, 0.0):
        np.testing.assert_allclose(probabilities(temperature), [0, 0.5, 0, 0, 0.5], atol=1e-30)
    for temperature in (1e30, 3e38, np.inf):
        np.testing.assert_allclose(probabilities(temperature), [0.25, 0.25, 0, 0.25, 0.25], rtol=1e-6)


def test_infinite_logits_and_nan_are_defined():
    inf, nan = np.inf, np.nan
    rows = jnp.asarray([[0, inf, 1, inf], [-inf, -inf, 0, -inf], [-inf] * 4, [0, 1, nan, 2]], jnp.float32)
    half, quarter = np.log(0.5), -inf
    expected = [[-inf, half, -inf, half], [-inf, -inf, 0, -inf], [quarter] * 4, [nan] * 4]
    np.testing.assert_allclose(log_probabilities(rows), expected, rtol=1e-6)
    for options in ((None, None), (2, None), (None, jnp.float32(0.4)), (3, jnp.float32(0.9))):
        found = candidates(rows, options[0], jnp.float32(0.7), options[1])
        assert (np.asarray(found[0])[[0, 2]] == -inf).all()
        assert int(jnp.argmax(found[1])) == 2
        assert np.isnan(found[3]).all(), "a row with NaN is not drawn from in silence"


def test_rows_are_apart_and_vmap_is_a_loop():
    logits = jnp.asarray(np.random.default_rng(1).integers(-3, 3, (5, 4, 30)), jnp.float32)
    shares = jnp.asarray([0.1, 0.3, 0.5, 0.9, 1.0])

    def run(logits, share):
        return candidates(logits, 20, jnp.float32(0.8), share)

    mapped = jax.jit(jax.vmap(run))(logits, shares)
    alone = jnp.stack([run(logits[i, j][None], shares[i])[0] for i in range(5) for j in range(4)])
    np.testing.assert_allclose(mapped.reshape(20, 30), alone, rtol=1e-6)


def _fixed_cell(logits):
    def step(params, carry, x, *, key=None, train=False):
        return carry, jnp.broadcast_to(jnp.asarray(logits), (x.shape[0], len(logits)))

    return nn.Cell("fixed", lambda key, x: {}, lambda params, x: {}, step)


def _drawn(logits, **options):
    start = jnp.zeros((500, 1), jnp.int32)
    options = {"key": jax.random.key(0), "temperature": 1.0, **options}
    return nn.generate(_fixed_cell(logits), {}, start, 1, **options)


def test_generate_draws_from_the_fewest():
    p = jnp.log(jnp.asarray([0.3, 0.1, 0.1, 0.5]))
    assert set(_drawn(p, top_p=0.8).tokens.ravel().tolist()) == {0, 3}
    for dtype, options in ((jnp.bfloat16, {"top_k": 3}), (jnp.float16, {"top_p": 0.5})):
        assert set(_drawn(jnp.zeros(6, dtype), **options).tokens.ravel().tolist()) == {0, 1, 2}
    greedy = _drawn(jnp.zeros(6, jnp.bfloat16), temperature=0.0, key=None)
    assert set(greedy.tokens.ravel().tolist()) == {0}


def test_offsets_and_infinities_do_not_spoil_draws():
    frequencies = np.bincount(_drawn(jnp.asarray([1e6, 1e6 - 1, -jnp.inf])).tokens[:, 0], minlength=3) / 500
    assert abs(frequencies[0] - 1 / (1 + np.exp(-1))) < 0.1
    assert frequencies[2] == 0
    certain = _drawn(jnp.asarray([0.0, jnp.inf, 3.0]))
    assert set(certain.tokens.ravel().tolist()) == {1}
    np.testing.assert_array_equal(certain.log_probability, 0)
    assert np.isnan(_drawn(jnp.asarray([0.0, jnp.nan, 1.0]), top_k=2).log_probability).all()
    assert np.isnan(_drawn(jnp.asarray([0.0, jnp.nan]), temperature=0.0, key=None).log_probability).all()
    beams = nn.generate(
        _fixed_cell(jnp.asarray([0.0, jnp.nan])), {}, jnp.zeros((1, 1), jnp.int32), 2, beams=2
    )
    assert np.isnan(beams.log_probability).all()


def test_double_precision_logits_are_compared_as_they_are():
    with jax.enable_x64(True):
        logits = jnp.asarray([1.0, 1.0 + 1e-12, 1.0])
        assert _drawn(logits, temperature=0.0, key=None).tokens[0, 0] == 1
        drawn = _drawn(logits, top_k=1)
        assert set(drawn.tokens.ravel().tolist()) == {1}
        assert drawn.log_probability.dtype == jnp.float64
