"""Encoder and decoder of gated recurrent units, without and with attention.

The encoder reads the sentence in both directions. Without attention (Sutskever et al., 2014,
arXiv:1409.3215; Cho et al., 2014, arXiv:1406.1078) one vector, its last states, is all that the decoder
knows of the sentence. With attention (Bahdanau et al., 2015, arXiv:1409.0473; here Luong's form, 2015,
arXiv:1508.04025) the decoder's state ``h`` weighs all states ``s_i`` of the encoder at each step by
``softmax_i(h . W s_i)``, and their weighted mean helps to choose the next piece.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from jaxnn.inspect import intermediates


def build(
    source_size: int, target_size: int, features: int, rate: float, attends: bool
) -> tuple[nn.Layer, nn.Cell]:
    """The model and its steps.

    Args:
        source_size: pieces of the source language.
        target_size: pieces of the target language.
        features: of embeddings and states.
        rate: probability of dropout.
        attends: whether the decoder looks back.

    Returns:
        A layer from ``(target ids [batch, time], Masked(source ids [batch, length]))`` to logits ``[batch,
        time, target_size]``, and a cell with the same parameters, whose memory is the masked source.
    """
    encoder = _encoder(source_size, features, rate)
    embedding = nn.chain(nn.embedding(target_size, features), nn.dropout(rate))
    cell, readout = nn.gru_cell(features), _readout(target_size, features, rate, attends)

    @nn.model(encoder=encoder, embedding=embedding, decoder=nn.rnn(cell), readout=readout)
    def translator(m: Any, x: Any) -> Any:
        target, source = x
        memory, start = m.encoder(source)
        return m.readout((m.decoder((m.embedding(target), start)), memory))

    def init(key: Any, x: Any) -> Any:
        token, source = x
        return translator.init(key, (token[:, None], source))[0]

    def init_carry(params: Any, x: Any) -> Any:
        _, source = x
        memory, start = encoder.apply(params["encoder"], {}, source)[0]
        return {"state": start, "memory": memory}

    def step(params: Any, carry: Any, token: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        del key, train
        x, _ = embedding.apply(params["embedding"], {}, token)
        state, h = cell.step(params["decoder"], carry["state"], x)
        logits, _ = readout.apply(params["readout"], {}, (h[:, None], carry["memory"]))
        return {"state": state, "memory": carry["memory"]}, logits[:, 0]

    return translator, nn.Cell("translator", init, init_carry, step)


def _encoder(size: int, features: int, rate: float) -> nn.Layer:
    """``Masked ids [batch, length] -> (Masked [batch, length, 2 features], start [batch, features])``."""
    both = nn.bidirectional(nn.gru(features, return_carry=True))

    @nn.model(
        embedding=nn.chain(nn.embedding(size, features), nn.dropout(rate)),
        both=both,
        start=nn.chain(nn.dense(features), jnp.tanh),
    )
    def encoder(m: Any, source: Any) -> Any:
        states, (forward, backward) = m.both(m.embedding(source))
        return states, m.start(jnp.concatenate([forward, backward], axis=-1))

    return encoder


def _readout(size: int, features: int, rate: float, attends: bool) -> nn.Layer:
    """``(states [batch, time, features], Masked memory) -> logits [batch, time, size]``."""
    dropped, output = nn.dropout(rate), nn.dense(size)
    if attends:

        @nn.model(attention=attention(features), mix=nn.dense(features), dropped=dropped, output=output)
        def readout(m: Any, x: Any) -> Any:
            seen, _ = m.attention(x)
            return m.output(m.dropped(jnp.tanh(m.mix(jnp.concatenate([x[0], seen], axis=-1)))))

    else:

        @nn.model(mix=nn.dense(features), dropped=dropped, output=output)
        def readout(m: Any, x: Any) -> Any:
            return m.output(m.dropped(jnp.tanh(m.mix(x[0]))))

    return readout


def attention(features: int) -> nn.Layer:
    """``(states, Masked memory) -> (means [batch, time, 2 features], weights [batch, time, length])``."""

    @nn.model(score=nn.dense(features, use_bias=False))
    def attention(m: Any, x: Any) -> Any:
        h, memory = x
        scores = jnp.einsum("btf,bif->bti", h, m.score(memory).value) * features**-0.5
        mask = jnp.broadcast_to(memory.mask[:, None, :], scores.shape)
        weights = jax.nn.softmax(jnp.where(mask, scores, jnp.finfo(scores.dtype).min))
        return jnp.einsum("bti,bif->btf", weights, memory.value), weights

    return attention


def attention_weights(model: nn.Layer, params: Any, x: Any) -> np.ndarray:
    """What a model that attends looks at, ``[batch, time, length]``, for its input ``x``."""
    return np.asarray(intermediates(model, params, {}, x)["readout.attention"][1])
