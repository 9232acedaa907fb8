"""Layers that enlarge the spatial axes: ``upsample`` and ``pad``, channels last."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    check_floating,
    check_min_rank,
    describe,
    on_any_mesh,
    one_of,
    positive_ints,
    stateless,
    wide_dtype,
)

_METHODS = ("nearest", "linear")
_MODES = ("constant", "edge", "reflect", "wrap")


def upsample(factors: tuple[int, ...], method: str = "nearest") -> Layer:
    """Enlarge each spatial axis: ``[..., *spatial, channels] -> [..., *(spatial * factors), channels]``.

    Args:
        factors: how many cells come of one, on each spatial axis; its length is their number.
        method: ``"nearest"`` repeats cells; ``"linear"`` interpolates between the centres of cells and
            repeats beyond the outermost ones, which is PyTorch's ``align_corners=False`` and Keras's
            ``bilinear``.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point or has too few
            axes.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = jnp.array([[0.0], [4.0]])
        >>> [nn.upsample((2,), how).apply({}, {}, x)[0].ravel().tolist() for how in ("nearest", "linear")]
        [[0.0, 0.0, 4.0, 4.0], [0.0, 1.0, 3.0, 4.0]]
    """
    factors = positive_ints("upsample", "factors", factors)
    one_of("upsample", "method", method, _METHODS)

    def apply(params: Any, x: Any) -> Any:
        del params
        check_floating("upsample", x)
        check_min_rank("upsample", x, len(factors) + 1, "[..., *spatial, channels]")
        first = x.ndim - 1 - len(factors)
        if method == "nearest":
            for axis, factor in enumerate(factors, first):
                x = jnp.repeat(x, factor, axis)
            return x
        sizes = (size * factor for size, factor in zip(x.shape[first:-1], factors, strict=True))
        wide = x.astype(wide_dtype(x.dtype))
        return jax.image.resize(wide, (*x.shape[:first], *sizes, x.shape[-1]), "linear").astype(x.dtype)

    return on_any_mesh(stateless("upsample", None, apply))


def pad(widths: tuple[tuple[int, int], ...], mode: str = "constant", value: float = 0.0) -> Layer:
    """Pad the spatial axes: ``[..., *spatial, channels] -> [..., *larger, channels]``.

    Every mode means what it means for ``numpy.pad``: where a width is larger than the axis, ``"reflect"``
    goes to and fro between its ends and ``"wrap"`` begins again, as often as it takes. PyTorch refuses such
    widths.

    Args:
        widths: ``(low, high)`` for each spatial axis; its length is their number.
        mode: ``"constant"``, ``"edge"`` (the outermost cell), ``"reflect"`` (mirrored about it) or
            ``"wrap"`` (periodic).
        value: what ``"constant"`` pads with.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input with too few axes, or an axis without a cell
            to repeat, or without a second one to reflect.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> nn.pad(((2, 1),), "reflect").apply({}, {}, jnp.array([[1.0], [2.0], [3.0]]))[0].ravel().tolist()
        [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]
    """
    pairs = _pairs(widths)
    one_of("pad", "mode", mode, _MODES)

    def apply(params: Any, x: Any) -> Any:
        del params
        check_min_rank("pad", x, len(pairs) + 1, "[..., *spatial, channels]")
        first = x.ndim - 1 - len(pairs)
        cells = {"constant": 0, "edge": 1, "wrap": 1, "reflect": 2}[mode]
        for size, widest in zip(x.shape[first:-1], map(max, pairs), strict=True):
            if widest and size < cells:
                raise ValueError(
                    f"pad: mode={mode!r} needs {cells} cell(s) to take from, got {describe(x)}; "
                    "use mode='constant'"
                )
        every = ((0, 0),) * first + pairs + ((0, 0),)
        if mode == "constant":
            return jnp.pad(x, every, constant_values=jnp.asarray(value, x.dtype))
        return jnp.pad(x, every, mode)

    return on_any_mesh(stateless("pad", None, apply))


def _pairs(widths: Any) -> tuple[tuple[int, int], ...]:
    is_pair = lambda p: isinstance(p, tuple | list) and len(p) == 2  # noqa: E731
    if not isinstance(widths, tuple | list) or not widths or not all(map(is_pair, widths)):
        raise TypeError(
            "pad: widths must be a tuple of (low, high) pairs, one for each spatial axis, "
            f"got {describe(widths)}; write ((1, 1), (1, 1))"
        )
    for pair in widths:
        for width in pair:
            if isinstance(width, bool) or not isinstance(width, int):
                raise TypeError(f"pad: widths must be ints, got {describe(width)} in {tuple(widths)}")
            if width < 0:
                raise ValueError(
                    f"pad: widths must not be negative, got {tuple(widths)}; slice the input instead"
                )
    return tuple((low, high) for low, high in widths)
