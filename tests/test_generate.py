"""Generation against brute force and against loops written out, for decoding cells and for any other cell."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn

VOCABULARY, END = 5, 4


def _table_cell():
    """A cell whose logits depend on the last two tokens, with a carry that has no leading batch axis."""

    def init(key, x):
        return {"table": 2 * jax.random.normal(key, (VOCABULARY, VOCABULARY, VOCABULARY))}

    def init_carry(params, x):
        return {"last": jnp.zeros((1, x.shape[0]), jnp.int32), "time": jnp.zeros((), jnp.int32)}

    def step(params, carry, x, *, key=None, train=False):
        logits = params["table"][carry["last"][0], x]
        return {"last": x[None], "time": carry["time"] + 1}, logits

    return nn.Cell("table", init, init_carry, step)


@pytest.fixture(scope="module")
def table():
    cell = _table_cell()
    return cell, cell.init(jax.random.key(3), jnp.zeros(1, jnp.int32))


def _log_probability(params, prompt, tokens):
    logs = np.asarray(jax.nn.log_softmax(params["table"]))
    sequence, total = [0, *prompt, *tokens], 0.0
    for i in range(len(prompt) + 1, len(sequence)):
        total += logs[sequence[i - 2], sequence[i - 1], sequence[i]]
        if sequence[i] == END:
            break
    return total


PROMPTS = jnp.array([[1, 2], [3, 0], [2, 2]])


def test_greedy_equals_the_loop_written_out(table):
    cell, params = table
    found = nn.generate(cell, params, PROMPTS, 6, end_token=END)
    for row, prompt in enumerate(np.asarray(PROMPTS)):
        sequence, expected = [0, *prompt], []
        while len(expected) < 6 and END not in expected:
            expected.append(int(np.argmax(params["table"][sequence[-2], sequence[-1]])))
            sequence.append(expected[-1])
        assert found.mask[row].sum() == len(expected)
        assert found.tokens[row, : len(expected)].tolist() == expected
        assert set(found.tokens[row, len(expected) :].tolist()) <= {END}
        np.testing.assert_allclose(
            found.log_probability[row], _log_probability(params, prompt, expected), rtol=1e-5
        )
    assert len({int(m.sum()) for m in found.mask}) > 1, (
        "rows of different lengths are what this test is about"
    )


@pytest.mark.parametrize("end_token", [END, None])
def test_enough_beams_find_the_most_probable_sequence(table, end_token):
    cell, params = table
    steps = 3
    found = nn.generate(cell, params, PROMPTS, steps, beams=VOCABULARY**2, end_token=end_token)
    logs = np.asarray(jax.nn.log_softmax(params["table"]))
    for row, prompt in enumerate(np.asarray(PROMPTS)):
        best = -np.inf
        for tokens in itertools.product(range(VOCABULARY), repeat=steps):
            sequence, total = [0, *prompt, *tokens], 0.0
            for i in range(3, 3 + steps):
                total += logs[sequence[i - 2], sequence[i - 1], sequence[i]]
                if sequence[i] == end_token:
                    break
            best = max(best, total)
        np.testing.assert_allclose(found.log_probability[row], best, rtol=1e-5)


def test_length_penalty_prefers_longer_sequences():
    """Token 1 repeats with probability 0.5 a step; the end token has the other half."""

    def step(params, carry, x, *, key=None, train=False):
        return carry, jnp.broadcast_to(jnp.log(jnp.array([1e-9, 0.5, 0.51])), (x.shape[0], 3))

    cell = nn.Cell("even", lambda key, x: {}, lambda params, x: {}, step)
    start = jnp.zeros((1, 1), jnp.int32)
    short = nn.generate(cell, {}, start, 4, beams=4, end_token=2)
    long = nn.generate(cell, {}, start, 4, beams=4, end_token=2, length_penalty=3.0)
    assert int(short.mask.sum()) == 1
    assert int(long.mask.sum()) == 4
    assert long.log_probability[0] < short.log_probability[0]


def test_beams_are_no_worse_than_greedy_and_one_beam_is_greedy(table):
    cell, params = table
    greedy = nn.generate(cell, params, PROMPTS, 5)
    beamed = nn.generate(cell, params, PROMPTS, 5, beams=3)
    assert np.all(beamed.log_probability >= greedy.log_probability - 1e-5)
    assert np.any(beamed.log_probability > greedy.log_probability + 1e-5)


@pytest.mark.parametrize("options", [{}, {"beams": 3}])
def test_ragged_prompts_equal_rows_alone(table, options):
    cell, params = table
    mask = np.array([[True, True, True], [True, False, False], [True, True, False]])
    tokens = np.where(mask, [[1, 2, 0], [3, 9, 9], [0, 3, 9]], 9)
    found = nn.generate(cell, params, nn.Masked(jnp.asarray(tokens), mask), 4, end_token=END, **options)
    for row in range(3):
        alone = nn.generate(cell, params, tokens[row : row + 1, mask[row]], 4, end_token=END, **options)
        assert found.tokens[row].tolist() == alone.tokens[0].tolist()
        np.testing.assert_allclose(found.log_probability[row], alone.log_probability[0], rtol=1e-5)


def _frequencies(params, **options):
    cell = nn.Cell("fixed", lambda key, x: {}, lambda params, x: {}, _fixed_step)
    found = nn.generate(
        cell,
        params,
        jnp.zeros((4000, 1), jnp.int32),
        1,
        key=jax.random.key(5),
        **{"temperature": 1.0, **options},
    )
    return np.bincount(found.tokens[:, 0], minlength=4) / 4000


def _fixed_step(params, carry, x, *, key=None, train=False):
    return carry, jnp.broadcast_to(params["logits"], (x.shape[0], 4))


P = np.array([0.4, 0.3, 0.2, 0.1])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, P),
        ({"temperature": 0.5}, P**2 / np.sum(P**2)),
        ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.65}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.71}, [4 / 9, 3 / 9, 2 / 9, 0]),
        ({"top_p": 0.01}, [1, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.7}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 1.0}, P),
    ],
)
def test_samples_have_the_right_distribution(options, expected):
    found = _frequencies({"logits": jnp.log(jnp.asarray(P, jnp.float32))}, **options)
    deviation = np.sqrt(np.asarray(expected) * (1 - np.asarray(expected)) / 4000)
    assert np.all(np.abs(found - expected) <= 4.5 * deviation)


def test_one_key_gives_one_result(table):
    cell, params = table
    options = {"temperature": 1.0, "end_token": END}
    first, again, other = (
        nn.generate(cell, params, PROMPTS, 8, key=jax.random.key(seed), **options) for seed in (1, 1, 2)
    )
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert np.any(first.tokens != other.tokens)
    inside = jax.jit(lambda p, k: nn.generate(cell, p, PROMPTS, 8, key=k, **options))(
        params, jax.random.key(1)
    )
    jax.tree.map(np.testing.assert_array_equal, first, inside)
    keys = jnp.stack([jax.random.key(1), jax.random.key(2)])
    mapped = jax.vmap(lambda k: nn.generate(cell, params, PROMPTS, 8, key=k, **options))(keys)
    np.testing.assert_array_equal(mapped.tokens, np.stack([first.tokens, other.tokens]))


def test_stops_when_every_row_has_ended():
    """A cell that counts its steps in a place that shows: the last logits it could give are NaN."""

    def step(params, carry, x, *, key=None, train=False):
        logits = jnp.where(carry < 3, jnp.array([0.0, 9.0, 0.0]), jnp.nan)
        logits = jnp.where(carry == 2, jnp.array([0.0, 0.0, 9.0]), logits)
        return carry + 1, jnp.broadcast_to(logits, (x.shape[0], 3))

    cell = nn.Cell("counter", lambda key, x: {}, lambda params, x: jnp.zeros((), jnp.int32), step)
    found = nn.generate(cell, {}, jnp.zeros((2, 1), jnp.int32), 50, end_token=2)
    assert found.mask.sum(axis=1).tolist() == [3, 3]
    loop = jax.make_jaxpr(lambda: nn.generate(cell, {}, jnp.zeros((2, 1), jnp.int32), 50, end_token=2))()
    assert "while[" in str(loop)
    assert np.isfinite(found.log_probability).all()


def test_a_decoding_cell_continues_as_the_whole_model_says():
    model = nn.chain(
        nn.embedding(7, 8), nn.repeat(nn.transformer_block(2, causal=True, rotary=True), 2), nn.dense(7)
    )
    cell = nn.decoding_cell(model, 9)
    prompt = jnp.array([[1, 2, 3], [4, 5, 6]])
    params = cell.init(jax.random.key(2), prompt[:, 0])
    params = jax.tree.map(lambda p: 2 * p, params)
    for beams in (1, 3):
        found = nn.generate(cell, params, prompt, 6, beams=beams)
        whole = jnp.concatenate([prompt, found.tokens], axis=1)
        logs = jax.nn.log_softmax(model.apply(params, {}, whole)[0])
        gains = jnp.take_along_axis(logs[:, 2:-1], found.tokens[:, :, None], axis=2)[..., 0]
        np.testing.assert_allclose(found.log_probability, gains.sum(axis=1), rtol=1e-4, atol=1e-4)
        if beams == 1:
            np.testing.assert_array_equal(found.tokens, jnp.argmax(logs[:, 2:-1], axis=-1))
    with pytest.raises(ValueError, match="need a cell of max_length 10, got 9"):
        nn.generate(cell, params, prompt, 8)


BAD = {
    "temperature above 0: needs a random key": {"temperature": 1.0},
    "temperature must be a finite non-negative": {"temperature": -1.0},
    "beam search draws nothing": {"temperature": 1.0, "beams": 2, "key": jax.random.key},
    "top_k says what to draw from": {"top_k": 2},
    "top_p says what to draw from": {"top_p": 0.5},
    r"top_p is a probability in \(0, 1\]": {"temperature": 1.0, "top_p": 1.5, "key": jax.random.key},
    "top_k must fit the 5 logits, got 6": {"temperature": 1.0, "top_k": 6, "key": jax.random.key},
    "end_token must fit the 5 logits, got 5": {"end_token": 5},
    "end_token must be a token": {"end_token": -1},
    "steps must be a positive int": {"steps": 0},
    "prompt must hold integers": {"prompt": jnp.ones((2, 2))},
    "prompt must be .batch, length. with at least one token": {"prompt": jnp.ones((2, 0), jnp.int32)},
    "padded on the right only": {"prompt": nn.Masked(PROMPTS, np.array([[False, True]] * 3))},
    "expected a Cell": {"cell": nn.dense(3)},
    r"must map tokens \[batch\] to logits": {
        "cell": nn.Cell("odd", lambda key, x: {}, lambda p, x: x, lambda p, c, x, **_: (c, x))
    },
}


@pytest.mark.parametrize("message", BAD)
def test_errors(table, message):
    options = {"cell": table[0], "prompt": PROMPTS, "steps": 3, **BAD[message]}
    if "key" in options:
        options["key"] = options["key"](0)
    cell, prompt, steps = (options.pop(name) for name in ("cell", "prompt", "steps"))
    with pytest.raises((ValueError, TypeError), match=message):
        nn.generate(cell, table[1], prompt, steps, **options)
