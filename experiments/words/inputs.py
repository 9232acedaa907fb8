"""What a word's input vector is made of: a row of its own, or its pieces."""

from collections import Counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.words.vocabulary import Vocabulary
from jaxnn import ops


class Inputs(NamedTuple):
    """The rows whose mean is the vector of a word.

    Attributes:
        rows: of the input table.
        parts: int32 ``[words, parts]``, a word's rows, ``-1`` behind the last.
        pieces: the row of each piece of a word; empty where words have no pieces.
    """

    rows: int
    parts: np.ndarray
    pieces: dict[str, int]

    def vectors(self, table: Any, ids: Any) -> jax.Array:
        """The vectors of words ``[...]``, ``[..., features]``; for ids outside, those of the first word."""
        parts = self._parts(ids)
        there = parts >= 0
        found = jnp.where(there[..., None], ops.embed(table, jnp.maximum(parts, 0)), 0)
        return jnp.sum(found, axis=-2) / jnp.sum(there, axis=-1)[..., None].astype(table.dtype)

    def update(self, table: Any, ids: Any, changes: Any) -> jax.Array:
        """The table after each row of each word ``[...]`` was changed by ``[..., features]``.

        Every row takes the whole change, as in fastText and gensim. Ids outside change nothing.
        """
        parts = jnp.where((ids >= 0)[..., None], self._parts(ids), -1)
        spread = jnp.broadcast_to(changes[..., None, :], (*parts.shape, changes.shape[-1]))
        return ops.sparse_update(table, parts, spread)

    def _parts(self, ids: Any) -> jax.Array:
        return jnp.asarray(self.parts)[jnp.maximum(ids, 0)]


def whole_words(vocabulary: Vocabulary) -> Inputs:
    """A row for each word."""
    return Inputs(len(vocabulary), np.arange(len(vocabulary), dtype=np.int32)[:, None], {})


def subwords(vocabulary: Vocabulary, shortest: int = 3, longest: int = 6) -> Inputs:
    """A row for each word and one for each piece (P. Bojanowski et al., "Enriching word vectors", TACL 2017).

    A piece that only one word has can tell nothing that the word's own row does not, so only pieces of two
    words or more have rows. fastText hashes all pieces into two million rows instead; a vocabulary of this
    size needs no hashing, and no two pieces share a row.

    Args:
        vocabulary: the words.
        shortest: letters of the shortest pieces; the marks of beginning and end count.
        longest: letters of the longest pieces.
    """
    found = [pieces_of(word, shortest, longest) for word in vocabulary.words]
    owners = Counter(piece for pieces in found for piece in set(pieces))
    shared = [piece for piece, count in owners.items() if count > 1]
    pieces = {piece: len(vocabulary) + number for number, piece in enumerate(shared)}
    rows = [
        [word, *(pieces[piece] for piece in found[word] if piece in pieces)] for word in range(len(found))
    ]
    parts = np.full((len(rows), max(map(len, rows))), -1, np.int32)
    for word, own in enumerate(rows):
        parts[word, : len(own)] = own
    return Inputs(len(vocabulary) + len(pieces), parts, pieces)


def pieces_of(word: str, shortest: int = 3, longest: int = 6) -> list[str]:
    """All runs of ``shortest`` to ``longest`` letters of ``<word>``, the marks included.

    Example:
        >>> pieces_of("sea", 3, 4)
        ['<se', 'sea', 'ea>', '<sea', 'sea>']
    """
    marked = f"<{word}>"
    return [
        marked[start : start + size]
        for size in range(shortest, longest + 1)
        for start in range(len(marked) - size + 1)
        if size < len(marked)
    ]


def unknown_word(inputs: Inputs, table: Any, word: str) -> np.ndarray:
    """The vector of a word that the vocabulary lacks, from its pieces ``[features]``.

    Raises:
        ValueError: no piece of it is known.
    """
    rows = [inputs.pieces[piece] for piece in pieces_of(word) if piece in inputs.pieces]
    if not rows:
        raise ValueError(f"unknown_word: no piece of {word!r} occurs in two words of the vocabulary")
    return np.asarray(table)[rows].mean(axis=0)
