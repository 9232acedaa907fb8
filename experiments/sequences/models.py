"""A decoder that writes symbols from a vector: of a picture, or of a sequence that was read."""

from typing import Any

import jaxnn as nn


def decoder(encoder: nn.Layer, symbols: int, features: int) -> tuple[nn.Layer, nn.Cell]:
    """The model and its steps.

    Args:
        encoder: ``source -> [batch, features]``, with which the decoder's state begins.
        symbols: size of the vocabulary that is written.
        features: of the decoder's state.

    Returns:
        A layer from ``(previous ids [batch, time], source)`` to logits ``[batch, time, symbols]``, and a cell
        with the same parameters, whose memory is the source.
    """
    embedding, state, output = nn.embedding(symbols, features), nn.gru_cell(features), nn.dense(symbols)

    @nn.model(encoder=encoder, embedding=embedding, decoder=nn.rnn(state), output=output)
    def model(m: Any, x: Any) -> Any:
        previous, source = x
        return m.output(m.decoder((m.embedding(previous), m.encoder(source))))

    def init(key: Any, x: Any) -> Any:
        token, source = x
        return model.init(key, (token[:, None], source))[0]

    def init_carry(params: Any, x: Any) -> Any:
        return encoder.apply(params["encoder"], {}, x[1])[0]

    def step(params: Any, carry: Any, token: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        del key, train
        x, _ = embedding.apply(params["embedding"], {}, token)
        carry, h = state.step(params["decoder"], carry, x)
        return carry, output.apply(params["output"], {}, h)[0]

    return model, nn.Cell("decoder", init, init_carry, step)
