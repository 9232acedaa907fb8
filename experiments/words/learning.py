"""Learning from the blocks of a text, step by step; all epochs are one compiled program.

A step adds up the changes of all pairs of its blocks, computed from the same tables, where word2vec changes
the tables after each pair. While a step is small the two agree. A row that occurs very often in a large step
would move too far, since none of its changes knows of the others: the sum overshoots, and the tables grow
without limit. On the Brown corpus that happened with 2,048 words in a step, which hold the most frequent
word 22 times, and not with 1,024; ``make_train`` refuses more than ``MOST`` occurrences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.words.blocks import Block, Stream, take, thin
from experiments.words.forms import Form
from experiments.words.inputs import Inputs
from experiments.words.questions import Output
from experiments.words.vocabulary import Text
from jaxnn import ops

MOST = 12  # occurrences of the most frequent word in a step


@dataclass(frozen=True)
class Settings:
    """How to learn; the defaults are gensim's, as far as it has them.

    Attributes:
        features: numbers in a vector.
        window: the farthest that a centre looks; each looks a random part of it.
        epochs: passes over the text.
        rate: step size at the beginning.
        last_rate: step size at the end; it falls along a line.
        length: centres in a block.
        blocks: in a step, one behind the other in the text.
    """

    features: int = 100
    window: int = 5
    epochs: int = 5
    rate: float = 0.025
    last_rate: float = 1e-4
    length: int = 32
    blocks: int = 16


class Model(NamedTuple):
    """What is learned: who asks, what a word is made of, what is asked."""

    form: Form
    inputs: Inputs
    output: Output


class Tables(NamedTuple):
    """Input rows ``[rows, features]``, whose means are the word vectors, and output rows."""

    inputs: jax.Array
    outputs: jax.Array


def start(key: Any, model: Model, features: int) -> Tables:
    """Small random input rows and output rows of zeros."""
    low = jax.random.uniform(key, (model.inputs.rows, features), minval=-0.5, maxval=0.5) / features
    return Tables(low, jnp.zeros((model.output.rows, features)))


def step(model: Model, tables: Tables, block: Block, key: Any, rate: Any) -> Tables:
    """The tables after one step of descent on the log likelihood of the answers."""
    context = model.inputs.vectors(tables.inputs, block.context)
    asking, pairs = model.form.ask(block, context)
    asked = model.output.ask(key, block, pairs)
    rows = ops.embed(tables.outputs, jnp.maximum(asked.rows, 0))
    scores = jnp.einsum("nqd,nrd->nqr", asking, rows)
    errors = asked.weights * (asked.answers[:, None] - jax.nn.sigmoid(scores)) * rate
    to_asking = jnp.einsum("nqr,nrd->nqd", errors, rows)
    to_rows = jnp.einsum("nqr,nqd->nrd", errors, asking)
    return Tables(
        model.inputs.update(tables.inputs, block.context, model.form.spread(block, to_asking)),
        ops.sparse_update(tables.outputs, asked.rows, to_rows),
    )


def loss(model: Model, tables: Tables, block: Block, key: Any) -> jax.Array:
    """Mean over the pairs of the negative log likelihood of all their answers (nats)."""
    asking, pairs = model.form.ask(block, model.inputs.vectors(tables.inputs, block.context))
    asked = model.output.ask(key, block, pairs)
    rows = ops.embed(tables.outputs, jnp.maximum(asked.rows, 0))
    scores = jnp.einsum("nqd,nrd->nqr", asking, rows)
    values = jax.nn.softplus(jnp.where(asked.answers[:, None] > 0, -scores, scores))
    return jnp.sum(asked.weights * values) / jnp.maximum(jnp.sum(pairs), 1)


def make_train(text: Text, keep: np.ndarray, model: Model, settings: Settings) -> Callable[[Any], Any]:
    """Build and compile ``train(key) -> (Tables, losses [epochs])``, a pure function.

    Args:
        text: what is learned from.
        keep: probability of each word's occurrences to be learned from, ``[words]``.
        model: what is learned.
        settings: how.

    Raises:
        ValueError: a step holds the most frequent word too often, see ``MOST``.
    """
    length, blocks, window = settings.length, settings.blocks, settings.window
    words = length * blocks
    left = np.bincount(text.ids, minlength=len(keep)) * keep
    often = float(words * left.max() / left.sum())
    if often > MOST:
        raise ValueError(
            f"make_train: a step of {blocks} blocks of {length} words would hold the most frequent word "
            f"{often:.0f} times, and above {MOST} steps may overshoot; lower blocks, length or sample"
        )

    def chosen(stream: Stream, turn: Any, reach: Any) -> Block:
        starts = (turn * blocks + jnp.arange(blocks)) * length
        return take(stream, starts, reach, length, window)

    def epoch(tables: Tables, number: Any, key: Any, text: Text, keep: Any) -> tuple[Tables, Any]:
        thinning, reaching, asking, judging = jax.random.split(key, 4)
        stream = thin(thinning, text, keep, window, words + window)
        steps = (stream.tokens + words - 1) // words
        most = -(-text.ids.size // words)
        reach = jax.random.randint(reaching, (most, blocks, length), 1, window + 1)

        def one(turn: Any, tables: Tables) -> Tables:
            done = (number + turn / steps) / settings.epochs
            rate = settings.rate + (settings.last_rate - settings.rate) * done
            block = chosen(stream, turn, reach[turn])
            return step(model, tables, block, jax.random.fold_in(asking, turn), rate)

        tables = jax.lax.fori_loop(0, steps, one, tables)
        return tables, loss(model, tables, chosen(stream, steps // 2, reach[0]), judging)

    def train(key: Any, text: Text, keep: Any) -> tuple[Tables, Any]:
        first, rest = jax.random.split(key)

        def body(tables: Tables, given: Any) -> tuple[Tables, Any]:
            number, key = given
            return epoch(tables, number, key, text, keep)

        numbers = jnp.arange(settings.epochs, dtype=jnp.float32)
        keys = jax.random.split(rest, settings.epochs)
        return jax.lax.scan(body, start(first, model, settings.features), (numbers, keys))

    # As arguments, so that the text is no constant of the program.
    held = Text(jnp.asarray(text.ids), jnp.asarray(text.sentences)), jnp.asarray(keep[text.ids])
    compiled = jax.jit(train).lower(jax.random.key(0), *held).compile()
    return lambda key: compiled(key, *held)
