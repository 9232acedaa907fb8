"""A bidirectional GRU that tells which token is the most frequent, in sequences padded to one length.

What stands in the padding has no influence; here it is rubbish. Run it from the root of the repository:
``python docs/examples/bidirectional_gru.py``.
"""

import jax
import numpy as np

import jaxnn as nn
from jaxnn import losses, metrics, optim, train


def sequences(count, longest=12, seed=0):
    """Tokens 0, 1, 2 ``[count, longest]``, real up to a drawn length; and the most frequent of each row."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 3, (count, longest))
    real = np.arange(longest) < rng.integers(4, longest + 1, (count, 1))
    counts = (np.eye(3, dtype=int)[tokens] * real[..., None]).sum(1)
    return nn.Masked(tokens, real), counts.argmax(-1)


def main(epochs=10, examples=2048, features=16):
    """Train, validate on 256 other sequences, and return the history."""
    model = nn.chain(
        nn.embedding(3, 8),
        nn.bidirectional(nn.gru(features)),
        nn.bidirectional(nn.gru(features, return_sequences=False)),
        nn.dense(3),
    )
    task = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))
    return train.fit(
        task,
        optim.adam(1e-2),
        sequences(examples),
        epochs=epochs,
        batch_size=64,
        key=jax.random.key(0),
        validation=sequences(256, seed=1),
    ).history


if __name__ == "__main__":
    main()
