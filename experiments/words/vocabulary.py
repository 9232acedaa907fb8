"""The words of a text that occur often enough, the most frequent first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np


class Text(NamedTuple):
    """A text as numbers.

    Attributes:
        ids: int32 ``[tokens]``, a word's place in the vocabulary; words outside it are left out.
        sentences: int32 ``[tokens]``, the number of the token's sentence.
    """

    ids: Any
    sentences: Any


@dataclass(frozen=True)
class Vocabulary:
    """Words and how often they occur.

    Attributes:
        words: the most frequent first.
        counts: int64 ``[words]``.
    """

    words: tuple[str, ...]
    counts: np.ndarray

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], min_count: int = 5) -> "Vocabulary":
        """The words that occur at least ``min_count`` times.

        Raises:
            ValueError: there is no such word.

        Example:
            >>> Vocabulary.of([["a", "b", "a"], ["b", "c", "a"]], min_count=2).words
            ('a', 'b')
        """
        counts = Counter(word for sentence in sentences for word in sentence)
        kept = [(word, count) for word, count in counts.most_common() if count >= min_count]
        if not kept:
            raise ValueError(
                f"Vocabulary: none of {len(counts)} words occurs {min_count} times; lower min_count"
            )
        words, numbers = zip(*kept, strict=True)
        return cls(words, np.array(numbers))

    def __len__(self) -> int:
        """How many words there are."""
        return len(self.words)

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each word."""
        return {word: place for place, word in enumerate(self.words)}

    def encode(self, sentences: Iterable[Sequence[str]]) -> Text:
        """The text as numbers, without the words that are not in the vocabulary."""
        known = [[self.index[word] for word in sentence if word in self.index] for sentence in sentences]
        numbers = np.repeat(np.arange(len(known), dtype=np.int32), [len(ids) for ids in known])
        return Text(np.array([i for ids in known for i in ids], np.int32), numbers)

    def keep_probabilities(self, sample: float) -> np.ndarray:
        """Float32 ``[words]``: with which probability an occurrence of each word is trained on.

        Frequent words are thinned out: a word with the share ``f`` of all tokens is kept with probability
        ``(sqrt(f / sample) + 1) sample / f`` (T. Mikolov's word2vec program; his paper of 2013 prints the
        simpler ``sqrt(sample / f)``). ``sample = 0`` keeps everything.
        """
        if not sample:
            return np.ones(len(self), np.float32)
        share = self.counts / self.counts.sum() / sample
        return np.minimum((np.sqrt(share) + 1) / share, 1).astype(np.float32)
