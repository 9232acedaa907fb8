"""The sentence pairs as the models take them."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.data.multi30k import Parallel
from experiments.translator import batches
from experiments.translator.subwords import Subwords


@dataclass(frozen=True)
class Prepared:
    """The data as the models take them."""

    source: Subwords
    target: Subwords
    training: list[batches.Bucket]
    validation: list[batches.Bucket]


def prepare(
    training: Parallel, validation: Parallel, pieces: int, lengths: Sequence[int], positions: int
) -> Prepared:
    """Learn ``pieces`` subwords of each language from the training part, and sort both parts into buckets.

    ``lengths`` are those of the batches in pieces; a batch has ``positions`` on a side.
    """
    source, target = (Subwords.learn(side, pieces) for side in (training.source, training.target))

    def buckets(pairs: Parallel) -> list[batches.Bucket]:
        sides = [source.encode(s) for s in pairs.source], [target.encode(t) for t in pairs.target]
        return batches.make_buckets(*sides, lengths, positions)

    return Prepared(source, target, buckets(training), buckets(validation))
