"""Step by step equals the whole pass, for every way of composing a model; what cannot be decoded raises."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import jaxnn as nn

TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, 7, (2, 6)), jnp.int32)
SOURCE = jnp.asarray(np.random.default_rng(1).normal(size=(2, 4, 8)), jnp.float32)
HEARD = jnp.asarray([[True, True, False, True], [True, False, False, False]])


@nn.model(embed=nn.embedding(7, 8, tied=True), turn=nn.rotary(), attend=nn.attention(2, causal=True))
def free_form(m, tokens):
    h = m.embed(tokens)
    turned = m.turn(h.reshape(*h.shape[:-1], 2, 4)).reshape(h.shape)
    return m.embed(h + m.attend(turned))


@nn.model(
    embed=nn.embedding(7, 8),
    here=nn.positional_embedding(kind="sinusoidal"),
    there=nn.positional_embedding(kind="sinusoidal"),
    encoder=nn.repeat(nn.transformer_block(2), 2),
    decoder=nn.repeat(nn.transformer_block(2, causal=True, cross=True), 2),
    head=nn.dense(7),
)
def translator(m, x):
    tokens, source = x
    memory = m.encoder(m.there(source))
    return m.head(m.decoder((m.here(m.embed(tokens)), memory))[0])


@nn.model(
    embed=nn.embedding(7, 8),
    encoder=nn.chain(nn.dense(4), nn.bidirectional(nn.lstm(4))),
    bridge=nn.chain(nn.gru(8, return_sequences=False)),
    decoder=nn.lstm(8),
    attend=nn.attention(2),
    head=nn.dense(7),
)
def recurrent_translator(m, x):
    """A recurrent encoder and decoder with attention to all that was read (Bahdanau et al., 2015)."""
    tokens, source = x
    memory = m.encoder(source)
    read = m.bridge(memory)
    h = m.decoder(m.embed(tokens))
    return m.head(h + m.attend((h, memory)) + jnp.broadcast_to(read[:, None], h.shape))


def _decoder(*middle):
    return nn.chain(nn.embedding(7, 8), *middle, nn.dense(7))


MODELS = {
    "block": _decoder(nn.transformer_block(2, causal=True)),
    "learned positions": _decoder(nn.positional_embedding(6), nn.attention(2, causal=True)),
    "grouped, rotary": _decoder(nn.attention(4, 2, causal=True, rotary=True)),
    "window": _decoder(nn.attention(2, causal=True, mask=lambda query, key: query - key < 2)),
    "repeat of remat": _decoder(nn.repeat(nn.remat(nn.transformer_block(2, 1, causal=True)), 2)),
    "repeat of one": _decoder(nn.repeat(nn.transformer_block(2, causal=True), 1)),
    "residual": _decoder(nn.residual(nn.chain(nn.layer_norm(), nn.attention(2, causal=True)))),
    "branches": _decoder(nn.branch(nn.attention(2, causal=True), nn.dense(8)), nn.add()),
    "nested repeat": _decoder(nn.repeat(nn.chain(nn.repeat(nn.attention(2, causal=True), 2), jnp.tanh), 2)),
    "free-form": free_form,
    "lstm": _decoder(nn.lstm(8), nn.simple_rnn(8)),
    "gru, learned carry, repeated": _decoder(nn.repeat(nn.residual(nn.gru(8, learn_carry=True)), 2)),
    "stacked cells": _decoder(nn.rnn(nn.stacked_cell(nn.lstm_cell(8), nn.gru_cell(8)))),
    "recurrence and attention": _decoder(nn.gru(8), nn.attention(2, causal=True)),
    "cast recurrence": nn.cast(_decoder(nn.lstm(8)), jnp.float16),
    "cast": nn.cast(_decoder(nn.transformer_block(2, causal=True)), jnp.float16),
    "encoder and decoder": translator,
    "masked memory": translator,
    "recurrent encoder and decoder": recurrent_translator,
}


@pytest.mark.parametrize("name", MODELS)
def test_steps_equal_the_whole_pass(name):
    model = MODELS[name]
    memory = SOURCE if name.endswith("encoder and decoder") else None
    memory = nn.Masked(SOURCE, HEARD) if name == "masked memory" else memory
    cell = nn.decoding_cell(model, 6)
    first = TOKENS[:, 0] if memory is None else (TOKENS[:, 0], memory)
    params = cell.init(jax.random.key(0), first)

    @jax.jit
    def both(params):
        whole, _ = model.apply(params, {}, TOKENS if memory is None else (TOKENS, memory))
        carry = cell.init_carry(params, first)
        end, steps = jax.lax.scan(lambda c, x: cell.step(params, c, x), carry, TOKENS.T)
        return whole, steps.swapaxes(0, 1), carry, end

    whole, steps, carry, end = both(params)
    assert steps.dtype == whole.dtype
    tolerance = 3e-2 if name.startswith("cast") else 1e-5
    np.testing.assert_allclose(
        steps.astype(jnp.float32), whole.astype(jnp.float32), rtol=tolerance, atol=tolerance
    )
    assert [a.shape for a in jax.tree.leaves(carry)] == [a.shape for a in jax.tree.leaves(end)]
    assert np.std(np.asarray(whole, np.float32)) > 0.05


@hypothesis.settings(max_examples=12)
@hypothesis.given(
    heads=st.sampled_from([(2, 1), (2, 2), (4, 2)]),
    rotary=st.booleans(),
    pre_norm=st.booleans(),
    window=st.sampled_from([None, 1, 3]),
    time=st.sampled_from([2, 5]),
    seed=st.integers(0, 100),
)
def test_steps_equal_the_whole_pass_in_double_precision(heads, rotary, pre_norm, window, time, seed):
    mask = None if window is None else lambda query, key: query - key < window
    model = nn.repeat(
        nn.transformer_block(*heads, causal=True, rotary=rotary, pre_norm=pre_norm, mask=mask), 2
    )
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(seed).normal(size=(2, time, 8)))
        cell = nn.decoding_cell(model, time + 1)
        params = jax.tree.map(lambda p: p.astype(jnp.float64), cell.init(jax.random.key(seed), x[:, 0]))
        whole, _ = jax.jit(model.apply)(params, {}, x)
        carry = cell.init_carry(params, x[:, 0])
        _, steps = jax.lax.scan(lambda c, x: cell.step(params, c, x), carry, x.swapaxes(0, 1))
        np.testing.assert_allclose(steps.swapaxes(0, 1), whole, rtol=1e-11, atol=1e-11)


def test_several_positions_at_once_equal_steps():
    model = MODELS["learned positions"]
    cell = nn.decoding_cell(model, 6)
    params = cell.init(jax.random.key(0), TOKENS[:, 0])
    carry = cell.init_carry(params, TOKENS[:, 0])
    carry, first = cell.advance(params, carry, TOKENS[:, :4])
    carry, last = cell.advance(params, carry, TOKENS[:, 4:])
    whole, _ = model.apply(params, {}, TOKENS)
    np.testing.assert_allclose(jnp.concatenate([first, last], axis=1), whole, rtol=1e-5, atol=1e-5)


def test_a_memory_is_read_once():
    cell = nn.decoding_cell(translator, 6)
    params = cell.init(jax.random.key(0), (TOKENS[:, 0], SOURCE))
    carry = cell.init_carry(params, (TOKENS[:, 0], SOURCE))
    step = jax.jit(cell.step)
    text = step.lower(params, carry, TOKENS[:, 0]).compile().as_text()
    full = jax.jit(translator.apply).lower(params, {}, (TOKENS[:, :1], SOURCE)).compile().as_text()
    assert text.count(" dot(") < full.count(" dot("), "the encoder is compiled away from a step"
    blank = jax.tree.map(jnp.zeros_like, params["encoder"])
    changed = cell.step({**params, "encoder": blank}, carry, TOKENS[:, 0])[1]
    np.testing.assert_array_equal(changed, cell.step(params, carry, TOKENS[:, 0])[1])


def test_past_the_end_is_nan():
    for model in (MODELS["block"], nn.chain(nn.embedding(7, 8), nn.positional_embedding(2), nn.dense(7))):
        cell = nn.decoding_cell(model, 2)
        params = cell.init(jax.random.key(0), TOKENS[:, 0])
        carry = cell.init_carry(params, TOKENS[:, 0])
        for time in range(3):
            carry, y = cell.step(params, carry, TOKENS[:, time])
            assert np.isnan(y).all() == (time == 2)


@nn.model(embed=nn.embedding(7, 8), attend=nn.attention(2, causal=True))
def twice(m, tokens):
    return m.attend(m.attend(m.embed(tokens)))


@nn.model(embed=nn.embedding(7, 8), attend=nn.attention(2))
def growing(m, tokens):
    h = m.embed(tokens)
    return m.attend((h, h))


@nn.model(embed=nn.embedding(7, 8), positions=nn.positional_embedding(kind="sinusoidal"))
def shared(m, x):
    return m.positions(m.embed(x[0])), m.positions(x[1])


REFUSED = {
    r"attend is called 2 times": twice,
    "memory that grows with the sequence": growing,
    "positions is called 2 times": shared,
    "only if causal=True": _decoder(nn.transformer_block(2)),
    r"conv_0 \(conv\) does not act on each position alone": _decoder(nn.conv(8, (3,), padding="CAUSAL")),
    r"flatten_0 \(flatten\) does not act on each position alone": nn.chain(nn.embedding(7, 8), nn.flatten()),
    r"cumulate_0 \(cumulate\) does not act on each position alone": _decoder(
        nn.stateless("cumulate", None, lambda params, x: jnp.cumsum(x, axis=1))
    ),
    "carries state": _decoder(nn.batch_norm()),
    "gru: .* only forwards and with all outputs, got reverse=True": _decoder(nn.gru(8, reverse=True)),
    "lstm: .*return_sequences=False": nn.chain(nn.embedding(7, 8), nn.lstm(8, return_sequences=False)),
    "gru: .*return_carry=True": nn.chain(nn.embedding(7, 8), nn.gru(8, return_carry=True)),
    r"bidirectional_0 \(bidirectional\): the way back begins at the end": _decoder(
        nn.bidirectional(nn.gru(4))
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_decoded_raises(message):
    cell = nn.decoding_cell(REFUSED[message], 6)
    first = (TOKENS[:, 0], SOURCE) if REFUSED[message] is shared else TOKENS[:, 0]
    with pytest.raises(ValueError, match=message):
        cell.init_carry(cell.init(jax.random.key(0), first), first)


def test_misuse_raises():
    cell = nn.decoding_cell(translator, 6)
    params = cell.init(jax.random.key(0), (TOKENS[:, 0], SOURCE))
    carry = cell.init_carry(params, (TOKENS[:, 0], SOURCE))
    with pytest.raises(TypeError, match="a step takes the next position alone"):
        cell.step(params, carry, (TOKENS[:, 0], SOURCE))
    with pytest.raises(TypeError, match="can't decode a Masked sequence"):
        cell.step(params, carry, nn.Masked(SOURCE[:, 0], HEARD[:, 0]))
    with pytest.raises(ValueError, match="max_length must be at least 2"):
        nn.decoding_cell(translator, 1)
    with pytest.raises(TypeError, match="one already"):
        nn.decoding_cell(cell, 5)
