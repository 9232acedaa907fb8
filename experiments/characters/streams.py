"""A text as streams side by side, cut into pieces of one length that follow each other."""

from typing import Any

import numpy as np

import jaxnn as nn


def streams(ids: np.ndarray, rows: int, length: int) -> tuple[np.ndarray, nn.Masked]:
    """Cut a text into ``rows`` streams, and these into pieces; each character but the first is a target once.

    Piece ``s + 1`` of a stream goes on where piece ``s`` ended, so that a model that remembers reads ``rows``
    long texts at once.

    Args:
        ids: the text ``[n]``.
        rows: streams.
        length: characters of a piece.

    Returns:
        Characters ``[pieces, rows, length]`` and, as targets, those that follow, ``Masked``: what was needed
        to fill up the last pieces is not real.

    Raises:
        ValueError: there is not a character for each stream.
    """
    targets = len(ids) - 1
    if targets < rows:
        raise ValueError(f"streams: {len(ids)} characters are too few for rows = {rows}; take fewer rows")
    each = -(-targets // rows)
    pieces = -(-each // length)

    def laid(values: np.ndarray, fill: Any) -> np.ndarray:
        filled = np.full(rows * each, fill, values.dtype)
        filled[:targets] = values
        wide = np.full((rows, pieces * length), fill, values.dtype)
        wide[:, :each] = filled.reshape(rows, each)
        return np.ascontiguousarray(wide.reshape(rows, pieces, length).swapaxes(0, 1))

    real = laid(np.ones(targets, bool), False)
    return laid(ids[:-1], 0), nn.Masked(laid(ids[1:], 0), real)
