"""What is asked about a word: yes-or-no questions, in one of two ways.

A softmax over all words would cost the whole table for every pair. Negative sampling asks "is it this word?"
of the right word and of a few drawn ones; hierarchical softmax asks at each fork on the way to the word in
Huffman's tree "left or right?". Either way the answers are independent logistic regressions, whose rows stand
in one table.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.words.blocks import Block
from experiments.words.huffman import huffman
from experiments.words.vocabulary import Vocabulary


class Questions(NamedTuple):
    """The questions of a step.

    Attributes:
        rows: ids ``[n, questions]`` of rows of the output table.
        answers: float32 ``[n, questions]``, 1 for yes and 0 for no.
        weights: float32 ``[n, asking, questions]``, how often each vector asks each question.
    """

    rows: jax.Array
    answers: jax.Array
    weights: jax.Array


class Output(NamedTuple):
    """A way to ask.

    Attributes:
        rows: of the output table.
        ask: ``(key, block, pairs [n, asking, length]) -> Questions``.
    """

    rows: int
    ask: Callable[[Any, Block, Any], Questions]


def negative_sampling(vocabulary: Vocabulary, negatives: int = 5, drawn: int = 16) -> Output:
    """Ask for the right word and for ``negatives`` others (T. Mikolov et al., NIPS 2013).

    The others are drawn with probabilities proportional to ``count ** 0.75``. Instead of ``negatives`` words
    for each pair, ``drawn`` words are drawn for each block, and all of its pairs ask for each of them with
    weight ``negatives / drawn``: the same in the mean, and a matrix product. A word that is itself the right
    one counts for nothing.

    Args:
        vocabulary: the words.
        negatives: wrong words for each right one, in the mean.
        drawn: wrong words shared by the pairs of a block.
    """
    powers = np.cumsum(vocabulary.counts**0.75)
    bounds = (powers / powers[-1]).astype(np.float32)

    def ask(key: Any, block: Block, pairs: Any) -> Questions:
        draws = jax.random.uniform(key, (block.centres.shape[0], drawn))
        wrong = jnp.minimum(jnp.searchsorted(jnp.asarray(bounds), draws), len(bounds) - 1).astype(jnp.int32)
        differs = (block.centres[:, :, None] != wrong[:, None, :]).astype(jnp.float32)
        weights = jnp.einsum("nql,nlk->nqk", pairs, differs) * (negatives / drawn)
        answers = jnp.broadcast_to(
            jnp.arange(pairs.shape[2] + drawn) < pairs.shape[2], (len(wrong), pairs.shape[2] + drawn)
        )
        return Questions(
            jnp.concatenate([block.centres, wrong], axis=1),
            answers.astype(jnp.float32),
            jnp.concatenate([pairs, weights], axis=2),
        )

    return Output(len(vocabulary), ask)


def hierarchical_softmax(vocabulary: Vocabulary) -> Output:
    """Ask at each fork on the way to the right word (F. Morin and Y. Bengio, 2005; T. Mikolov et al., 2013).

    The answers' probabilities multiply to a distribution over all words. Frequent words are near the root of
    Huffman's tree, so the mean way is about ten forks long.
    """
    tree = huffman(vocabulary.counts)

    def ask(key: Any, block: Block, pairs: Any) -> Questions:
        del key  # nothing is drawn
        words = jnp.maximum(block.centres, 0)
        forks = jnp.asarray(tree.forks)[words]
        there = (forks >= 0).astype(jnp.float32)[:, None]
        flat = (len(words), -1)
        return Questions(
            forks.reshape(flat),
            jnp.asarray(tree.right)[words].astype(jnp.float32).reshape(flat),
            (pairs[:, :, :, None] * there).reshape(*pairs.shape[:2], -1),
        )

    return Output(len(vocabulary) - 1, ask)
