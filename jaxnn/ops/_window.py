"""Windows that slide over the spatial axes: strides, dilation and padding, read and checked in one place."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import jax
from jax import lax

Padding = str | Sequence[tuple[int, int]]


class Window(NamedTuple):
    """A sliding window, one entry per spatial axis; hashable, so that it can be static under ``jit``."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.size)

    @property
    def extent(self) -> tuple[int, ...]:
        """How many cells the window spans, holes included."""
        return tuple(
            (size - 1) * dilation + 1 for size, dilation in zip(self.size, self.dilation, strict=True)
        )

    @property
    def unpadded(self) -> "Window":
        """The same window over an input that has been padded already."""
        return self._replace(padding=((0, 0),) * self.rank)

    def output(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """The spatial shape that comes out of the spatial shape ``spatial``."""
        return tuple(
            (cells + low + high - extent) // stride + 1
            for cells, (low, high), extent, stride in zip(
                spatial, self.padding, self.extent, self.strides, strict=True
            )
        )

    def taps(self, x: jax.Array) -> list[jax.Array]:
        """One strided slice of a padded ``[batch, *spatial, features]`` per cell, in row-major order."""
        spatial = self.unpadded.output(x.shape[1:-1])
        slices = []
        for tap in range(prod(self.size)):
            start = []
            for size, dilation in zip(reversed(self.size), reversed(self.dilation), strict=True):
                start.append(tap % size * dilation)
                tap //= size
            start = (0, *reversed(start), 0)
            reach = ((out - 1) * stride + 1 for out, stride in zip(spatial, self.strides, strict=True))
            limit = (x.shape[0], *(s + r for s, r in zip(start[1:-1], reach, strict=True)), x.shape[-1])
            slices.append(lax.slice(x, start, limit, (1, *self.strides, 1)))
        return slices


def read_window(
    name: str,
    spatial: Sequence[int],
    size: Sequence[int],
    strides: int | Sequence[int],
    padding: Padding,
    dilation: int | Sequence[int] = 1,
) -> Window:
    """Check a window's arguments against the input's ``spatial`` shape and resolve them to numbers."""
    rank = len(size)
    size = _per_axis(name, "window", size, rank)
    dilation = _per_axis(name, "dilation", dilation, rank)
    unpadded = Window(size, _per_axis(name, "strides", strides, rank), ((0, 0),) * rank, dilation)
    window = unpadded._replace(padding=_pairs(name, padding, spatial, unpadded))
    for axis, cells in enumerate(window.output(spatial)):
        if cells < 1:
            low, high = window.padding[axis]
            raise ValueError(
                f"{name}: the window spans {window.extent[axis]} cells of spatial axis {axis}, but the input "
                f"has {spatial[axis]}, with padding {spatial[axis] + low + high}; "
                "use a smaller kernel or window, a larger input, or padding='SAME'"
            )
    return window


def _per_axis(name: str, argument: str, value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank:
        raise ValueError(
            f"{name}: {argument} has {len(values)} entries {values}, expected {rank}, one per spatial axis"
        )
    for entry in values:
        if isinstance(entry, bool) or not hasattr(entry, "__index__") or entry < 1:
            raise ValueError(f"{name}: {argument} must be integers of at least 1, got {values}")
    return tuple(int(entry) for entry in values)


def _pairs(
    name: str, padding: Padding, spatial: Sequence[int], window: Window
) -> tuple[tuple[int, int], ...]:
    if isinstance(padding, str):
        kind = padding.upper()
        if kind == "VALID":
            return window.padding
        if kind == "SAME":
            pairs = lax.padtype_to_pads(spatial, window.extent, window.strides, "SAME")
            return tuple((int(low), int(high)) for low, high in pairs)
        if kind == "CAUSAL" and window.rank == 1:
            return ((window.extent[0] - 1, 0),)
        if kind == "CAUSAL":
            raise ValueError(
                f"{name}: padding='CAUSAL' is defined for one spatial axis (time), got {window.rank}; "
                "give explicit (low, high) pairs, one per spatial axis"
            )
        raise ValueError(
            f"{name}: unknown padding {padding!r}; use 'VALID', 'SAME', 'CAUSAL' (one spatial axis) "
            "or one (low, high) pair per spatial axis"
        )
    pairs = tuple(padding)
    if len(pairs) != window.rank or any(isinstance(pair, int) or len(pair) != 2 for pair in pairs):
        raise ValueError(
            f"{name}: explicit padding must be {window.rank} (low, high) pairs, one per spatial axis, "
            f"got {padding!r}"
        )
    if any(amount < 0 for pair in pairs for amount in pair):
        raise ValueError(f"{name}: padding must not be negative, got {padding!r}; slice the input instead")
    return tuple((int(low), int(high)) for low, high in pairs)


def as_batch(x: jax.Array, rank: int) -> jax.Array:
    """``[..., *spatial, features]`` with its leading axes merged into one."""
    lead = x.shape[: x.ndim - rank - 1]
    return x if len(lead) == 1 else x.reshape(prod(lead), *x.shape[len(lead) :])


def zero_pad(x: jax.Array, window: Window, value: jax.typing.ArrayLike = 0) -> jax.Array:
    """``x`` with its spatial axes padded by ``value`` as the window asks."""
    if not any(low or high for low, high in window.padding):
        return x
    fill = lax.full((), value, x.dtype)
    return lax.pad(x, fill, ((0, 0, 0), *((low, high, 0) for low, high in window.padding), (0, 0, 0)))


def pad_beyond(x: jax.Array, window: Window) -> tuple[jax.Array, Window]:
    """``x`` padded by all but the window's extent less one cell, and the window with what remains.

    The gradient with respect to the input of a convolution that pads further is a convolution with negative
    padding, which jaxlib 0.10.2 computes wrongly on a CPU, down to memory that was never written.
    """
    inner, outer = [], []
    for (low, high), extent in zip(window.padding, window.extent, strict=True):
        inner.append((min(low, extent - 1), min(high, extent - 1)))
        outer.append((low - inner[-1][0], high - inner[-1][1]))
    return zero_pad(x, window._replace(padding=tuple(outer))), window._replace(padding=tuple(inner))
