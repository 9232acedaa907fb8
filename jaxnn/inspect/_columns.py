"""Numbers and tables as text, for people to read."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def number(value: Any, digits: int = 6) -> str:
    """Write a number with ``digits`` significant digits; a small array as a list, a large one as shape."""
    if value is None:
        return ""
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{float(array):.{digits}g}" if array.dtype != bool else str(bool(array))
    if array.size > 6:
        return f"{array.dtype}[{', '.join(map(str, array.shape))}]"
    return "[" + " ".join(number(entry, min(digits, 4)) for entry in array) + "]"


def columns(header: Sequence[str], lines: Sequence[Sequence[str]], sides: str, gap: str = "  ") -> str:
    """Align cells under ``header``; ``sides`` holds ``<`` or ``>`` for each column."""
    cells = [header, *lines]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]

    def written(line: Sequence[str]) -> str:
        aligned = [
            cell.ljust(width) if side == "<" else cell.rjust(width)
            for cell, width, side in zip(line, widths, sides, strict=True)
        ]
        return gap.join(aligned).rstrip()

    return "\n".join(map(written, cells))
