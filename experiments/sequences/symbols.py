"""Sequences of symbols as ids: a beginning, an end, and padding that is marked as such."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import jaxnn as nn

BEGIN, END = 0, 1


@dataclass(frozen=True)
class Symbols:
    """A vocabulary; ids 0 and 1 begin and end a sequence.

    Attributes:
        known: the symbols from id 2 on.
    """

    known: tuple[str, ...]

    def __len__(self) -> int:
        return 2 + len(self.known)

    def ids(self, sequence: Sequence[str]) -> list[int]:
        """Ids of symbols."""
        return [2 + self.known.index(symbol) for symbol in sequence]


def padded(rows: Sequence[Sequence[int]], length: int | None = None) -> nn.Masked:
    """Rows of ids as ``Masked`` ``[rows, length]``, padded on the right to the longest or to ``length``."""
    length = length or max(len(row) for row in rows)
    value, mask = np.zeros((len(rows), length), np.int32), np.zeros((len(rows), length), bool)
    for i, row in enumerate(rows):
        value[i, : len(row)], mask[i, : len(row)] = row, True
    return nn.Masked(value, mask)


def written(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, nn.Masked]:
    """What a decoder reads, from ``BEGIN`` on, and the targets, ``END`` last, each ``[rows, time]``."""
    targets = padded([[*row, END] for row in rows])
    previous = padded([[BEGIN, *row] for row in rows]).value
    return previous, targets
