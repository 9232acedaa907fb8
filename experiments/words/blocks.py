"""Text in blocks: some consecutive centre words and the words around them, so that a step is matrix products.

The usual programs take one pair of words after the other, two rows of the tables at a time. Here a block has
``length`` consecutive centres with ``window`` words more on either side; neighbouring centres share their
context, so each row is fetched once and used for about ten pairs, by a matrix product with a mask.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.words.vocabulary import Text

NOTHING = -1  # the id of a place outside the text


class Block(NamedTuple):
    """``n`` blocks. A pair is a centre and a word at most ``reach`` places away in the same sentence.

    Attributes:
        context: ids ``[n, length + 2 window]``, ``NOTHING`` outside the text.
        centres: ids ``[n, length]``, the middle of ``context``.
        near: float32 ``[n, length + 2 window, length]``, 1 where context and centre are a pair, else 0.
    """

    context: jax.Array
    centres: jax.Array
    near: jax.Array


class Stream(NamedTuple):
    """What is left of a text after thinning, with ``NOTHING`` before and behind.

    Attributes:
        ids: ``[window + tokens + some]``.
        sentences: of the same shape.
        tokens: how many are left, int32.
    """

    ids: jax.Array
    sentences: jax.Array
    tokens: jax.Array


def thin(key: Any, text: Text, keep: Any, window: int, room: int) -> Stream:
    """Keep each token with its probability, and close the gaps.

    Args:
        key: for the draws.
        text: the whole text.
        keep: probability of each token ``[tokens]``.
        window: places left free in front.
        room: places left free behind, at least.
    """
    ids, sentences = jnp.asarray(text.ids), jnp.asarray(text.sentences)
    kept = jax.random.uniform(key, ids.shape) < jnp.asarray(keep)
    place = jnp.where(kept, jnp.cumsum(kept) - 1 + window, ids.size + window + room)
    empty = jnp.full(ids.size + window + room, NOTHING, jnp.int32)
    closed, belongs = (empty.at[place].set(values, mode="drop") for values in (ids, sentences))
    return Stream(closed, belongs, jnp.sum(kept, dtype=jnp.int32))


def take(stream: Stream, starts: Any, reach: Any, length: int, window: int) -> Block:
    """The blocks whose first centres are the tokens ``starts``.

    Args:
        stream: a thinned text.
        starts: int32 ``[n]``.
        reach: int32 ``[n, length]``, how far each centre looks, from 1 to ``window``.
        length: centres in a block.
        window: the farthest that a centre may look.
    """
    size = length + 2 * window
    places = starts[:, None] + jnp.arange(size)[None, :]
    context = stream.ids.at[places].get(mode="fill", fill_value=NOTHING)
    sentences = stream.sentences.at[places].get(mode="fill", fill_value=NOTHING)
    centres = context[:, window : window + length]
    distance = jnp.abs(jnp.arange(size)[:, None] - window - jnp.arange(length)[None, :])[None]
    near = (
        (distance > 0)
        & (distance <= reach[:, None, :])
        & (sentences[:, :, None] == sentences[:, None, window : window + length])
        & (context != NOTHING)[:, :, None]
        & (centres != NOTHING)[:, None, :]
    )
    return Block(context, centres, near.astype(jnp.float32))
