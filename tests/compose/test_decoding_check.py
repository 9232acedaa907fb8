"""Code that mixes positions, or looks at where they stand, and remembers nothing is refused; other code passes."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import ops
from jaxnn.layers._cached import CALL, PROBE, STEPPED, UNREAD

FIRST = jax.ShapeDtypeStruct((2,), jnp.int32)
TABLE = jnp.asarray(np.random.default_rng(0).normal(size=(16, 8)), jnp.float32)


def _around(middle):
    """A model of tokens around ``middle(m, h)``, the author's own code."""

    @nn.model(embed=nn.embedding(7, 8), inner=nn.dense(8), head=nn.dense(7))
    def author(m, tokens):
        return m.head(middle(m, m.embed(tokens)))

    return author


def _attention(m, h):
    q, k, v = (a.reshape(*a.shape[:-1], 2, 4) for a in (m.inner(h), h, h))
    return ops.attention(q, k, v, causal=True).reshape(h.shape)


def _scan(m, h):
    def step(carry, x):
        carry = jnp.tanh(carry + x)
        return carry, carry

    return m.inner(jax.lax.scan(step, jnp.zeros_like(h[:, 0]), h.swapaxes(0, 1))[1].swapaxes(0, 1))


def _convolution(m, h):
    return m.inner(ops.conv(h, jnp.ones((2, 8, 8)), padding=((1, 0),)))


MIXES = {
    "attention": _attention,
    "scan": _scan,
    "convolution": _convolution,
    "cumsum": lambda m, h: jnp.cumsum(m.inner(h), axis=1),
    "running mean": lambda m, h: m.inner(jnp.cumsum(h, 1) / jnp.arange(1.0, h.shape[1] + 1)[None, :, None]),
    "shift": lambda m, h: m.inner(h) + jnp.pad(h, ((0, 0), (1, 0), (0, 0)))[:, :-1],
    "shift by five": lambda m, h: m.inner(h) + jnp.pad(h, ((0, 0), (5, 0), (0, 0)))[:, : h.shape[1]],
    "roll": lambda m, h: m.inner(jnp.roll(h, 1, axis=1)),
    "softmax over time": lambda m, h: m.inner(jax.nn.softmax(h, axis=1)),
    "mean over time": lambda m, h: m.inner(h) - h.mean(axis=1, keepdims=True),
    "the last": lambda m, h: m.inner(h) + h[:, -1:],
    "summary for a child": lambda m, h: h + m.inner(h[:, 0])[:, None],
    "places": lambda m, h: m.inner(h + TABLE[None, : h.shape[1]]),
    "length": lambda m, h: m.inner(h) * h.shape[1],
    "attention mapped": lambda m, h: jax.vmap(lambda row: jax.nn.softmax(row @ row.T) @ row)(m.inner(h)),
}


def _check(model, first=FIRST):
    cell = nn.decoding_cell(model, 12)
    params = jax.eval_shape(cell.init, jax.eval_shape(jax.random.key, 0), first)
    return jax.eval_shape(cell.init_carry, params, first)


@pytest.mark.parametrize("name", MIXES)
def test_code_between_children_that_mixes_positions_is_refused(name):
    with pytest.raises(ValueError, match=r"decoding_cell: author \(author\): what .* (given|returns)"):
        _check(_around(MIXES[name]))


