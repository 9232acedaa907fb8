"""Pooling over windows of the spatial axes, channels last."""

from typing import Any

from jaxnn import ops
from jaxnn.core import Layer, check_floating, describe, on_any_mesh, positive_ints, stateless


def max_pool(
    window: tuple[int, ...],
    strides: int | tuple[int, ...] | None = None,
    padding: Any = "VALID",
    *,
    formulation: str | None = None,
) -> Layer:
    """Largest value of each window: ``[..., *spatial, channels] -> [..., *smaller, channels]``.

    The gradient of equal largest values sums to that of the output; ``jaxnn.ops.max_pool`` says how
    each formulation shares it. On CPU its gradient avoids XLA's select-and-scatter, which Flax, Haiku
    and Equinox pay for.

    Args:
        window: extent on each spatial axis; its length is their number.
        strides: step on each axis, or one for all; ``None`` is ``window``.
        padding: ``"VALID"``, ``"SAME"`` or ``(low, high)`` pairs; padding never wins.
        formulation: ``None`` chooses by platform and shape; ``"lax"`` is XLA's own.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input with too few axes or smaller than the
            window.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = jnp.array([[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4.0]])[None, :, :, None]
        >>> nn.max_pool((2, 2)).apply({}, {}, x)[0][0, :, :, 0].tolist()
        [[6.0, 8.0], [3.0, 4.0]]
    """
    return _pool("max_pool", ops.max_pool, window, strides, padding, formulation)


def avg_pool(
    window: tuple[int, ...],
    strides: int | tuple[int, ...] | None = None,
    padding: Any = "VALID",
    *,
    formulation: str | None = None,
) -> Layer:
    """Mean of each window: ``[..., *spatial, channels] -> [..., *smaller, channels]``.

    Padding is not counted: a window at the edge is divided by its number of real cells, which Flax
    leaves to an option that is off.

    Args:
        window: extent on each spatial axis; its length is their number.
        strides: step on each axis, or one for all; ``None`` is ``window``.
        padding: ``"VALID"``, ``"SAME"`` or ``(low, high)`` pairs.
        formulation: ``None`` chooses by platform and shape; ``"lax"`` is XLA's own.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input with too few axes or smaller than the
            window.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> nn.avg_pool((2,)).apply({}, {}, jnp.array([[1.0], [3.0], [5.0], [7.0]]))[0].tolist()
        [[2.0], [6.0]]
    """
    return _pool("avg_pool", ops.avg_pool, window, strides, padding, formulation)


def _pool(name: str, op: Any, window: Any, strides: Any, padding: Any, formulation: str | None) -> Layer:
    size = positive_ints(name, "window", window)
    steps = size if strides is None else positive_ints(name, "strides", strides, len(size))

    def apply(params: Any, x: Any) -> Any:
        del params
        check_floating(name, x)
        if len(x.shape) < len(size) + 1:
            raise ValueError(
                f"{name}: expected input [..., {', '.join(['space'] * len(size))}, channels] for window "
                f"{size}, got {describe(x)}"
            )
        return op(x, size, steps, padding, formulation=formulation)

    return on_any_mesh(stateless(name, None, apply))
