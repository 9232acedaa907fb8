"""Max and average pooling over sliding windows, channels last."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxnn.ops._dispatch import pool_formulation
from jaxnn.ops._window import Padding, Window, as_batch, read_window, zero_pad


def max_pool(
    x: jax.Array,
    window: Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    formulation: str | None = None,
) -> jax.Array:
    """The largest value of each window.

    The gradient goes to the first of equal values, in row-major order of the window, in every formulation, so
    that training follows the same path on every platform; NaN propagates. Padding is never chosen, nor before
    cells of ``-inf``, whose gradient ``lax.reduce_window`` loses there. On a CPU the gradient of the
    ``"slices"`` formulation is several times as fast as that of ``lax.reduce_window``; a padded forward pass
    that nobody differentiates is left to ``lax``, which is faster at it.

    Args:
      x: ``[..., *spatial, features]``, floating or integer; any number of leading axes.
      window: the window's size, one entry per spatial axis.
      strides: how far it moves, for all axes or one per axis; the window's size unless given.
      padding: ``"VALID"``, ``"SAME"``, or one ``(low, high)`` pair per axis.
      formulation: ``None`` chooses by platform and shape; ``"lax"`` is ``lax.reduce_window``; ``"slices"``
        compares strided slices.

    Returns:
      ``[..., *output, features]`` in the dtype of ``x``.

    Raises:
      ValueError: when window, strides or padding do not fit the input, or the formulation is unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> max_pool(jnp.array([[1.0], [3.0], [2.0], [0.0]]), (2,)).ravel().tolist()
      [3.0, 2.0]
    """
    return _pool("max_pool", _max_lax, _max_slices, x, window, strides, padding, formulation)


def avg_pool(
    x: jax.Array,
    window: Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    formulation: str | None = None,
) -> jax.Array:
    """The mean of each window's real cells: padding counts neither in the sum nor in the divisor.

    float16 and bfloat16 are summed in float32.

    Args:
      x: ``[..., *spatial, features]``, floating; any number of leading axes.
      window: the window's size, one entry per spatial axis.
      strides: how far it moves, for all axes or one per axis; the window's size unless given.
      padding: ``"VALID"``, ``"SAME"``, or one ``(low, high)`` pair per axis.
      formulation: ``None`` chooses by platform and shape; ``"lax"`` is ``lax.reduce_window``; ``"slices"``
        adds strided slices.

    Returns:
      ``[..., *output, features]`` in the dtype of ``x``.

    Raises:
      ValueError: when window, strides or padding do not fit the input, some window holds nothing but
        padding, or the formulation is unknown.
      TypeError: when ``x`` is not floating.

    Example:
      >>> import jax.numpy as jnp
      >>> avg_pool(jnp.array([[1.0], [3.0], [2.0]]), (2,), padding="SAME").ravel().tolist()
      [2.0, 2.0]
    """
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"avg_pool: x must be floating, got {x.dtype}; cast it, for instance x.astype(jnp.float32)"
        )
    return _pool("avg_pool", _avg_lax, _avg_slices, x, window, strides, padding, formulation)


def _pool(
    name: str,
    by_lax: Callable[[jax.Array, Window], jax.Array],
    by_slices: Callable[[jax.Array, Window], jax.Array],
    x: jax.Array,
    size: Sequence[int],
    strides: int | Sequence[int] | None,
    padding: Padding,
    formulation: str | None,
) -> jax.Array:
    x = jnp.asarray(x)
    if isinstance(size, int):
        raise TypeError(f"{name}: window must have one entry per spatial axis, such as (2, 2), got {size!r}")
    rank = len(size)
    if rank < 1 or x.ndim < rank + 1:
        raise ValueError(
            f"{name}: window {tuple(size)} needs x with at least {rank + 1} axes [..., *spatial, features] "
            f"and one spatial axis or more, got shape {x.shape}"
        )
    window = read_window(name, x.shape[-rank - 1 : -1], size, size if strides is None else strides, padding)
    if any(max(pair) >= cells for pair, cells in zip(window.padding, window.size, strict=True)):
        raise ValueError(
            f"{name}: padding {window.padding} leaves windows {window.size} with nothing but padding"
        )
    batch = as_batch(x, rank)
    y = (by_slices if pool_formulation(name, formulation, batch, window) == "slices" else by_lax)(
        batch, window
    )
    return y.reshape(*x.shape[: -rank - 1], *y.shape[1:])


def _lowest(dtype: jnp.dtype) -> float:
    return -np.inf if jnp.issubdtype(dtype, jnp.floating) else int(jnp.iinfo(dtype).min)


def _reduce(x: jax.Array, window: Window, start: float, operation: Callable[..., jax.Array]) -> jax.Array:
    return lax.reduce_window(
        x,
        np.asarray(start, x.dtype),
        operation,
        (1, *window.size, 1),
        (1, *window.strides, 1),
        ((0, 0), *window.padding, (0, 0)),
    )


def _max_lax(x: jax.Array, window: Window) -> jax.Array:
    meets_padding = _is_padded(window) and jnp.issubdtype(x.dtype, jnp.floating)
    return (real_max_pool if meets_padding else _largest)(x, window)


def _max_slices(x: jax.Array, window: Window) -> jax.Array:
    return (padded_max_pool if _is_padded(window) else _max_of_taps)(x, window)


def _is_padded(window: Window) -> bool:
    return any(low or high for low, high in window.padding)


def _largest(x: jax.Array, window: Window) -> jax.Array:
    return _reduce(x, window, _lowest(x.dtype), lax.max)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def real_max_pool(x: jax.Array, window: Window) -> jax.Array:
    """By ``lax``, and its gradient never goes to padding. Graphs show it by this name."""
    return _largest(x, window)


@real_max_pool.defjvp
def _real_max_pool_jvp(window: Window, primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    (x,) = primals
    # lax pads with -inf and chooses the first of equal cells: none may equal the padding before it.
    finite = jnp.maximum(x, np.asarray(jnp.finfo(x.dtype).min, x.dtype))
    return real_max_pool(x, window), jax.jvp(lambda x: _largest(x, window), (finite,), tangents)[1]


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def padded_max_pool(x: jax.Array, window: Window) -> jax.Array:
    """The value by ``lax``; wherever a derivative is wanted, both by slices. Graphs show it by this name."""
    return _largest(x, window)


@padded_max_pool.defjvp
def _padded_max_pool_jvp(window: Window, primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    return jax.jvp(lambda x: _max_of_taps(x, window), primals, tangents)


def _max_of_taps(x: jax.Array, window: Window) -> jax.Array:
    taps = window.taps(zero_pad(x, window, _lowest(x.dtype)))
    real = _real_taps(x.shape[1:-1], window)
    while len(taps) > 1:
        pairs = range(0, len(taps) - 1, 2)
        odd = len(taps) % 2
        best = [_first_largest(taps[i], taps[i + 1], real[i]) for i in pairs]
        real = [real[i] | real[i + 1] for i in pairs] + real[-1:] * odd
        taps = best + taps[-1:] * odd
    return taps[0]


def _first_largest(a: jax.Array, b: jax.Array, real: np.ndarray) -> jax.Array:
    wins = a >= b
    if jnp.issubdtype(a.dtype, jnp.floating):
        wins = wins | (a != a)
    # Where a is all padding, an equal b (the lowest value) is the one that must receive the gradient.
    return jnp.where(wins if real.all() else wins & real[None], a, b)


def _real_taps(spatial: Sequence[int], window: Window) -> list[np.ndarray]:
    """For each tap, which outputs see a real cell there: booleans ``[*output, 1]``."""
    inside = [
        [((cells := np.arange(out) * stride + tap - low) >= 0) & (cells < size) for tap in range(taps)]
        for size, out, stride, (low, _), taps in zip(
            spatial, window.output(spatial), window.strides, window.padding, window.size, strict=True
        )
    ]
    real = []
    for index in np.ndindex(*window.size):
        cells = np.ones((), bool)
        for axis, tap in enumerate(index):
            cells = cells[..., None] & inside[axis][tap]
        real.append(cells[..., None])
    return real


def _mean(total: jax.Array, x: jax.Array, window: Window) -> jax.Array:
    count = np.sum(_real_taps(x.shape[1:-1], window), axis=0)[None]
    divisor = count if np.ptp(count) else count.max(keepdims=True)
    return (total / jnp.asarray(divisor, total.dtype)).astype(x.dtype)


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def _avg_lax(x: jax.Array, window: Window) -> jax.Array:
    return _mean(_reduce(_wide(x), window, 0, lax.add), x, window)


def _avg_slices(x: jax.Array, window: Window) -> jax.Array:
    total, *taps = window.taps(zero_pad(_wide(x), window))
    for tap in taps:
        total = total + tap
    return _mean(total, x, window)
