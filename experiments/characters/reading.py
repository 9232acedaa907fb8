"""Models that read characters and foretell the next: recurrent ones that remember, and a transformer."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

import jaxnn as nn
from jaxnn import losses, metrics, train

Kind = Literal["rnn", "lstm", "gru", "transformer"]
RECURRENT = {"rnn": nn.simple_rnn, "lstm": nn.lstm, "gru": nn.gru}
EMBEDDED = 64  # numbers by which a recurrent network is told a character
HEADS = 4


@dataclass(frozen=True)
class Reader:
    """A model, and how it reads a stream piece by piece.

    Attributes:
        model: ``ids [batch, time] -> logits [batch, time, characters]``.
        remembers: whether what it has read so far is handed on from piece to piece. A transformer has only
            the piece itself to look back in.
    """

    model: nn.Layer
    remembers: bool

    def start(self, params: Any, rows: int) -> Any:
        """The memory before the first piece of ``rows`` streams."""
        return _cell(self.model).init_carry(params, jnp.zeros(rows, jnp.int32)) if self.remembers else {}

    def read(
        self, params: Any, memory: Any, ids: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Any]:
        """Read a piece ``[rows, time]``: the memory after it, and the logits of each next character."""
        if self.remembers:
            return _cell(self.model).advance(params, memory, ids, key=key, train=train)
        return memory, self.model.apply(params, {}, ids, key=key, train=train)[0]

    def objective(self, forget: float = 0.0) -> train.Objective:
        """Cross entropy (nats) of each next character; the memory is the state that training carries.

        Args:
            forget: probability that a stream is begun anew with a piece, in training. A model that has
                always remembered something does not know how to begin: from no memory it may fall into
                states that it never leaves.
        """

        def init(key: Any, batch: Any) -> tuple[Any, Any]:
            params, _ = self.model.init(key, batch[0])
            return params, self.start(params, batch[0].shape[0])

        def evaluate(
            params: Any, state: Any, batch: Any, *, key: Any = None, train: bool = False
        ) -> tuple[train.Terms, Any]:
            ids, following = batch
            if train and forget:
                key, drawn = jax.random.split(key)
                anew = jax.random.bernoulli(drawn, forget, ids.shape[:1])
                state = _replaced(anew, self.start(params, ids.shape[0]), state)
            state, logits = self.read(params, state, ids, key=key, train=train)
            return _terms(logits, following), state

        return train.Objective(init, evaluate)

    def mean_loss(self, params: Any, pieces: tuple[Any, nn.Masked]) -> Any:
        """Cross entropy (nats) of all characters of ``streams``, read from the first piece to the last."""

        def one(memory: Any, piece: Any) -> tuple[Any, Any]:
            ids, following = piece
            memory, logits = self.read(params, memory, ids)
            terms = _terms(logits, following)
            return memory, metrics.Mean.of(terms.values, terms.weights)

        _, sums = jax.lax.scan(one, self.start(params, pieces[0].shape[1]), pieces)
        return jnp.sum(sums.total) / jnp.sum(sums.weight)


def _cell(model: nn.Layer) -> Any:
    """The model as a cell that goes on where it stopped; a recurrent one remembers no positions."""
    return nn.decoding_cell(model, max_length=2)


def _replaced(rows: Any, new: Any, old: Any) -> Any:
    """The new memory of some rows and the old one of the others; what has no rows stays."""

    def one(new: Any, old: Any) -> Any:
        return jnp.where(jnp.expand_dims(rows, tuple(range(1, old.ndim))), new, old) if old.ndim else old

    return jax.tree.map(one, new, old)


def _terms(logits: Any, following: nn.Masked) -> train.Terms:
    return train.Terms(losses.cross_entropy(logits, following.value), following.mask.astype(logits.dtype))


def reader(kind: Kind, characters: int, features: int, layers: int, dropout: float, window: int) -> Reader:
    """Make a model.

    Args:
        kind: of the layers.
        characters: size of the alphabet.
        features: of each layer.
        layers: how many, one on top of the other.
        dropout: probability that a layer's output is dropped in training; between steps of a recurrent layer,
            half of it.
        window: how many characters each block of a transformer looks back, itself included.
    """
    if kind == "transformer":
        block = nn.transformer_block(
            HEADS, causal=True, rotary=True, mask=lambda query, key: query - key < window,
            dropout_rate=dropout,
        )  # fmt: skip
        model = nn.chain(
            nn.embedding(characters, features), nn.dropout(dropout), nn.repeat(block, layers),
            nn.layer_norm(), nn.dense(characters),
        )  # fmt: skip
        return Reader(model, remembers=False)
    stack = [
        part
        for _ in range(layers)
        for part in (RECURRENT[kind](features, recurrent_dropout=dropout / 2), nn.dropout(dropout))
    ]
    return Reader(nn.chain(nn.embedding(characters, EMBEDDED), *stack, nn.dense(characters)), remembers=True)
