"""The window of a transposed convolution: its padding, and the shape that comes out of it."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxnn.ops._window import Padding, read_window


class TransposedWindow(NamedTuple):
    """One entry per spatial axis; ``padding`` pads the input with ``stride - 1`` zeros between its cells."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    def output(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """The spatial shape that comes out of the spatial shape ``spatial``."""
        return tuple(
            (cells - 1) * stride + 1 + low + high - (size - 1) * dilation
            for cells, size, stride, (low, high), dilation in zip(spatial, *self, strict=True)
        )


def read_transposed_window(
    name: str,
    spatial: Sequence[int],
    size: Sequence[int],
    strides: int | Sequence[int],
    padding: Padding,
    dilation: int | Sequence[int],
) -> TransposedWindow:
    """Check the arguments of a transposed convolution and resolve them to numbers."""
    if min(spatial) < 1:
        raise ValueError(
            f"{name}: every spatial axis must hold at least one cell, got {tuple(spatial)}; pass larger ones"
        )
    # An input as large as the kernel fits every size: this reads the numbers and judges their types.
    ample = tuple(10**9 for _ in size)
    read = read_window(name, ample, size, strides, "VALID", dilation)
    pairs = tuple(
        _pair(name, padding, axis, extent, stride, read.rank)
        for axis, (extent, stride) in enumerate(zip(read.extent, read.strides, strict=True))
    )
    window = TransposedWindow(read.size, read.strides, pairs, read.dilation)
    for axis, cells in enumerate(window.output(spatial)):
        if cells < 1:
            raise ValueError(
                f"{name}: padding {pairs[axis]} leaves no output on spatial axis {axis} of {spatial[axis]} "
                f"cells for a kernel that spans {read.extent[axis]}; pad more, or use padding='SAME'"
            )
    return window


def _pair(name: str, padding: Padding, axis: int, extent: int, stride: int, rank: int) -> tuple[int, int]:
    if isinstance(padding, str):
        kind = padding.upper()
        if kind == "VALID":
            return extent - 1, max(extent, stride) - 1
        if kind == "SAME":
            total = extent + stride - 2
            low = extent - 1 if stride >= extent else -(-total // 2)
            return low, total - low
        if kind == "CAUSAL" and rank == 1:
            return extent - 1, stride - 1
        if kind == "CAUSAL":
            raise ValueError(
                f"{name}: padding='CAUSAL' is defined for one spatial axis (time), got {rank}; "
                "give explicit (low, high) pairs, one per spatial axis"
            )
        raise ValueError(
            f"{name}: unknown padding {padding!r}; use 'VALID', 'SAME', 'CAUSAL' (one spatial axis) "
            "or one (low, high) pair per spatial axis"
        )
    pairs = tuple(padding)
    if len(pairs) != rank or any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs):
        raise ValueError(
            f"{name}: explicit padding must be {rank} (low, high) pairs, one per spatial axis, "
            f"got {padding!r}"
        )
    low, high = pairs[axis]
    return int(low), int(high)
