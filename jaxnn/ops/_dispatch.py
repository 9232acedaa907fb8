"""Which formulation runs where: the one place that decides.

The choice is made while tracing, from the shapes and from where the program will run: on the platforms that
``lowered_for`` names, else on the device of an array that is known, else on ``jax.default_device`` or the
default backend. All formulations compute the same values on every platform, so a choice made for another one
(traced arrays committed to the CPU of a machine with a GPU) costs time, never correctness.
``lax.platform_dependent`` would decide at lowering, but traces and differentiates every branch. The
thresholds come from docs/formulations.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxnn.ops._window import Window

# The kernel's gradient: columns of patches in one product, bytes of patches alive at a time.
_PATCH_COLUMNS = 288
_ROW_COLUMNS = 96
_PATCH_BYTES = 4 << 20
# Below so many multiplications, or on outputs of so few cells, XLA's own weight gradient is as fast.
_FEW_PRODUCTS = 10_000_000
_FEW_CELLS = 16
_SOME_PRODUCTS = 35_000_000
_SOME_CELLS = 512
_FEW_CHANNELS = 16
# Groups are merged into dense blocks of at most so many channels.
_BLOCK_CHANNELS = 64
# A product with a kernel of so many numbers is written out.
_FEW_WEIGHTS = 32
# Windows of up to so many cells are taken apart into slices.
_MOST_CELLS = {"max_pool": 9, "avg_pool": 25}


_PLATFORMS: ContextVar[tuple[str, ...]] = ContextVar("platforms", default=())


@contextmanager
def lowered_for(platforms: Sequence[str]) -> Iterator[None]:
    """Choose what is traced inside for other platforms than this machine's; for none, as anywhere."""
    token = _PLATFORMS.set(tuple(platforms))
    try:
        yield
    finally:
        _PLATFORMS.reset(token)


def _on_cpu(*arrays: jax.Array) -> bool:
    if platforms := _PLATFORMS.get():
        return set(platforms) == {"cpu"}
    for array in arrays:
        if isinstance(array, jax.Array) and not isinstance(array, Tracer):
            return all(device.platform == "cpu" for device in array.devices())
    device = jax.config.jax_default_device
    platform = device if isinstance(device, str) else getattr(device, "platform", None)
    return (platform or jax.default_backend()) == "cpu"


def _known(name: str, formulation: str | None, known: tuple[str, ...]) -> None:
    if formulation is not None and formulation not in known:
        options = ", ".join(repr(option) for option in known)
        raise ValueError(
            f"{name}: unknown formulation {formulation!r}; use None (chosen by platform), {options}"
        )


def conv_formulation(formulation: str | None, x: jax.Array, kernel: jax.Array) -> str:
    """``"lax"`` or ``"rows"``."""
    _known("conv", formulation, ("lax", "rows"))
    applies = bool(jnp.issubdtype(x.dtype, jnp.inexact)) and x.size > 0 and kernel.size > 0
    if formulation == "rows" and not applies:
        raise ValueError(
            f"conv: formulation='rows' needs floating arrays that are not empty, got {x.dtype} of shape "
            f"{x.shape}; use formulation=None or 'lax'"
        )
    if formulation is None:
        return "rows" if applies and _on_cpu(x, kernel) else "lax"
    return formulation


def conv_transpose_formulation(formulation: str | None, x: jax.Array) -> str:
    """``"lax"`` or ``"patches"``."""
    _known("conv_transpose", formulation, ("lax", "patches"))
    return formulation or ("patches" if x.size and _on_cpu(x) else "lax")


def extra_rows(x: jax.Array, kernel: jax.Array, window: Window) -> int:
    """How many rows to add to the first spatial axis so that the output is the taller one; 0 for none."""
    channels, features = kernel.shape[-2:]
    if window.rank != 2 or max(window.strides + window.dilation) > 1:
        return 0
    if channels == 1 or max(channels, features) <= 16:
        return 0
    if any(low or high for low, high in window.padding) and channels > 16 and channels % 16:
        return 0
    rows = window.output(x.shape[1:-1])[0]
    extra = x.shape[1] + 1 - rows
    return extra if 0 < extra <= rows // 2 else 0


