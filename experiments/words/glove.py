"""GloVe: vectors whose inner products tell how often two words stand together, from counts of the whole text.

J. Pennington, R. Socher and C. Manning, "GloVe: global vectors for word representation", EMNLP 2014. The cost
of a pair of words that stand together ``x`` times (nearer counts more) is ``f(x) (w . v + b + c - log x)^2``
with ``f(x) = min(x / 100, 1)^0.75``; words that never stand together cost nothing. Descent is AdaGrad's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.words.vocabulary import Text
from jaxnn import ops


@dataclass(frozen=True)
class Settings:
    """How to learn; the defaults are the paper's and its program's, but for the cut and the number of passes.

    Attributes:
        features: numbers in a vector.
        window: the farthest that two words may be apart.
        epochs: passes over the pairs.
        rate: step size of AdaGrad.
        most: count from which on a pair has full weight; 100 is meant for a thousand times as much text.
        batch: pairs in a step.
    """

    features: int = 100
    window: int = 5
    epochs: int = 8
    rate: float = 0.05
    most: float = 10.0
    batch: int = 1024


class Counts(NamedTuple):
    """How often words stand together: for each pair that does, in both orders."""

    rows: Any
    columns: Any
    values: Any


class Tables(NamedTuple):
    """Tables of words and of contexts ``[words, 2 (features + 1)]``.

    A row holds the vector, its bias, and AdaGrad's sums of their squared gradients, so that a step fetches
    and changes one row for all of them.
    """

    words: jax.Array
    contexts: jax.Array


def count_together(text: Text, words: int, window: int) -> Counts:
    """Count the pairs at most ``window`` apart in a sentence; one at distance ``d`` counts ``1 / d``."""
    keys, values = [], []
    for distance in range(1, window + 1):
        together = text.sentences[distance:] == text.sentences[:-distance]
        first, second = text.ids[:-distance][together], text.ids[distance:][together]
        found, counts = np.unique(first.astype(np.int64) * words + second, return_counts=True)
        keys += [found, found % words * words + found // words]
        values += [counts / distance] * 2
    pairs, place = np.unique(np.concatenate(keys), return_inverse=True)
    totals = np.bincount(place, np.concatenate(values))
    rows, columns = np.divmod(pairs, words)
    return Counts(rows.astype(np.int32), columns.astype(np.int32), totals.astype(np.float32))


def cost(tables: Tables, rows: Any, columns: Any, values: Any, most: float) -> jax.Array:
    """The cost of each pair ``[pairs]``; one with count 0 costs nothing, whatever its words."""
    w, v = _halves(ops.embed(tables.words, rows))[0], _halves(ops.embed(tables.contexts, columns))[0]
    return _weight(values, most) * _error(w, v, values) ** 2


def make_train(counts: Counts, words: int, settings: Settings) -> Callable[[Any], tuple[Tables, Any]]:
    """Build and compile ``train(key) -> (Tables, mean costs [epochs])``."""
    pairs, batch, width = len(counts.values), settings.batch, settings.features + 1

    def step(tables: Tables, chosen: Any, data: Counts) -> tuple[Tables, Any]:
        rows, columns, values = (jnp.where(chosen < pairs, leaf[chosen % pairs], 0) for leaf in data)
        w, w_squares = _halves(ops.embed(tables.words, rows))
        v, v_squares = _halves(ops.embed(tables.contexts, columns))
        error, weight = _error(w, v, values), _weight(values, settings.most)
        pull = (weight * error)[:, None]
        one = jnp.ones_like(pull)

        def move(table: Any, ids: Any, squares: Any, other: Any) -> Any:
            gradient = pull * jnp.concatenate([other[:, :-1], one], axis=1)
            change = -settings.rate * gradient * jax.lax.rsqrt(squares + gradient**2)
            return ops.sparse_update(table, ids, jnp.concatenate([change, gradient**2], axis=1))

        moved = Tables(move(tables.words, rows, w_squares, v), move(tables.contexts, columns, v_squares, w))
        return moved, jnp.sum(weight * error**2)

    def train(key: Any, data: Counts) -> tuple[Tables, Any]:
        first, second, rest = jax.random.split(key, 3)
        # The sums of squares start at 1, as in the paper's program, which keeps the first steps small.
        tables = Tables(*(_drawn(one, words, width) for one in (first, second)))
        steps = -(-pairs // batch)

        def epoch(tables: Tables, key: Any) -> tuple[Tables, Any]:
            order = jnp.argsort(jax.random.bits(key, (pairs,)))
            order = jnp.concatenate([order, jnp.full(steps * batch - pairs, pairs, order.dtype)])

            def one(tables: Tables, chosen: Any) -> tuple[Tables, Any]:
                return step(tables, chosen, data)

            tables, totals = jax.lax.scan(one, tables, order.reshape(steps, batch))
            return tables, jnp.sum(totals) / pairs

        return jax.lax.scan(epoch, tables, jax.random.split(rest, settings.epochs))

    held = Counts(*map(jnp.asarray, counts))
    compiled = jax.jit(train).lower(jax.random.key(0), held).compile()
    return lambda key: compiled(key, held)


def word_vectors(tables: Tables) -> np.ndarray:
    """The sum of a word's two vectors ``[words, features]``, as the paper has it."""
    return np.asarray(_halves(tables.words)[0] + _halves(tables.contexts)[0])[:, :-1]


def _drawn(key: Any, words: int, width: int) -> jax.Array:
    values = jax.random.uniform(key, (words, width), minval=-0.5, maxval=0.5) / width
    return jnp.concatenate([values, jnp.ones_like(values)], axis=1)


def _halves(rows: Any) -> tuple[Any, Any]:
    width = rows.shape[1] // 2
    return rows[:, :width], rows[:, width:]


def _error(w: Any, v: Any, values: Any) -> jax.Array:
    score = jnp.sum(w[:, :-1] * v[:, :-1], axis=1) + w[:, -1] + v[:, -1]
    return score - jnp.log(jnp.where(values > 0, values, 1))


def _weight(values: Any, most: float) -> jax.Array:
    return jnp.minimum(values / most, 1) ** 0.75