FUNCTIONS = {
    "centred": lambda h: h - h.mean(),
    "normalised": lambda h: h / jnp.linalg.norm(h),
    "rolled": lambda h: jnp.roll(h, 1),
    "largest": lambda h: jnp.where(h == h.max(), h, 0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_bare_function_that_mixes_positions_is_refused(name):
    model = nn.chain(nn.embedding(7, 8), nn.repeat(nn.chain(FUNCTIONS[name]), 2), nn.dense(7))
    with pytest.raises(ValueError, match=r"chain\.repeat_0\.chain\.lambda_0 \(lambda\) does not act on each"):
        _check(model)


def test_tokens_and_layers_of_ones_own_are_judged_too():
    shifted = nn.stateless("shifted", None, lambda params, x, *, key: jnp.roll(x, 1))
    with pytest.raises(ValueError, match=r"shifted_0 .* does not act on each position alone"):
        _check(nn.chain(shifted, nn.embedding(7, 8)))

    @nn.model(embed=nn.embedding(7, 8), inner=nn.attention(2, causal=True), head=nn.dense(7))
    def noisy(m, tokens):
        h = m.embed(tokens)
        noise = jax.random.normal(m.key("noise"), h.shape)
        return m.head(m.inner(h + noise) + jnp.cumsum(h, axis=1))

    with pytest.raises(ValueError, match="noisy"):
        _check(noisy)


@nn.model(block=_around(_attention))
def outer(m, x):
    return m.block(x)


def test_the_path_of_what_is_refused_is_named():
    with pytest.raises(ValueError, match=r"decoding_cell: outer\.block \(author\): what its child 'head' is"):
        _check(outer)


@nn.model(
    embed=nn.embedding(7, 8), attend=nn.attention(2, causal=True), noise=nn.dropout(0.5), head=nn.dense(7)
)
def free(m, tokens):
    h = m.embed(tokens)
    mixed, gate = jnp.split(jnp.concatenate([h, m.attend(h)], axis=-1), 2, axis=-1)
    heads = mixed.reshape(*mixed.shape[:-1], 2, 4)
    heads = heads - heads.mean(axis=-1, keepdims=True)
    routed = jnp.where(jnp.argmax(gate, axis=-1, keepdims=True) % 2 == 0, gate, -gate)
    h = m.noise(heads.reshape(h.shape) * jax.nn.softmax(routed, axis=-1))
    return m.head(h), h.swapaxes(0, 1)


@nn.model(embed=nn.embedding(7, 8), inner=nn.gru(8), read=nn.dense(8), head=nn.dense(7))
def of_memory(m, x):
    tokens, source = x
    read = m.read(source.mean(axis=1))
    h = m.inner(m.embed(tokens)) + read[:, None]
    scores = jax.nn.softmax(jnp.einsum("btf,bsf->bts", h, source), axis=-1)
    return m.head(jnp.einsum("bts,bsf->btf", scores, source))


@nn.model(embed=nn.embedding(7, 8), inner=nn.gru(8), head=nn.dense(7))
def always_noisy(m, tokens):
    h = m.embed(tokens)
    return m.head(m.inner(h + jax.random.normal(m.key("noise"), h.shape)))


ACCEPTED = {
    "free": free,
    "half": nn.cast(free, jnp.bfloat16),
    "of memory": of_memory,
    "always noisy": always_noisy,
    "functions": nn.chain(
        nn.embedding(7, 8), jax.nn.gelu, lambda h: jax.nn.log_softmax(h @ TABLE[:8], axis=-1), jnp.sin
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_code_that_acts_on_each_position_alone_passes(name):
    _check(
        ACCEPTED[name],
        (FIRST, jax.ShapeDtypeStruct((2, 5, 8), jnp.float32)) if name == "of memory" else FIRST,
    )


def test_a_model_is_judged_once_for_all_batches():
    runs = []

    def counted(m, h):
        runs.append(h.shape)
        return jnp.sort(m.inner(h), axis=-1)

    cell = nn.decoding_cell(_around(counted), 4)
    tokens = jnp.array([1, 2])
    params = cell.init(jax.random.key(0), tokens)
    cell.init_carry(params, tokens)
    before = len(runs)
    cell.init_carry(params, jnp.array([1, 2, 3]))
    assert len(runs) - before < before / 2
    assert max(shape[1] for shape in runs) > 2


def test_a_short_table_of_the_authors_is_no_fault():
    def tabled(m, h):
        if h.shape[1] > 3:
            raise ValueError("at most 3")
        return jnp.sort(m.inner(h), axis=-1)

    _check(_around(tabled))


MARKS = ["probe", "call_1", "stepped", "unread"]
ENTRIES = ["value", "index", "carry"]
IDS = jnp.asarray([[3, 1, 4, 1, 5]])


def _named(names):
    """Children that remember, by their names."""
    return {name: nn.simple_rnn(8) if name == "stepped" else nn.positional_embedding(16) for name in names}


@nn.model(embed=nn.embedding(7, 8), **_named(MARKS + ENTRIES))
def named(m, x):
    h = m.embed(x)
    for name in MARKS + ENTRIES:
        h = getattr(m, name)(h)
    return h


SUMS = nn.chain(nn.branch(**_named(MARKS)), nn.add(), **_named([*ENTRIES, "key"]))
COMPOSITES = {
    "chain": nn.chain(nn.embedding(7, 8), **_named([*MARKS, *ENTRIES, "key", "train"])),
    "branch, repeat": nn.chain(nn.embedding(7, 8), nn.repeat(SUMS, 2)),
    "model": named,
}


@pytest.mark.parametrize("name", COMPOSITES)
def test_a_child_may_have_any_name(name):
    model = COMPOSITES[name]
    cell = nn.decoding_cell(model, 5)
    params = jax.jit(cell.init)(jax.random.key(0), IDS[:, 0])
    whole = jax.jit(model.apply)(params, {}, IDS)[0]
    carry = jax.jit(cell.init_carry)(params, IDS[:, 0])
    step = cell.step if name == "chain" else jax.jit(cell.step)
    for time in range(3):
        carry, y = step(params, carry, IDS[:, time])
        np.testing.assert_allclose(y, whole[:, time], rtol=1e-5, atol=1e-5)


def test_what_marks_a_cache_can_be_no_childs_name():
    for mark in (PROBE, CALL, STEPPED, UNREAD):
        with pytest.raises(ValueError, match="must be a Python identifier"):
            nn.dense(2).named(mark)


def test_a_layer_of_ones_own_around_a_function_of_ours_is_judged_by_itself():
    apply = inspect.getclosurevars(nn.dense(8).apply).nonlocals["apply"]

    def shifted(params, state, x, *, key=None, train=False):
        y = apply(params, x)
        return jnp.roll(y, 1, axis=-2) if y.ndim > 1 else y, state

    own = nn.Layer("shifted", nn.dense(8).init, shifted)
    with pytest.raises(ValueError, match=r"shifted\) does not act on each position alone"):
        _check(nn.chain(nn.embedding(7, 8), own))


def test_an_error_without_words_is_a_refusal_too():
    def mute(params, state, x, *, key=None, train=False):
        if x.ndim < 3:
            raise ValueError
        return x, state

    with pytest.raises(ValueError, match=r"does not act on each position alone \(ValueError\)"):
        _check(nn.chain(nn.embedding(7, 8), nn.Layer("mute", lambda key, x: ({}, {}), mute)))
