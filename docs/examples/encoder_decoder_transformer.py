"""An encoder-decoder transformer learns to write words backwards, and then writes new ones.

Run it from the root of the repository: ``python docs/examples/encoder_decoder_transformer.py``.
"""

import jax
import numpy as np

import jaxnn as nn
from jaxnn import losses, metrics, optim, train

BEGIN, END, LETTERS, LONGEST = 0, 1, 10, 6
TOKENS = 2 + LETTERS


def words(rng, count):
    """Words, padded to one length, and the same backwards with an end token."""
    lengths = rng.integers(2, LONGEST + 1, count)
    letters = rng.integers(2, TOKENS, (count, LONGEST + 1))
    places = np.arange(LONGEST + 1)[None, :]
    backwards = np.take_along_axis(letters, np.maximum(lengths[:, None] - 1 - places, 0), axis=1)
    backwards = np.where(places < lengths[:, None], backwards, END)
    source = nn.Masked(letters[:, :LONGEST], places[:, :LONGEST] < lengths[:, None])
    return source, nn.Masked(backwards, places <= lengths[:, None])


@nn.model(
    read=nn.chain(nn.embedding(TOKENS, 32), nn.positional_embedding(kind="sinusoidal")),
    encoder=nn.repeat(nn.transformer_block(4), 2),
    write=nn.chain(nn.embedding(TOKENS, 32), nn.positional_embedding(kind="sinusoidal")),
    decoder=nn.repeat(nn.transformer_block(4, causal=True, cross=True), 2),
    head=nn.chain(nn.layer_norm(), nn.dense(TOKENS)),
)
def translator(m, x):
    """Logits of each next token, given the ones before it and the source."""
    tokens, source = x
    memory = m.encoder(m.read(source))
    return m.head(m.decoder((m.write(tokens), memory))[0])


def main(epochs=30, examples=4096):
    """Train, and return the history and the share of new words that come out without a mistake."""
    rng = np.random.default_rng(0)
    source, target = words(rng, examples)
    data = (np.pad(target.value[:, :-1], ((0, 0), (1, 0)), constant_values=BEGIN), source), target
    task = train.supervised(translator, losses.cross_entropy, metrics=(metrics.accuracy,))
    result = train.fit(task, optim.adamw(2e-3), data, epochs=epochs, batch_size=64, key=jax.random.key(1))
    cell = nn.decoding_cell(translator, LONGEST + 1)
    source, target = words(rng, 256)
    first = np.full((256, 1), BEGIN)
    found = nn.generate(cell, result.params, first, LONGEST + 1, memory=source, end_token=END)
    return result.history, float(np.mean(np.all(found.tokens == target.value, axis=1)))


if __name__ == "__main__":
    history, share = main()
    print(history.last, f"{share:.0%} of new words are right")
