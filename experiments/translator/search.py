"""From sentences to translations: search in one compiled loop; long sentences in parts, blank ones blank."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import jaxnn as nn
from experiments.translator.subwords import BEGIN, END, PAD, Subwords, padded

ROWS = 64  # sentences in a batch
LONGER = 1.5  # a translation has at most so many times the pieces of its sentence, and ten more


@dataclass(frozen=True)
class Translator:
    """A trained model with its two languages.

    Attributes:
        cell: ``max_length -> cell``; its memory is the masked source. Equal lengths must give the same
        object. params: of the model. source: pieces of the source language. target: pieces of the target
        language. lengths: of the batches' sources, ascending, the end included; what is longer is
        translated in parts.
    """

    cell: Callable[[int], nn.Cell]
    params: Any
    source: Subwords
    target: Subwords
    lengths: tuple[int, ...]

    def __call__(self, sentences: Sequence[str], beams: int = 1) -> list[str]:
        """Translate sentences of any length, blank ones too: a most probable piece at a time, or by beams."""
        parts = [split(self.source.encode(sentence), self.lengths[-1] - 1) for sentence in sentences]
        flat = [part for parts_of_one in parts for part in parts_of_one]
        found = iter(self._translate(flat, beams))
        return [" ".join(self.target.decode(next(found)) for _ in range(len(some))) for some in parts]

    def _translate(self, rows: Sequence[Sequence[int]], beams: int) -> list[list[int]]:
        """Pieces of the translations of pieces; sentences of about one length together."""
        found: list[list[int]] = [[] for _ in rows]
        for shorter, length in zip((0, *self.lengths), self.lengths, strict=False):
            members = [i for i, row in enumerate(rows) if shorter < len(row) + 1 <= length]
            for start in range(0, len(members), ROWS):
                chosen = members[start : start + ROWS]
                # One shape for each length: the rest of a last batch is filled with empty sentences.
                filled = [[*rows[i], END] for i in chosen] + [[END]] * (_rows(len(chosen)) - len(chosen))
                for i, pieces in zip(chosen, self.search(padded(filled, length), beams), strict=False):
                    found[i] = pieces
        return found

    def search(self, source: np.ndarray, beams: int) -> list[list[int]]:
        """The pieces of the translations of ``source`` ``[rows, length]``, without begin and end."""
        steps = round(LONGER * source.shape[1]) + 10
        memory = nn.Masked(source, source != PAD)
        begin = np.full((len(source), 1), BEGIN, np.int32)
        found = nn.generate(
            self.cell(steps), self.params, begin, steps, memory=memory, end_token=END, beams=beams,
            length_penalty=1.0 if beams > 1 else 0.0,
        )  # fmt: skip
        tokens, mask = np.asarray(found.tokens), np.asarray(found.mask)
        return [
            [int(piece) for piece in row[real] if piece != END]
            for row, real in zip(tokens, mask, strict=True)
        ]


def split(pieces: Sequence[int], longest: int) -> list[Sequence[int]]:
    """Parts of nearly equal length, none above ``longest``; none of an empty sentence."""
    count = -(-len(pieces) // longest)
    return [pieces[len(pieces) * i // count : len(pieces) * (i + 1) // count] for i in range(count)]


def _rows(count: int) -> int:
    """One sentence alone, or a full batch."""
    return 1 if count == 1 else ROWS


@functools.cache
def stepped(model: nn.Layer, max_length: int) -> nn.Cell:
    """The cell of a model, one object for each length, so that nothing is compiled twice."""
    return nn.decoding_cell(model, max_length)