def kernel_gradient(x: jax.Array, kernel: jax.Array, window: Window) -> str:
    """``"patches"`` or ``"lax"``."""
    cells = prod(window.output(x.shape[1:-1]))
    products = x.shape[0] * cells * kernel.size
    small = products < _FEW_PRODUCTS or cells <= _FEW_CELLS
    small = small or (products < _SOME_PRODUCTS and cells < _SOME_CELLS)
    # Strided slices of few channels are copied a number at a time.
    small = small or (max(window.strides) > 1 and x.shape[-1] < _FEW_CHANNELS)
    return "lax" if small and prod(window.size) > 1 else "patches"


def patch_taps(x: jax.Array, window: Window) -> int:
    """How many taps of the kernel stand side by side in one product of the kernel's gradient."""
    taps, row, channels = prod(window.size), window.size[-1], x.shape[-1]
    patches = x.shape[0] * prod(window.output(x.shape[1:-1])) * channels * taps * x.dtype.itemsize
    if row * channels >= _ROW_COLUMNS and patches > _PATCH_BYTES:
        return row
    fit = max(1, _PATCH_COLUMNS // channels)
    if fit >= taps:
        return taps
    return fit // row * row if fit >= row else fit


def chunk_images(x: jax.Array, window: Window, width: int) -> int:
    """How many images of the batch are turned into patches at a time; a divisor of the batch."""
    image = prod(window.output(x.shape[1:-1])) * x.shape[-1] * width * x.dtype.itemsize
    largest = max(1, min(x.shape[0], _PATCH_BYTES // image))
    return next(size for size in range(largest, 0, -1) if x.shape[0] % size == 0)


def groups_per_block(channels: int, features: int, groups: int) -> int:
    """How many neighbouring groups one dense block holds; a divisor of ``groups``."""
    largest = max(1, min(groups, _BLOCK_CHANNELS * groups // max(channels, features)))
    return next(size for size in range(largest, 0, -1) if groups % size == 0)


def pool_formulation(name: str, formulation: str | None, x: jax.Array, window: Window) -> str:
    """``"lax"`` or ``"slices"``."""
    _known(name, formulation, ("lax", "slices"))
    if formulation is not None:
        return formulation
    padded = any(low or high for low, high in window.padding)
    few = prod(window.size) <= _MOST_CELLS[name] and not (padded and name == "avg_pool")
    return "slices" if few and x.size and _on_cpu(x) else "lax"


def attention_formulation(formulation: str | None, q: jax.Array, k: jax.Array, v: jax.Array) -> str:
    """``"lax"``, ``"rows"`` or ``"fused"``."""
    _known("attention", formulation, ("lax", "rows", "fused"))
    if formulation is None:
        return "rows" if not q.size or k.shape != v.shape or _on_cpu(q, k, v) else "fused"
    return formulation


def recurrent_formulation(name: str, formulation: str | None) -> str:
    """``"lax"`` or ``"deferred"``; the second does less work on every platform."""
    _known(name, formulation, ("lax", "deferred"))
    return formulation or "deferred"


def flattens_products(x: jax.Array) -> bool:
    """Whether leading axes are merged before a matrix product; elsewhere that would only hinder sharding."""
    return _on_cpu(x)


def is_narrow(x: jax.Array, kernel: jax.Array) -> bool:
    """Whether a matrix product is cheaper written out: few numbers, and no sum that half precision spoils."""
    # Shapes are left to the product to check, which unlike a sum of columns broadcasts nothing.
    few = 0 < kernel.size <= _FEW_WEIGHTS and x.shape[-1] == kernel.shape[0]
    whole = x.dtype == kernel.dtype and x.dtype in (jnp.float32, jnp.float64)
    return few and whole and _on_cpu(x, kernel) and not (_is_split(x, -1) or _is_split(kernel, 0))


def _is_split(x: jax.Array, axis: int) -> bool:
    """Whether an axis is sharded over a mesh of explicit axes, where columns cannot be taken one by one."""
    return jax.typeof(x).sharding.spec[axis] is not None
