"""Which formulation runs where: the one place that decides.

The choice is made while tracing, from ``jax.default_backend()`` and the shapes. All formulations compute the same
numbers on every platform, so a choice made for another platform (an array committed to the CPU of a machine
with a GPU) costs time, never correctness. ``lax.platform_dependent`` would decide at lowering, but traces,
differentiates and compiles every branch.
"""

from math import prod

import jax
import jax.numpy as jnp

from jaxnn.ops._window import Window

_PATCH_COLUMNS = 96
_PATCH_BYTES = 4 << 20


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def _known(name: str, formulation: str | None, known: tuple[str, ...]) -> None:
    if formulation is not None and formulation not in known:
        options = ", ".join(repr(option) for option in known)
        raise ValueError(
            f"{name}: unknown formulation {formulation!r}; use None (chosen by platform) or {options}"
        )


def conv_formulation(
    formulation: str | None, x: jax.Array, kernel: jax.Array, window: Window, groups: int
) -> str:
    """``"lax"`` or ``"rows"``."""
    _known("conv", formulation, ("lax", "rows"))
    applies = groups == 1 and jnp.issubdtype(x.dtype, jnp.inexact)
    if formulation == "rows" and not applies:
        raise ValueError(
            f"conv: formulation='rows' needs groups=1 and a floating dtype, got groups={groups} and {x.dtype}; "
            "use formulation=None or 'lax'"
        )
    if formulation is None:
        return "rows" if _on_cpu() and applies and x.size and kernel.size else "lax"
    return formulation


def conv_transpose_formulation(formulation: str | None, x: jax.Array) -> str:
    """``"lax"`` or ``"patches"``."""
    _known("conv_transpose", formulation, ("lax", "patches"))
    return formulation or ("patches" if _on_cpu() and x.size else "lax")


def extra_rows(x: jax.Array, kernel: jax.Array, window: Window) -> int:
    """How many rows to add to the first spatial axis so that the output is taller than the input; 0 for none."""
    *_, channels, features = kernel.shape
    if window.rank != 2 or max(window.strides) > 1 or channels == 1 or max(channels, features) <= 16:
        return 0
    tall, out = x.shape[1], window.output(x.shape[1:-1])[0]
    extra = tall + 1 - out
    return extra if 0 < extra <= out // 2 else 0


def patch_taps(x: jax.Array, window: Window) -> int:
    """How many taps of the kernel stand side by side in one product of the kernel's gradient."""
    taps, row = prod(window.size), window.size[-1]
    fit = max(1, _PATCH_COLUMNS // max(1, x.shape[-1]))
    if fit >= taps:
        return taps
    return fit // row * row if fit >= row else fit


def chunk_images(x: jax.Array, window: Window, width: int) -> int:
    """How many images of the batch are turned into patches at a time; a divisor of the batch."""
    image = prod(window.output(x.shape[1:-1])) * x.shape[-1] * width * x.dtype.itemsize
    batch = x.shape[0]
    largest = max(1, min(batch, _PATCH_BYTES // max(1, image)))
    return next(size for size in range(largest, 0, -1) if batch % size == 0) if batch else 0


_MOST_TAPS = 25


def pool_formulation(name: str, formulation: str | None, x: jax.Array, window: Window) -> str:
    """``"lax"`` or ``"slices"``."""
    _known(name, formulation, ("lax", "slices"))
    if formulation is None:
        return "slices" if _on_cpu() and x.size and prod(window.size) <= _MOST_TAPS else "lax"
    return formulation


def recurrent_formulation(name: str, formulation: str | None) -> str:
    """``"lax"`` or ``"deferred"``; the second does less work on every platform."""
    _known(name, formulation, ("lax", "deferred"))
    return formulation or "deferred"
