"""Who asks and who is asked for: skip-gram and the continuous bag of words.

T. Mikolov, K. Chen, G. Corrado and J. Dean, "Efficient estimation of word representations in vector space",
2013. Both take the input vectors of the context to vectors that ask, and say for which centres they ask.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from experiments.words.blocks import Block


class Form(NamedTuple):
    """A form of the task.

    Attributes:
        ask: ``(block, context vectors [n, context, features]) -> (asking [n, asking, features],
            pairs [n, asking, length])``, where ``pairs`` tells which of them asks for which centre.
        spread: ``(block, changes of asking) -> changes of the context vectors``.
    """

    ask: Callable[[Block, Any], tuple[Any, Any]]
    spread: Callable[[Block, Any], Any]


def _each(block: Block, vectors: Any) -> tuple[Any, Any]:
    return vectors, block.near


# Each word of the context asks for the centre by itself: good for rare words, six questions a token.
SKIP_GRAM = Form(_each, lambda _, changes: changes)


def _mean(block: Block, vectors: Any) -> tuple[Any, Any]:
    count = jnp.sum(block.near, axis=1)[:, :, None]
    asking = jnp.einsum("nml,nmd->nld", block.near, vectors) / jnp.maximum(count, 1)
    return asking, jnp.eye(count.shape[1])[None] * jnp.minimum(count, 1)


def _to_each(block: Block, changes: Any) -> Any:
    # Each word takes the whole change and not its n-th part, as in word2vec and gensim: that multiplies the
    # rate by the size of the context.
    return jnp.einsum("nml,nld->nmd", block.near, changes)


# The mean of the context asks for the centre: one question a token, so it is faster.
CBOW = Form(_mean, _to_each)
