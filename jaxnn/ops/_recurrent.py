"""What the recurrent cores share: one product for all inputs, a scan that freezes under a mask, checks.

The cores differentiate by a rule (``custom_jvp``) that takes the weights' part out of the loop. With
``z[t] = p[t] + h[t-1] @ W``, where ``p`` is the projected input, the tangent is ``dz[t] = e[t] + dh[t-1] @
W`` with ``e[t] = dp[t] + h[t-1] @ dW``, and ``e`` is one product for all ``t``, since every ``h`` is known by
then. What remains inside the loop is linear in ``e`` and ``dh``. Reverse mode transposes it: a loop that
emits the cotangents of ``e`` alone, then one product over time for ``dW``, where plain autodiff adds to
``dW`` at every step. Unlike a rule for reverse mode alone (``custom_vjp``), this keeps forward mode and
derivatives of any order.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jaxnn.ops._product import product


def project(
    x: jax.Array, kernel: jax.Array, bias: jax.Array | None, mask: jax.Array | None
) -> tuple[jax.Array, jax.Array | None]:
    """Project all inputs at once; returns them and the mask with time as the first axis.

    Args:
      x: ``[..., time, in]``.
      kernel: ``[in, out]``.
      bias: ``[out]``.
      mask: ``[..., time]``; padding is read as zeros, so that a NaN there reaches no gradient.

    Returns:
      ``[time, ..., out]`` and ``[time, ..., 1]``.
    """
    x = jnp.moveaxis(x, -2, 0)
    if mask is not None:
        mask = jnp.moveaxis(mask, -1, 0)[..., None]
        x = jnp.where(jnp.broadcast_to(mask, x.shape), x, jnp.zeros_like(x))
    z = product(x, kernel)
    return z if bias is None else z + jnp.broadcast_to(bias, z.shape), mask


def masked_scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    xs: Any,
    mask: jax.Array | None,
    reverse: bool,
    emit: Callable[[Any], Any] = lambda carry: carry[0],
) -> tuple[Any, tuple[Any, Any]]:
    """Scan over time; where the mask is false the carry stays, and its output repeats.

    Args:
      step: ``(carry, x) -> (carry, extra)``.
      carry: a tuple of arrays ``[..., features]``.
      xs: arrays with time as the first axis.
      mask: ``[time, ..., 1]``.
      reverse: whether to go from the last step to the first.
      emit: which part of the new carry is an output.

    Returns:
      The last carry, and the stacked ``(emit(carry), extra)``.
    """

    def body(carry: Any, inputs: Any) -> tuple[Any, Any]:
        x, real = inputs
        new, extra = step(carry, x)
        if real is not None:
            new = tuple(
                jnp.where(jnp.broadcast_to(real, n.shape), n, o) for n, o in zip(new, carry, strict=True)
            )
        return new, (emit(new), extra)

    return lax.scan(body, carry, (xs, mask), reverse=reverse)


def keep(x: jax.Array) -> jax.Array:
    """Return ``x``, computed once: XLA's CPU backend computes a value again for each of its uses.

    The transpose of this line does the same for the cotangent.
    """
    return lax.optimization_barrier(x)


def squash(z: jax.Array, scale: np.ndarray) -> jax.Array:
    """Sigmoid where ``scale`` is 1/2 and tanh where it is 1, for all gates at once.

    ``sigmoid(z) = tanh(z / 2) / 2 + 1 / 2``, so one function makes them all, in one pass over the array.
    XLA's CPU backend computes gates that are taken apart first once for each of their uses, which doubles the
    time of a step.
    """
    factor = jnp.broadcast_to(jnp.asarray(scale, z.dtype), z.shape)
    return keep(jnp.tanh(z * factor) * factor + (1 - factor))


def previous(ys: jax.Array, first: jax.Array, reverse: bool) -> jax.Array:
    """``[time, ...]``: at each step the value of the step before it, in the direction of the scan."""
    if reverse:
        return jnp.concatenate([ys[1:], first[None]])
    return jnp.concatenate([first[None], ys[:-1]])


def scaled(h: jax.Array, scale: jax.Array | None) -> jax.Array:
    """Return ``h`` as the recurrent product reads it; ``scale`` ``[..., features]`` holds for all steps."""
    return h if scale is None else h * jnp.broadcast_to(scale, h.shape)


def along_product(h: jax.Array, dkernel: Any, kernel: jax.Array, scale: Any, dscale: Any) -> list[jax.Array]:
    """Tangents of ``scaled(h, scale) @ kernel`` along ``dkernel`` and ``dscale``, zeros left out."""
    parts = []
    if not isinstance(dkernel, SymbolicZero):
        parts.append(product(scaled(h, scale), dkernel))
    if scale is not None and not isinstance(dscale, SymbolicZero):
        parts.append(product(scaled(h, dscale), kernel))
    return parts


def instantiate(tangent: Any) -> jax.Array:
    """A tangent as an array, zeros where it is symbolic."""
    shape, dtype = tangent.shape, tangent.dtype
    return jnp.zeros(shape, dtype) if isinstance(tangent, SymbolicZero) else tangent


def check_recurrent(
    owner: str,
    x: Any,
    input_kernel: Any,
    recurrent_kernel: Any,
    gates: int,
    mask: Any,
    parts: dict[str, tuple[Any, tuple[int, ...] | None]],
) -> int:
    """Check shapes and dtypes of a core's arguments; returns the number of features.

    Args:
      owner: name of the function.
      x: ``[..., time, in]``.
      input_kernel: ``[in, gates * features]``.
      recurrent_kernel: ``[features, gates * features]``.
      gates: how many gates there are.
      mask: ``[..., time]`` or ``None``.
      parts: further arrays by name, each with its shape; ``None`` stands for ``[..., features]``.
    """
    if x.ndim < 2:
        raise ValueError(f"{owner}: x must be [..., time, in], got shape {x.shape}; add an axis for time")
    if recurrent_kernel.ndim != 2 or recurrent_kernel.shape[1] != gates * recurrent_kernel.shape[0]:
        raise ValueError(
            f"{owner}: recurrent_kernel must be [features, {gates} * features], "
            f"got shape {recurrent_kernel.shape}"
        )
    features = recurrent_kernel.shape[0]
    if input_kernel.shape != (x.shape[-1], gates * features):
        raise ValueError(
            f"{owner}: expected input_kernel of shape {(x.shape[-1], gates * features)} for x of shape "
            f"{x.shape} and {features} features, got {input_kernel.shape}"
        )
    if mask is not None and (mask.dtype != bool or mask.shape != x.shape[:-1]):
        raise ValueError(
            f"{owner}: mask must be boolean of shape {x.shape[:-1]}, one for each step, "
            f"got {mask.dtype} {mask.shape}"
        )
    arrays = {"input_kernel": input_kernel, "recurrent_kernel": recurrent_kernel}
    for name, (array, shape) in parts.items():
        if array is None:
            continue
        shape = (*x.shape[:-2], features) if shape is None else shape
        if array.shape != shape:
            raise ValueError(f"{owner}: {name} must have shape {shape}, got {array.shape}")
        arrays[name] = array
    for name, array in arrays.items():
        if array.dtype != x.dtype:
            raise TypeError(
                f"{owner}: x is {x.dtype} and {name} is {array.dtype}; cast one to the other's dtype"
            )
    return features
