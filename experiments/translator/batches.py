"""Batches of pairs of sentences, in few shapes: a program is compiled for each shape, and padding is work.

A pair belongs to the first *bucket* whose length both its sides fit. Every batch of a bucket has the same
shape, so that there are at most as many compilations as buckets, and short sentences are not padded to the
longest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.translator.subwords import BEGIN, END, PAD, padded
from jaxnn import Masked


@dataclass(frozen=True)
class Bucket:
    """Pairs of about one length.

    Attributes:
        source: int32 ``[pairs, length]``, each ending with ``END``.
        target: int32 ``[pairs, length + 1]``, from ``BEGIN`` to ``END``.
        batch_size: pairs in a batch.
    """

    source: np.ndarray
    target: np.ndarray
    batch_size: int

    def batch(self, chosen: np.ndarray, blank: int = 0) -> Any:
        """Inputs and targets of teacher forcing: each next piece from the true ones before it.

        Args:
            chosen: numbers of the pairs.
            blank: pairs without a word to add, which count nothing.
        """
        source = np.pad(self.source[chosen], ((0, blank), (0, 0)), constant_values=PAD)
        target = np.pad(self.target[chosen], ((0, blank), (0, 0)), constant_values=PAD)
        source[len(chosen) :, 0] = END
        inputs, outputs = target[:, :-1], target[:, 1:]
        return (inputs, Masked(source, source != PAD)), Masked(outputs, outputs != PAD)

    def all(self) -> Iterator[Any]:
        """All pairs in order, in batches of one shape."""
        for start in range(0, len(self.source), self.batch_size):
            chosen = np.arange(start, min(start + self.batch_size, len(self.source)))
            yield self.batch(chosen, self.batch_size - len(chosen))


def make_buckets(
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    lengths: Sequence[int],
    positions: int,
) -> list[Bucket]:
    """Sort pairs of pieces into buckets.

    Args:
        sources: pieces of the sentences, without begin and end.
        targets: pieces of their translations.
        lengths: of the buckets, ascending, the end included; a pair longer than the last is left out.
        positions: of a side in a batch, padding included; it says how many pairs a bucket's batches hold.
    """
    sizes = [max(len(s), len(t)) + 1 for s, t in zip(sources, targets, strict=True)]
    buckets = []
    for shorter, length in zip((0, *lengths), lengths, strict=False):
        members = [i for i, size in enumerate(sizes) if shorter < size <= length]
        if members:
            source = padded([[*sources[i], END] for i in members], length)
            target = padded([[BEGIN, *targets[i], END] for i in members], length + 1)
            buckets.append(Bucket(source, target, min(max(1, positions // length), len(members))))
    return buckets


def epoch(buckets: Sequence[Bucket], rng: np.random.Generator) -> Iterator[Any]:
    """Batches of all buckets in random order; each bucket is shuffled, and its last few pairs sit out."""
    batches = []
    for bucket in buckets:
        count = len(bucket.source) // bucket.batch_size
        order = rng.permutation(len(bucket.source))[: count * bucket.batch_size]
        batches += [(bucket, chosen) for chosen in order.reshape(count, bucket.batch_size)]
    for index in rng.permutation(len(batches)):
        bucket, chosen = batches[index]
        yield bucket.batch(chosen)


def steps_of(buckets: Sequence[Bucket]) -> int:
    """Batches in an epoch."""
    return sum(len(bucket.source) // bucket.batch_size for bucket in buckets)


def padding(buckets: Sequence[Bucket]) -> float:
    """Share of the positions that are padding."""
    sides = [side for bucket in buckets for side in (bucket.source, bucket.target[:, 1:])]
    return 1 - sum(int((side != PAD).sum()) for side in sides) / sum(side.size for side in sides)
